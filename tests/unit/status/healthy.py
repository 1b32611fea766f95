"""A cluster on loopback with nothing wrong: real sockets for what users ask, memory for the rest; tests break parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kinky import names
from kinky.config.load import load_config
from kinky.gate.proof import EvidenceItem, StoreRecord
from kinky.keys import material
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.kube.objects import build_secret
from kinky.manifests.store_values import CANARY_KEY, CANARY_VALUE, WORKLOAD_KEY, WORKLOAD_VALUE
from kinky.reach.reach import Reach
from kinky.status.fault_server import FaultServer, Identity, Reply
from kinky.status.probes.service import build_proof
from kinky.status.target import Target
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_wall import GRANT, STATE, add_wall

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
SECRET = b"a-value-of-the-store-0123456789abcdef"
CANARY = b"a-canary-of-the-store-0123456789abcd"
NS = "/api/v1/namespaces/ns"
VMS = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines"
VMIS = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/web/endpointslices"
READY = {"conditions": [{"type": "Ready", "status": "True", "reason": "Valid"}]}
CANARIES = "/api/v1/namespaces/kinky-system/configmaps"


class KnownStore:
    """A store with two values."""

    def __init__(self) -> None:
        self.values = {WORKLOAD_VALUE: {WORKLOAD_KEY: SECRET}, CANARY_VALUE: {CANARY_KEY: CANARY}}
        self.fault: Exception | None = None

    def read(self, name: str) -> dict[str, bytes] | None:
        return self.values.get(name)

    def check_credential(self, _inner: InnerApi) -> str:
        if self.fault:
            raise self.fault
        return "fine"


class KnownReach(Reach):
    """Leads to two APIs in memory; the endpoint that users ask is a real one."""

    def __init__(self, server: str, host: FakeConnection, inner: FakeConnection) -> None:
        super().__init__(ACCESS, server)
        self._host = HostApi(host, ACCESS)  # type: ignore[arg-type]
        self._known = InnerApi(inner)  # type: ignore[arg-type]

    def heal(self) -> None:
        pass

    def inner(self) -> InnerApi:
        return self._known


@dataclass
class Healthy:
    """The parts, to be broken."""

    identity: Identity
    planes: int
    host: FakeConnection
    inner: FakeConnection
    store: KnownStore = field(default_factory=KnownStore)
    stack: ExitStack = field(default_factory=ExitStack)
    ports: dict[tuple[str, int], int] = field(default_factory=dict)
    """Port of this machine by node and port; None of a node is any node's."""
    server: str = ""
    uid: str = "uid-kube-system"
    web: str = ""
    """A page in place of the workload's answer."""
    etcd: dict[str, Any] = field(default_factory=lambda: {"dbSize": "1000", "leader": "7"})

    @property
    def nodes(self) -> list[str]:
        return [*(f"dev-control-plane-{index}" for index in range(self.planes)), "dev-worker-0"]

    def serve(self, **settings: Any) -> FaultServer:
        """Serve in addition to what is there."""
        return self.stack.enter_context(FaultServer(self.identity, **settings).serve())

    def target(self, *, server: str = "", **changes: Any) -> Target:
        config = load_config(
            {
                "cluster": {"name": "dev"},
                "host": {"namespace": "ns", "encryptionAtRest": "attested"},
                "image": {"reference": "example.test/node:1"},
                "controlPlane": {"replicas": self.planes},
            },
            source="test",
        )

        @contextmanager
        def open_port(node: str, port: int) -> Iterator[int]:
            yield self.ports.get((node, port)) or self.ports[("", port)]

        known: dict[str, Any] = {
            "stack": "dev",
            "config": config,
            "reach": KnownReach(server or self.server, self.host, self.inner),
            "open_port": open_port,
            "fetch_keys": lambda: material.fetch_key_files(HostApi(self.host, ACCESS), "dev"),  # type: ignore[arg-type]
            "read_ca": lambda: self.identity.ca.certificate,
            "ca_file": self.identity.ca_file,
            "client_file": self.identity.client_file,
            "store": self.store,
            "known_uid": self.uid,
            # Long for a busy machine, and shorter than the limit of a look.
            "timeout_seconds": 3.0,
        }
        return Target(**(known | changes))

    def answer(self, verb: str, path: str, body: bytes) -> Reply | None:
        """Answer as API server, kubelet and etcd."""
        bare = urlsplit(path).path
        if bare in ("/readyz", "/livez", "/healthz"):
            return 200, b"ok"
        if bare == "/v3/maintenance/status":
            return 200, self.etcd
        if bare == "/v3/cluster/member/list":
            return 200, {"members": [{}] * self.planes}
        return (200, {}) if bare == "/v3/maintenance/alarm" else None

    def answer_web(self, _verb: str, path: str, _body: bytes) -> Reply | None:
        """Answer as the workload."""
        challenge = parse_qs(urlsplit(path).query).get("challenge", [""])[0]
        proof = build_proof(SECRET, challenge)
        return 200, (self.web or f"greeting=hello\nsecret=x\nnode=n\nproof={proof}\n").encode()


