"""A whole cluster in memory: VMs whose guests boot from the host's Secrets, API servers with the keys of their boot,
an etcd that knows by which key each Secret was written, and a process that can be killed before any call.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from kinky import names
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.gate.proof import EvidenceItem, StoreRecord
from kinky.keys import material, node_credentials
from kinky.keys.certificates import build_fingerprint
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import ApiError, JsonObject, Reply
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.operations.site import Site
from kinky.reach.reach import Reach
from kinky.retry import Pending
from kinky.rotation import items
from kinky.rotation.site import KeySite, build_site
from tests.unit.cluster_records import record_data
from tests.unit.fake_api import answer_node
from tests.unit.fake_server import Server, build_kid, count, read_key_names, read_public
from tests.unit.fake_store import SECRETS, Operator, build_token, decode, start_operator
from tests.unit.fake_wall import add_wall
from tests.unit.fuse import Fuse, FusedConnection, Killed

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
VMS = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines"
VMIS = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances"
NODES = "/api/v1/nodes"
PKI = f"{SECRETS}/dev-pki"
RECORD = "/api/v1/namespaces/ns/configmaps/dev-operations"


class FakeCluster:
    """The cluster `dev`; it checks at each change that every Secret in its etcd can still be read."""

    def __init__(self, *, planes: int, workers: int) -> None:
        self.fuse = Fuse()
        self.host = FusedConnection(self.fuse, target="host cluster")
        self.inner = FusedConnection(self.fuse, target='inner cluster "dev"')
        self.config: KinkyConfig = load_config(
            {
                "cluster": {"name": "dev"},
                "host": {"embedded": True, "namespace": "ns"},
                "controlPlane": {"replicas": planes},
                "workers": [{"pool": "worker", "replicas": workers}],
            },
            source="test",
        )
        self.servers: dict[str, Server] = {}
        self.stored: dict[str, str] = {}
        """Key by which each inner Secret was written last, by path."""
        self.boots: list[str] = []
        """Nodes in the order in which they booted again."""
        self.down: list[str] = []
        self._numbers = itertools.count(1)
        self.operator: Operator | None = None
        self.drop_now = False
        # Checking the cached credential at each question would take most of the tests' time.
        self.dial: Callable[[], InnerApi] = lambda: InnerApi(self.inner)  # type: ignore[arg-type]
        self.unready: set[str] = set()
        """Control planes whose API server says that it is not ready."""
        self.asked = ""
        """The control plane that a window is open to."""

    @property
    def reach(self) -> Reach:
        """A new process's way to the cluster."""
        made = Reach(ACCESS, "https://x")
        made.inner = self.dial  # type: ignore[method-assign]
        return made

    @property
    def site(self) -> KeySite:
        return build_site(self.config, self.reach, drop_now=self.drop_now)

    def ask(self, _site: Site, node: str, question: Callable[[InnerApi], str | Pending]) -> str | Pending:
        """Ask the API server of one node, as through a window."""
        self.asked = node
        try:
            return question(self.site.reach.inner())
        finally:
            self.asked = ""

    def rotate(self, item: str) -> bool:
        finished = items.rotate(self.site, items.ITEMS[item])
        nodes = {path: body for path, body in self.inner.objects.items() if path.startswith(f"{NODES}/")}
        assert not [path for path, body in nodes.items() if body["spec"].get("unschedulable")]
        return finished

    def plan(self, item: str) -> list[str]:
        return items.describe(self.site, items.ITEMS[item])

    def progress(self) -> dict[str, Any]:
        data = self.host.objects.get(RECORD, {}).get("data") or {}
        return {key.removeprefix("rotate."): json.loads(text) for key, text in data.items()}

    def kill_at(self, number: int, run: Callable[[], object]) -> bool:
        """Kill the program before this call; False when it ended before."""
        self.fuse.calls, self.fuse.at = 0, number
        try:
            run()
        except Killed:
            return True
        finally:
            self.fuse.at = None
        return False

    def sleep(self, seconds: float) -> None:
        if self.operator is not None:
            self.operator.sleep(seconds)
        self.come_up()

    def come_up(self) -> None:
        """Boot the VM instances that were deleted."""
        while self.down:
            self.boot(self.down.pop(0))

    def boot(self, node: str) -> None:
        """Start a VM instance: its guest reads the credentials that the host holds now."""
        number = next(self._numbers)
        self.host.add(
            VMIS,
            node,
            metadata={"uid": f"vmi-{number}", "labels": names.cluster_labels("dev")},
            status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        )
        # The Node outlives the instance, and whoever cordoned it has to let pods in again.
        spec = self.inner.objects.get(f"{NODES}/{node}", {}).get("spec", {})
        answer_node(self.inner, node, ready=True, address="10.96.0.2", labels={})
        self.inner.objects[f"{NODES}/{node}"]["status"]["nodeInfo"] = {"bootID": f"boot-{number}"}
        self.inner.objects[f"{NODES}/{node}"]["spec"] = spec
        if "control-plane" in node:
            files = decode(self.host, PKI)
            self.servers[node] = Server(
                started=f"1.7857e+09{number}",
                config_hash=f"sha256:{hashlib.sha256(files['encryption-config.yaml']).hexdigest()}",
                keys=read_key_names(files["encryption-config.yaml"]),
                public=read_public(files["sa.pub"]),
                signs=build_fingerprint(material.derive_public_key(files["sa.key"])),
                counts={},
            )
        self.boots.append(node)
        self.check()

    def check(self) -> None:
        """Every Secret can be read by every API server, and by one that boots from what the host holds now."""
        known = [server.keys for server in self.servers.values()]
        if PKI in self.host.objects:
            known.append(read_key_names(decode(self.host, PKI)["encryption-config.yaml"]))
        for server in self.servers.values():
            for other in self.servers.values():
                assert server.signs in other.public, "what one API server signs every other accepts"
        for path, key in self.stored.items():
            assert all(key in each for each in known), f"{path} was written by {key}, which is lost"

    def answering(self) -> Server:
        for node, server in self.servers.items():
            if node not in self.down and self.asked in ("", node):
                return server
        raise ApiError('inner cluster "dev": cannot be asked: connection refused')

    def host_changed(self, method: str, path: str) -> None:
        if method == "DELETE" and path.startswith(VMIS):
            assert not self.down, "one node at a time"
            self.down.append(path.rpartition("/")[2])
        if path.startswith(PKI) or path == SECRETS:
            self.check()

    def inner_asked(self, method: str, path: str) -> None:
        server = self.answering()
        if method == "GET" and path in self.stored:
            assert self.stored[path] in server.keys
            count(server, "from_storage", self.stored[path])

    def inner_changed(self, method: str, path: str) -> None:
        """Note by which key a Secret was written; also a patch that changes nothing writes what another key wrote."""
        server = self.answering()
        for secret in [found for found in self.inner.objects if "/secrets/" in found]:
            if secret not in self.stored or (method in ("PUT", "PATCH") and path == secret):
                self.stored[secret] = server.keys[0]
                count(server, "to_storage", server.keys[0])
        for gone in [found for found in self.stored if found not in self.inner.objects]:
            del self.stored[gone]
        self.check()

    def tell_metrics(self, _sent: JsonObject) -> Reply:
        server = self.answering()
        lines = [
            f'apiserver_storage_transformation_operations_total{{resource="secrets",status="OK",'
            f'transformation_type="{kind}",transformer_prefix="{prefix}"}} {number}'
            for (kind, prefix), number in server.counts.items()
        ]
        lines.append(f"process_start_time_seconds {server.started}")
        lines.append(
            "apiserver_encryption_config_controller_last_config_info"
            f'{{apiserver_id_hash="sha256:x",hash="{server.config_hash}"}} 1'
        )
        return Reply(200, "\n".join(lines).encode())

    def tell_ready(self, _sent: JsonObject) -> Reply:
        self.answering()
        return Reply(500 if self.asked in self.unready else 200, b"")

    def tell_jwks(self, _sent: JsonObject) -> Reply:
        found = [{"kid": build_kid(each)} for each in self.answering().public]
        return Reply(200, json.dumps({"keys": found}).encode())

    def issue_inner_token(self, _sent: JsonObject) -> Reply:
        header = base64.urlsafe_b64encode(json.dumps({"kid": build_kid(self.answering().signs)}).encode()).decode()
        status = {"token": f"{header.rstrip('=')}.e30.c2ln", "expirationTimestamp": "2099-01-01T00:00:00Z"}
        return Reply(201, json.dumps({"status": status}).encode())

    def issue_host_token(self, asked: JsonObject) -> Reply:
        """Issue a token that differs from each before, and is bound to a Secret that is there."""
        anchor = asked["spec"]["boundObjectRef"]
        assert self.host.objects[f"{SECRETS}/{anchor['name']}"]["metadata"]["uid"] == anchor["uid"]
        token = f"{build_token(None)}-{next(self._numbers)}".replace("-", "")
        status = {"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"}
        return Reply(201, json.dumps({"status": status}).encode())


