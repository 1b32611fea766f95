"""Keys and certificates of a cluster: made in memory, written straight into a Secret of the host.

Names and fingerprints are all that leaves this room. With its modules `material` and `certificates`, it is the only
home of `cryptography`.

Imports: config, kube.
"""
