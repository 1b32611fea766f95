"""Pulumi resources: what a stack declares, and in which order.

Each component is a table of contents. Its bodies come from `kinky.manifests`. Its live steps come from the rooms below,
through the thin dynamic resources of `steps`. An `InnerCluster` has three parts: `host_side`, `forming`, `inside`.

Imports: border, config, forming, gate, keys, kube, manifests, ownership, reach, render, stores, topology.
"""