def start_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, planes: int = 1, workers: int = 1) -> FakeCluster:
    """Make a cluster that `up` has finished."""
    made = FakeCluster(planes=planes, workers=workers)
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: made.host)
    monkeypatch.setattr("kinky.kube.inner.open_inner", lambda _access: made.inner)
    monkeypatch.setattr("kinky.operations.replacement.ask_control_plane", made.ask)
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    made.operator = start_operator(made.host, made.inner, monkeypatch)
    monkeypatch.setattr("time.sleep", made.sleep)
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    labels = {"kinky.dev/cluster": "dev", "app.kubernetes.io/managed-by": "kinky"}
    made.host.add(
        "/api/v1/namespaces/ns/configmaps",
        "dev-record",
        metadata={"labels": labels},
        data=record_data(stack="s", cluster_id="c"),
    )
    for name in (*made.site.control_planes, *made.site.workers):
        volumes = []
        if "control-plane" not in name:
            made.host.add("/api/v1/namespaces/ns/services", name, spec={"clusterIP": "10.96.0.2"})
            record = node_credentials.ensure_node_credentials(HostApi.connect(ACCESS), "dev", name, "10.96.0.2")
            volumes = [{"name": "credentials", "secret": {"secretName": record.secret_name}}]
        spec = {"template": {"spec": {"volumes": volumes}}}
        made.host.add(VMS, name, metadata={"labels": labels}, spec=spec, status={"printableStatus": "Running"})
        made.boot(name)
    made.boots.clear()
    _open_gate(made)
    _add_inner_answers(made)
    return made


