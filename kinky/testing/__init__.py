"""Clusters for tests: a pytest plugin whose fixtures make leased inner clusters, and take them away again.

`plugin` is the plugin, and docs/testing.md tells how to use it. A test gets an `InnerCluster` of `cluster`; for more of
them, an `InnerClusterFactory` of `factory`.

Imports: cli, config, kube, manifests, ownership, reach, stacks, status, toolchain, topology.
"""
