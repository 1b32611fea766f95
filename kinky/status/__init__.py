"""The worth of a cluster from outside: probes that observe, one pure function that judges, outputs that print.

`probes/` has one module for each capability. A probe returns observations and no judgement. `judgement.py` is the one
place that decides. Nothing here runs inside the inner cluster, and nothing repairs anything.

Imports: config, fit, forming, gate, keys, kube, manifests, operations, ownership, reach, stores, topology, why.
"""
