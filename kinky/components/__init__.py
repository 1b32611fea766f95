"""Pulumi resources: what a stack declares, and in which order.

Each component is a table of contents: its bodies come from `kinky.manifests`, its live steps from `kinky.bootstrap`
through the thin dynamic resources of `steps`. An `InnerCluster` has three parts: `host_side`, `forming`, `inside`.
Besides `program`, and `cli.stack`, pulumi is imported here only.
"""