def answer_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each server of DNS answer as it must."""

    async def answer(*_: object) -> list[str]:
        return ["10.95.0.1"]

    monkeypatch.setattr("kinky.status.probes.dns._ask", answer)


@contextmanager
def serve_healthy(folder: Path, *, planes: int = 1) -> Iterator[Healthy]:
    """Serve it while the block runs."""
    names_of = [f"dev-control-plane-{index}" for index in range(planes)]
    identity = Identity(folder=folder, names=(names.endpoint_host("dev"), "localhost", "dev-worker-0", *names_of))
    made = Healthy(
        identity=identity.write(), planes=planes, host=FakeConnection(), inner=FakeConnection(target="inner")
    )
    with made.stack:
        cluster = made.serve(answer=made.answer)
        made.server = f"https://127.0.0.1:{cluster.port}"
        made.ports = {("", port): cluster.port for port in (6443, 10250, 2379)}
        made.ports[("", 30080)] = made.serve(tls=False, answer=made.answer_web).port
        _fill_host(made)
        _fill_inner(made)
        yield made


def _fill_host(made: Healthy) -> None:
    made.host.answer("GET", "/version", {"gitVersion": "v1.36.3"})
    files = material.make_cluster_files("dev") | {
        "etcd-ca.crt": made.identity.ca.certificate,
        "etcd-ca.key": made.identity.ca.key,
    }
    secret = build_secret("dev-pki", files, labels=names.cluster_labels("dev"))
    made.host.add(f"{NS}/secrets", "dev-pki", metadata=secret["metadata"], data=secret["data"])
    for number, node in enumerate(made.nodes):
        labels = names.node_labels("dev", role="worker", pool="worker", node=node)
        made.host.add(VMS, node, metadata={"labels": labels}, status={"printableStatus": "Running", **READY})
        made.host.add(VMIS, node, metadata={"labels": labels}, status={"phase": "Running", **READY})
        made.host.add(f"{NS}/services", node, metadata={"labels": labels}, spec={"clusterIP": f"10.96.0.{number + 2}"})
        add_node(made, node, f"10.96.0.{number + 2}")


def add_node(made: Healthy, node: str, address: str, *, ready: bool = True, message: str = "") -> None:
    """Register a node inside."""
    condition = {"type": "Ready", "status": "True" if ready else "False", "message": message}
    status = {"conditions": [condition], "addresses": [{"type": "InternalIP", "address": address}]}
    made.inner.add("/api/v1/nodes", node, status=status, spec={})


def _fill_inner(made: Healthy) -> None:
    inner = made.inner
    inner.answer("GET", "/version", {"gitVersion": "v1.36.3"})
    inner.add("/api/v1/namespaces", "kube-system", metadata={"uid": made.uid})
    item = EvidenceItem(item="G1", what="the store", seen_at="2026-01-01T00:00:00Z")
    record = StoreRecord(store="kinky", first_seconds=1, second_seconds=2, proved_at="x", items=(item,))
    since = "2026-01-01T00:00:00Z"
    data = {"state": "open", "since": since, "reason": "proved", "evidence": json.dumps(asdict(record))}
    for path, fields in ((STATE, {"data": data}), (GRANT, {})):
        inner.add(path.rpartition("/")[0], "kinky-gate", **fields)
    add_wall(inner)
    inner.add("/apis/external-secrets.io/v1/clustersecretstores", "kinky", status=READY)
    synced = {"conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced"}]}
    inner.add("/apis/external-secrets.io/v1/namespaces/kinky-system/externalsecrets", CANARY_VALUE, status=synced)
    canary = build_secret(CANARY_VALUE, {CANARY_KEY: CANARY}, labels={})
    inner.add("/api/v1/namespaces/kinky-system/secrets", CANARY_VALUE, data=canary["data"])
    labels = {"kubernetes.io/service-name": "web"}
    inner.add(SLICES, "web-1", metadata={"labels": labels}, endpoints=[{"conditions": {"ready": True}}])
    for app, name in (("coredns", "coredns-1"), ("flannel", "flannel-1")):
        inner.add(
            resources.PODS.build_path("kube-system"),
            name,
            metadata={"labels": {"app.kubernetes.io/name": app}},
            spec={"nodeName": "dev-worker-0"},
            status={"phase": "Running", **READY},
        )
