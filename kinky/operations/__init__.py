"""Operations on a living cluster: a list of sub-steps, recorded on the host, of which any may be killed at any call.

A sub-step that was killed runs again, so each one looks first at what is there. Operations exclude each other. Nodes
are replaced one at a time by deleting their VM instances, after their pods were evicted; a node is never repaired.

Imports: fit, forming, gate, keys, kube, reach.
"""
