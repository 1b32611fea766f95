"""Live steps: what must be done or proved while a cluster comes up, lives and goes.

Functions take plain values and a `Reach` or the host's API, and return frozen records of names,
fingerprints and times; a secret is written where it belongs and is never returned, logged or part
of a message. All of them can be run again. Pulumi resources are thin classes around these
functions, in `kinky.components`.
May import the foundation, config, topology, kube and manifests; the only home of `cryptography`.
"""
