"""The programs that make up the host: what is run, with which arguments, and what each one waits for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from kinky.embedded import layout
from kinky.embedded.layout import Layout

PROGRAMS = (
    "etcd",
    "containerd",
    "containerd-shim-runc-v2",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)


@dataclass(frozen=True)
class Component:
    """One supervised program.

    `after` names components that must be ready first. `ready` says how to tell: `tcp:<port>`, `unix:<path>`,
    `https:<port><path>`, or empty when nothing waits for it.
    """

    name: str
    argv: tuple[str, ...]
    after: tuple[str, ...] = ()
    ready: str = ""


def build_components(place: Layout, programs: Mapping[str, Path]) -> tuple[Component, ...]:
    """Return the components in the order in which they start."""
    return (
        _etcd(place, programs["etcd"]),
        Component(
            "containerd",
            (str(programs["containerd"]), "--config", str(place.kubernetes / "containerd.toml"), "--log-level", "warn"),
            ready=f"unix:{layout.CONTAINERD_SOCKET}",
        ),
        _apiserver(place, programs["kube-apiserver"]),
        _controller_manager(place, programs["kube-controller-manager"]),
        Component(
            "kube-scheduler",
            (
                str(programs["kube-scheduler"]),
                *_kubeconfig(place, "scheduler.conf"),
                "--leader-elect=false",
                "--profiling=false",
                "--bind-address=127.0.0.1",
            ),
            after=("kube-apiserver",),
        ),
        Component(
            "kube-proxy",
            (str(programs["kube-proxy"]), f"--config={place.kubernetes / 'kube-proxy.yaml'}"),
            after=("kube-apiserver",),
        ),
        Component(
            "kubelet",
            (
                str(programs["kubelet"]),
                *_kubeconfig(place, "kubelet.conf"),
                f"--config={place.kubernetes / 'kubelet.yaml'}",
                f"--hostname-override={layout.NODE_NAME}",
                f"--node-ip={layout.NODE_ADDRESS}",
            ),
            after=("kube-apiserver", "containerd"),
        ),
    )


def write_specification(path: Path, components: tuple[Component, ...]) -> None:
    """Write the components where the sandbox reads them."""
    path.write_text(json.dumps([asdict(component) for component in components], indent=2))


def read_specification(path: Path) -> tuple[Component, ...]:
    """Read what `write_specification` wrote."""
    entries = json.loads(path.read_text())
    return tuple(
        Component(entry["name"], tuple(entry["argv"]), after=tuple(entry["after"]), ready=entry["ready"])
        for entry in entries
    )


def _kubeconfig(place: Layout, name: str) -> tuple[str, ...]:
    return (f"--kubeconfig={place.kubernetes / name}",)


def _etcd(place: Layout, program: Path) -> Component:
    pki = place.pki / "etcd"
    peer = "https://127.0.0.1:2380"
    return Component(
        "etcd",
        (
            str(program),
            f"--name={layout.NODE_NAME}",
            f"--data-dir={place.etcd / 'data'}",
            "--log-level=warn",
            "--listen-client-urls=https://127.0.0.1:2379",
            "--advertise-client-urls=https://127.0.0.1:2379",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={layout.NODE_NAME}={peer}",
            f"--cert-file={pki / 'server.crt'}",
            f"--key-file={pki / 'server.key'}",
            f"--trusted-ca-file={pki / 'ca.crt'}",
            "--client-cert-auth=true",
            f"--peer-cert-file={pki / 'peer.crt'}",
            f"--peer-key-file={pki / 'peer.key'}",
            f"--peer-trusted-ca-file={pki / 'ca.crt'}",
            "--peer-client-cert-auth=true",
            # The host's disk is shared with every guest; a host that can be made again need not survive a power cut.
            "--unsafe-no-fsync=true",
        ),
        ready="tcp:2379",
    )


def _apiserver(place: Layout, program: Path) -> Component:
    pki = place.pki
    return Component(
        "kube-apiserver",
        (
            str(program),
            f"--advertise-address={layout.NODE_ADDRESS}",
            f"--secure-port={layout.API_PORT}",
            f"--service-cluster-ip-range={layout.SERVICE_CIDR}",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--etcd-servers=https://127.0.0.1:2379",
            f"--etcd-cafile={pki / 'etcd' / 'ca.crt'}",
            f"--etcd-certfile={pki / 'apiserver-etcd-client.crt'}",
            f"--etcd-keyfile={pki / 'apiserver-etcd-client.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
            "--profiling=false",
            "--event-ttl=30m",
        ),
        after=("etcd",),
        ready=f"https:{layout.API_PORT}/readyz",
    )


def _controller_manager(place: Layout, program: Path) -> Component:
    pki = place.pki
    return Component(
        "kube-controller-manager",
        (
            str(program),
            *_kubeconfig(place, "controller-manager.conf"),
            "--leader-elect=false",
            "--profiling=false",
            "--bind-address=127.0.0.1",
            "--use-service-account-credentials=true",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--service-account-private-key-file={pki / 'sa.key'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            "--enable-hostpath-provisioner=true",
            "--allocate-node-cidrs=false",
            # Its controllers start only after some hundred calls.
            "--kube-api-qps=100",
            "--kube-api-burst=200",
            # One node: declaring it dead helps nobody, and a busy machine is late with its heartbeats.
            "--node-monitor-grace-period=3m",
        ),
        # It exits when it starts before the RBAC rules are there.
        after=("kube-apiserver",),
    )
