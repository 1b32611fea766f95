"""A real etcd and a real kube-apiserver on loopback, without kubelet, controllers or root: one API in two roles.

To KinKy it is the host and the inner cluster at once: its CA is the one in the key Secret of the cluster.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import yaml

from kinky import names
from kinky.errors import KinkyError
from kinky.keys import material
from kinky.keys.certificates import LeafRequest, Pair, make_leaf
from kinky.kube import resources
from kinky.kube.access import HostAccess, InnerAccess
from kinky.kube.inner import InnerApi
from kinky.toolchain.tools import list_tools

CLUSTER = "dev"
PROGRAMS = ("etcd", "kube-apiserver")
LIMIT_SECONDS = 90.0
"""Four seconds on an idle machine; end-to-end tests may run beside it."""
LIFE = timedelta(days=1)


@dataclass(frozen=True)
class Server:
    """The running API, and what a client needs."""

    url: str
    folder: Path
    files: Mapping[str, bytes]
    """The key files of the cluster, as in its key Secret."""
    etcd_url: str

    def build_access(self, namespace: str) -> HostAccess:
        """Return the access of an admin to the host, in one namespace."""
        return HostAccess(
            kubeconfig=str(self.folder / "admin.conf"), context=None, namespace=namespace, cluster=CLUSTER
        )

    def connect_inner(self) -> InnerApi:
        """Return the inner API with an admin's credential."""
        return InnerApi.connect(
            InnerAccess(
                cluster=CLUSTER,
                server=self.url,
                tls_server_name=names.endpoint_host(CLUSTER),
                ca_file=self.folder / "ca.crt",
                credential_file=self.folder / "admin.pem",
            )
        )


def find_programs() -> dict[str, Path | None]:
    """Return where the two programs are; None for one that was not built. Builds nothing."""
    return {tool.name: tool.path for tool in list_tools() if tool.name in PROGRAMS}


@contextlib.contextmanager
def running(folder: Path, programs: Mapping[str, Path]) -> Iterator[Server]:
    """Run both programs until the end of the block."""
    files = material.make_cluster_files(CLUSTER)
    write_files(folder, files)
    client, peer, api = (find_port() for _ in range(3))
    server = Server(f"https://127.0.0.1:{api}", folder, files, f"http://127.0.0.1:{client}")
    write_kubeconfig(folder, server.url)
    with contextlib.ExitStack() as stack:
        stack.enter_context(started(folder, [programs["etcd"], *list_etcd_options(folder, client, peer)]))
        program = programs["kube-apiserver"]
        process = stack.enter_context(started(folder, [program, *list_api_options(folder, client, api)]))
        wait_ready(server, process)
        yield server


def find_port() -> int:
    """Return a port of loopback that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the cluster's key files, the server's certificate and an admin's credential."""
    ca = Pair(files["ca.crt"], files["ca.key"])
    serving = LeafRequest(
        common_name="kube-apiserver",
        dns_names=[names.endpoint_host(CLUSTER)],
        addresses=["127.0.0.1"],
        server=True,
        life=LIFE,
    )
    served = make_leaf(ca, serving)
    admin = make_leaf(ca, LeafRequest(common_name="admin", organizations=["system:masters"], life=LIFE))
    made = {
        **files,
        "server.crt": served.certificate,
        "server.key": served.key,
        "admin.pem": admin.certificate + admin.key,
        "admin.crt": admin.certificate,
        "admin.key": admin.key,
    }
    for name, content in made.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)


def write_kubeconfig(folder: Path, url: str) -> None:
    """Write the admin's kubeconfig for the API in its role as the host."""
    user = {"client-certificate": str(folder / "admin.crt"), "client-key": str(folder / "admin.key")}
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "api",
        "contexts": [{"name": "api", "context": {"cluster": "api", "user": "admin"}}],
        "clusters": [{"name": "api", "cluster": {"server": url, "certificate-authority": str(folder / "ca.crt")}}],
        "users": [{"name": "admin", "user": user}],
    }
    (folder / "admin.conf").write_text(yaml.safe_dump(body))


def list_etcd_options(folder: Path, client: int, peer: int) -> list[str]:
    """Return the arguments of etcd: one member, in memory as far as it can be."""
    client_url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [
        "--name=api",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=api={peer_url}",
        "--log-level=warn",
        "--unsafe-no-fsync=true",
    ]


def list_api_options(folder: Path, client: int, port: int) -> list[str]:
    """Return the arguments of the API server; those about keys are what the node image gives it."""
    return [
        f"--etcd-servers=http://127.0.0.1:{client}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        # No node and no pod calls it; its own address would have to be one that is not loopback.
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.95.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={folder / 'sa.pub'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        f"--encryption-provider-config={folder / material.ENCRYPTION_FILE}",
        "--encryption-provider-config-automatic-reload=true",
        "--profiling=false",
        "--v=1",
    ]


@contextlib.contextmanager
def started(folder: Path, command: list[str | Path]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its log beside its files; end it with the block."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        # Also if the tests are killed, nothing of them runs on.
        ending = ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)]
        process = subprocess.Popen(ending, stdout=log, stderr=log, cwd=folder)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Wait until the API is ready and has made its own namespaces; it ends early when a program has ended."""
    deadline = time.monotonic() + LIMIT_SECONDS
    last = "nothing was asked"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            inner = server.connect_inner()
            if inner.is_ready() and inner.fetch_cluster_uid() and inner.fetch(resources.NAMESPACES, "default"):
                return
            last = "not ready yet"
        except KinkyError as error:
            last = error.message
        time.sleep(0.1)
    log = (server.folder / "kube-apiserver.log").read_text(errors="replace")[-3000:]
    raise AssertionError(f"kube-apiserver on {server.url} is not ready: {last}; the end of its log:\n{log}")
