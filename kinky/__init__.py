"""KinKy: Kubernetes clusters inside KubeVirt virtual machines, declared as a Pulumi program.

The modules beside this file are the foundation: standard library only, except that `retry` is the home of tenacity
and `progress` the home of rich. The folders are rooms. The docstring of each says what it
holds and which rooms it imports; `tests/unit/test_layers.py` holds it to that, and orders all rooms in layers.
"""
