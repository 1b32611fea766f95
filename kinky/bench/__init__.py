"""Measurements of `up` and of what follows it, of status and leases, and of the floor: the same nodes without KubeVirt.

Each module measures one thing and returns figures; `kinky bench` prints them.

Imports: artefacts, border, components, config, embedded, forming, keys, kube, manifests, nodeimage, ownership, program,
reach, releases, render, stacks, status, stores, toolchain, topology.
"""
