"""The ways from this machine to a living cluster: the forward, the credential, and `Reach`, which joins them.

Nothing else opens the API of an inner cluster.

Imports: border, config, keys, kube.
"""
