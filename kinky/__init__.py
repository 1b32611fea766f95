"""KinKy: Kubernetes clusters inside KubeVirt virtual machines, declared as a Pulumi program.

The modules beside this file are the foundation: standard library only, except that `retry` is the home of tenacity
and `progress` the home of rich. The folders are layers; each may import the foundation and the layers below it, never
those above: config, topology and kube, render and manifests, bootstrap and embedded and nodeimage, components,
program, cli. `tests/unit/test_layers.py` enforces this.
"""
