"""Configuration files of the host's components, as data; `components` says which program reads which."""

from __future__ import annotations

import json

from kinky.embedded import layout, network
from kinky.embedded.layout import Layout


def build_kubelet(place: Layout) -> dict[str, object]:
    """Return the kubelet's configuration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(place.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{place.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDomain": "cluster.local",
        "clusterDNS": ["10.96.0.10"],
        "resolvConf": str(place.kubernetes / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{layout.CONTAINERD_SOCKET}",
        "enableProfilingHandler": False,
        "enableDebuggingHandlers": True,
        # No registry could bring an image back: never collect one, and evict only when the machine is nearly full. In
        # bytes, below what the preflight asks for: a share of a large disk is more, and evicted KubeVirt itself.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
        "evictionPressureTransitionPeriod": "30s",
        "maxPods": 250,
        "oomScoreAdj": 0,
        "volumePluginDir": str(place.root / "kubelet-plugins"),
        # On two busy cores the default of 10 s makes a node look dead that is only slow.
        "nodeStatusUpdateFrequency": "10s",
        "nodeLeaseDurationSeconds": 120,
        "shutdownGracePeriod": "0s",
    }


def build_kube_proxy(place: Layout) -> dict[str, object]:
    """Return kube-proxy's configuration: nftables, no tuning of the machine's connection tracking."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(place.kubernetes / "kube-proxy.conf")},
        "clusterCIDR": layout.POD_CIDR,
        "hostnameOverride": layout.NODE_NAME,
        # These settings belong to the machine, not to a network namespace, and are refused here.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
    }


def render_containerd(place: Layout) -> str:
    """Return containerd's configuration (TOML; a JSON string is a TOML string)."""
    quote = json.dumps
    unused = ["btrfs", "zfs", "devmapper", "erofs", "blockfile", "native"]
    disabled = [f"io.containerd.snapshotter.v1.{name}" for name in unused]
    return f"""\
version = 3
root = {quote(str(place.containerd))}
state = "/run/containerd"
disabled_plugins = {quote([*disabled, "io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"])}

[grpc]
  address = {quote(str(layout.CONTAINERD_SOCKET))}

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = {quote(layout.PAUSE_IMAGE)}

[plugins.'io.containerd.cri.v1.runtime']
  # Every second by default, through every shim; the kubelet has its own figures.
  stats_collect_period = "60s"
  # Without CAP_SYS_RESOURCE a lower score cannot be set, and runc then fails to start the container.
  restrict_oom_score_adj = true
  device_ownership_from_security_context = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = [{quote(str(layout.CNI_PLUGINS))}]
    conf_dir = {quote(str(place.cni))}
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def write(place: Layout) -> None:
    """Write every component's configuration file."""
    (place.kubernetes / "kubelet.yaml").write_text(json.dumps(build_kubelet(place), indent=2))
    (place.kubernetes / "kube-proxy.yaml").write_text(json.dumps(build_kube_proxy(place), indent=2))
    (place.kubernetes / "containerd.toml").write_text(render_containerd(place))
    # Pods get no name server from outside: nothing they need has a name there.
    (place.kubernetes / "resolv.conf").write_text("")
    network.write_cni(place.cni)
