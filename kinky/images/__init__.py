"""Container images for the nodes of an inner cluster, from archives, without a registry.

Imports: config, kube, manifests.
"""
