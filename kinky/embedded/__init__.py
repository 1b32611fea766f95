"""The embedded host: a real Kubernetes with real KubeVirt on one Linux machine, for laptops and CI.

Here is everything between a machine with root and a host cluster with a kubeconfig: the namespace sandbox and its
supervisor, KubeVirt, the accelerator probe. Nothing here knows of inner clusters. Everything runs inside one
`unshare`, so the end of one process removes all of it.

Imports: artefacts, border, releases, toolchain.
"""
