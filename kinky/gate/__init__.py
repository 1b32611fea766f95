"""The gate: no workload runs in an inner cluster before its secrets store was proved.

`wall` is the policy, `proof` the seven items of evidence, `gate` opens and closes, `drift` finds changes that
somebody made.

Imports: forming, keys, kube, manifests, reach, stores.
"""
