"""Whose objects these are: the record of a cluster on its host, its lease, and what is left of it.

Each write and each deletion on the host asks here first. Its functions take plain values and a `Reach` or the host's
API, and can be run again.

Imports: keys, kube, manifests, reach.
"""
