"""Fit: the host is read and compared with the configuration before anything is touched.

`reading` reads, each other module compares one thing, `fit` collects all findings. A refusal is never wrong: whatever
cannot be known is a warning.

Imports: config, keys, kube, manifests, ownership, reach, stores, topology.
"""
