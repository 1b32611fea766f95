"""The secrets store as the admin sees it: one module for each kind, all of them a `Store`.

Whoever writes, lists, removes or proves something asks the `Store`, and never which kind it is. Only `opening` knows
that. Values pass from memory to the store. None is returned further, logged, or given to Pulumi.

Imports: config, keys, kube, manifests, reach, vault.
"""
