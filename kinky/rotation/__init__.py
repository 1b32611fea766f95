"""Rotation of the keys of a living cluster: one record for each item, and its sub-steps for `kinky.operations`.

Only names and fingerprints are recorded or reported.

Imports: config, gate, keys, kube, manifests, operations, ownership, reach, stores, topology.
"""
