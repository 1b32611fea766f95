"""The embedded host: a real Kubernetes with real KubeVirt on one Linux machine, for laptops and CI.

Here live the toolchain resolver and everything between a machine with root and a host cluster with a kubeconfig: the
namespace sandbox and its supervisor, images without a registry, KubeVirt, the accelerator probe. Nothing here knows
of inner clusters. It may import the foundation, `config` and `kube`; only `cli` imports it. Everything runs inside one
`unshare`, so that ending one process removes all of it.
"""
