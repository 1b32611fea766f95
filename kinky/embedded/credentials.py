"""The host's certificates and kubeconfigs, made by kubeadm's own phases and kept until they near their end."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

from kinky import process
from kinky.embedded import layout
from kinky.embedded.layout import Layout
from kinky.releases import default_release
from kinky.toolchain.tools import tool_path

RENEW_AFTER_DAYS = 300
"""kubeadm signs for a year; a host that is started within the last two months of it gets new ones first."""
REASON = "make the embedded host's certificates"


def build_kubeadm(place: Layout) -> list[dict[str, object]]:
    """Return the two kubeadm documents that describe the host's control plane."""
    hosts = [layout.NODE_ADDRESS, "127.0.0.1", "localhost"]
    return [
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "InitConfiguration",
            "localAPIEndpoint": {"advertiseAddress": layout.NODE_ADDRESS, "bindPort": layout.API_PORT},
            "nodeRegistration": {"name": layout.NODE_NAME, "criSocket": f"unix://{layout.CONTAINERD_SOCKET}"},
        },
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "clusterName": layout.NODE_NAME,
            "kubernetesVersion": default_release().kubernetes_version,
            "certificatesDir": str(place.pki),
            "controlPlaneEndpoint": f"{layout.NODE_ADDRESS}:{layout.API_PORT}",
            "networking": {"serviceSubnet": layout.SERVICE_CIDR, "podSubnet": layout.POD_CIDR},
            "apiServer": {"certSANs": hosts},
            "etcd": {"local": {"dataDir": str(place.etcd), "serverCertSANs": hosts, "peerCertSANs": hosts}},
        },
    ]


def ensure(place: Layout) -> None:
    """Make what is missing or will expire; the CAs stay as long as the state directory.

    Raises:
        CommandError: kubeadm failed.
    """
    marker = place.kubernetes / "kube-proxy.conf"
    if marker.is_file() and time.time() - marker.stat().st_mtime < RENEW_AFTER_DAYS * 86400:
        return
    _drop_expiring(place)
    configuration = place.kubernetes / "kubeadm.yaml"
    configuration.write_text("\n---\n".join(json.dumps(document) for document in build_kubeadm(place)))
    kubeadm = tool_path("kubeadm")
    process.run([kubeadm, "init", "phase", "certs", "all", "--config", configuration], reason=REASON)
    folder = ("--kubeconfig-dir", place.kubernetes)
    process.run([kubeadm, "init", "phase", "kubeconfig", "all", "--config", configuration, *folder], reason=REASON)
    proxy = process.run(
        [kubeadm, "kubeconfig", "user", "--config", configuration, "--client-name", "system:kube-proxy"], reason=REASON
    )
    write_private(marker, proxy)


def write_outside_kubeconfig(place: Layout, port: int) -> None:
    """Write the administrator's kubeconfigs with the loopback listener as their server."""
    for source, target in (("admin.conf", place.kubeconfig), ("super-admin.conf", first_kubeconfig(place))):
        write_private(target, point_at((place.kubernetes / source).read_text(), port))


def first_kubeconfig(place: Layout) -> Path:
    """Return the kubeconfig that works before any binding exists; only `cluster` uses it, for those bindings."""
    return place.kubernetes / "first-admin.yaml"


def point_at(kubeconfig: str, port: int) -> str:
    """Return the kubeconfig with another server; everything else stays as kubeadm wrote it."""
    return re.sub(r"(?m)^(\s*server:) \S+$", rf"\1 https://127.0.0.1:{port}", kubeconfig)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.replace(path)


def _drop_expiring(place: Layout) -> None:
    """Remove what kubeadm would otherwise keep: everything signed, but no CA and no service account key."""
    cas = {"ca", "front-proxy-ca", "sa"}
    for path in (*place.pki.glob("*.crt"), *place.pki.glob("*.key")):
        if path.stem not in cas:
            path.unlink()
    for path in (place.pki / "etcd").glob("*"):
        if path.stem != "ca":
            path.unlink()
    for path in place.kubernetes.glob("*.conf"):
        path.unlink()
    shutil.rmtree(place.kubernetes / "tmp", ignore_errors=True)