def _open_gate(made: FakeCluster) -> None:
    item = EvidenceItem(item="G1", what="x", seen_at="2026-01-01T00:00:00Z")
    record = StoreRecord(store="kinky", first_seconds=1, second_seconds=2, proved_at="x", items=(item,))
    data = {"state": "open", "since": "x", "reason": "proved", "evidence": json.dumps(asdict(record))}
    made.inner.add("/api/v1/namespaces/kinky-system/configmaps", "kinky-gate", data=data)
    add_wall(made.inner)
    made.inner.add(resources.ROLE_BINDINGS.build_path("kinky-system"), "kinky-gate")


def _add_inner_answers(made: FakeCluster) -> None:
    made.host.add("/api/v1/namespaces/ns/serviceaccounts", "dev-store-reader")
    made.host.add("/api/v1/namespaces/default/services", "kubernetes", spec={"clusterIP": "10.96.0.1"})
    made.host.add("/api/v1/namespaces/ns/configmaps", "kube-root-ca.crt", data={"ca.crt": "PEM"})
    reader = "/api/v1/namespaces/ns/serviceaccounts/dev-store-reader/token"
    made.host.answers[("POST", reader)] = made.issue_host_token
    made.inner.answer("GET", "/version", {"gitVersion": "v1.36.3"})
    made.inner.answers[("GET", "/metrics")] = made.tell_metrics
    made.inner.answers[("GET", "/readyz")] = made.tell_ready
    made.inner.answers[("GET", "/openid/v1/jwks")] = made.tell_jwks
    tokens = "/api/v1/namespaces/kube-system/serviceaccounts/default/token"
    made.inner.answers[("POST", tokens)] = made.issue_inner_token
    for node in made.site.control_planes:
        command = ["kube-controller-manager", "--cluster-signing-cert-file=/etc/kubernetes/pki/ca-issuer.crt"]
        spec = {"containers": [{"command": command}]}
        made.inner.add("/api/v1/namespaces/kube-system/pods", f"kube-controller-manager-{node}", spec=spec)
    for number in range(3):
        made.inner.add("/api/v1/namespaces/web/secrets", f"own-{number}", data={"a": "eA=="})
    made.host.after, made.inner.before, made.inner.after = made.host_changed, made.inner_asked, made.inner_changed
    made.inner_changed("PUT", "")
