"""The certificates of the fake cluster, for real: who presents what, who trusts what, and whether all that can meet do.

Signatures are verified, not names. What reads its trust once, at its start, is taken to do so: nodes and pods.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from kinky.keys.certificates import build_fingerprint, fetch_not_after, split_certificates
from kinky.keys.material import CAS
from kinky.kube.access import InnerAccess
from kinky.kube.connection import ApiError, JsonObject, Reply
from kinky.kube.inner import InnerApi
from kinky.operations.renewal import ROOT_CONFIG_MAP
from kinky.retry import Pending
from kinky.rotation import ca_proof
from kinky.rotation.published_cas import EXTENSION_CONFIG_MAP, EXTENSION_FILES
from tests.unit.fake_cluster import NODES, PKI, VMS, FakeCluster
from tests.unit.fake_party import Party, read_name, sign, verifies
from tests.unit.fake_pods import SYSTEM, add_pod
from tests.unit.fake_store import SECRETS, decode

EXTENSION = f"{SYSTEM}/configmaps/{EXTENSION_CONFIG_MAP}"
NAMESPACES = ("kube-system", "kinky-system", "web")


@dataclass
class Cas:
    """All parties of a fake cluster; `check` fails when two that can meet would not believe each other."""

    cluster: FakeCluster
    planes: dict[str, Party] = field(default_factory=dict)
    workers: dict[str, Party] = field(default_factory=dict)
    pods: dict[str, bytes] = field(default_factory=dict)
    """What each pod has read at its start, by its path."""
    checked: object = None
    """The state of the last check."""
    leader: str = ""
    """Control plane whose controller-manager tells the pods."""

    def start(self, node: str) -> None:
        """Boot a node: certificates and trust from what the host holds, pods from what the cluster tells."""
        if "control-plane" in node:
            self.planes[node] = Party.boot_plane(decode(self.cluster.host, PKI))
        else:
            self.workers[node] = Party.boot_worker(decode(self.cluster.host, self.secret_of(node)))
        for path in [path for path in self.pods if path.endswith(f"-{node}")]:
            self.pods[path] = self.published()
        if node in self.planes:
            self.elect(node)
            self.tell_extension()
        self.check()

    def elect(self, booted: str) -> None:
        """Have another controller-manager lead when the one that led was away."""
        if self.leader in ("", booted):
            others = [node for node in self.planes if node != booted]
            self.leader = others[-1] if others else booted
        self.publish(self.planes[self.leader].trust["ca"])

    def publish(self, bundle: bytes) -> None:
        for namespace in NAMESPACES:
            body = {"namespace": namespace}
            path = f"/api/v1/namespaces/{namespace}/configmaps"
            self.cluster.inner.add(path, ROOT_CONFIG_MAP, metadata=body, data={"ca.crt": bundle.decode()})

    def published(self) -> bytes:
        body = self.cluster.inner.objects[f"{SYSTEM}/configmaps/{ROOT_CONFIG_MAP}"]
        return str(body["data"]["ca.crt"]).encode()

    def tell_extension(self) -> None:
        """Write as all API servers do together: what is told already and what each has read."""
        told = self.cluster.inner.objects.get(EXTENSION, {}).get("data") or {}
        data = {}
        for key, file in EXTENSION_FILES.items():
            name = file.removesuffix(".crt")
            texts = [told.get(key, "").encode(), *(plane.trust[name] for plane in self.planes.values())]
            known = dict.fromkeys(each for text in texts for each in split_certificates(text))
            data[key] = b"".join(known).decode()
        self.cluster.inner.add(f"{SYSTEM}/configmaps", EXTENSION_CONFIG_MAP, data=data)

    def secret_of(self, worker: str) -> str:
        volumes = self.cluster.host.objects[f"{VMS}/{worker}"]["spec"]["template"]["spec"]["volumes"]
        return f"{SECRETS}/{volumes[0]['secret']['secretName']}"

    def inner_changed(self, method: str, path: str) -> None:
        """Make again at once what was deleted, as its controller does."""
        if method == "DELETE" and path == EXTENSION:
            self.tell_extension()
        if method == "DELETE" and path in self.pods:
            self.add_pod(path.rpartition("/")[2].removeprefix("flannel-"))
        self.check()

    def add_pod(self, node: str) -> None:
        self.pods[add_pod(self.cluster, node)] = self.published()

    def check(self) -> None:
        """Have each meet each, also what would boot or start from what there is now; once for the same state."""
        objects = self.cluster.host.objects
        secrets = [objects[self.secret_of(name)]["data"] for name in self.workers]
        state = (
            *(objects[PKI]["data"], secrets, dict(self.planes), dict(self.workers)),
            *(dict(self.pods), self.published(), self.cluster.inner.objects[EXTENSION]["data"]),
        )
        if state == self.checked:
            return
        self.checked = state
        files = decode(self.cluster.host, PKI)
        booting = Party.boot_plane(files)
        planes = {**self.planes, "a control plane that boots now": booting}
        workers = dict(self.workers)
        for name in self.workers:
            workers[f"{name} booting now"] = Party.boot_worker(decode(self.cluster.host, self.secret_of(name)))
        pods = {**self.pods, "a pod that starts now": self.published()}
        told = self.cluster.inner.objects[EXTENSION]["data"]
        for name, plane in planes.items():
            for who, leaf, bundle in self.meet(plane, planes.values(), workers.values(), pods.values(), told):
                assert verifies(leaf, bundle), f"{name} meets {who}"
        for name, plane in self.planes.items():
            # Its own kubeconfigs trust the first one alone: they lead to its own API server.
            assert verifies(plane.leaf["ca"], split_certificates(plane.trust["ca"])[0])
            assert verifies(plane.leaf["ca"], files["ca.crt"]), f"{name} meets the operator"
            assert verifies(booting.leaf["ca"], plane.trust["ca"]), f"the operator meets {name}"

    def meet(
        self,
        plane: Party,
        planes: Iterable[Party],
        workers: Iterable[Party],
        pods: Iterable[bytes],
        told: Mapping[str, str],
    ) -> Iterator[tuple[str, bytes, bytes]]:
        """Yield what is presented and who has to trust it, for all that meet one control plane."""
        for other in planes:
            for name in CAS:
                yield f"a control plane ({name})", other.leaf[name], plane.trust[name]
        for worker in workers:
            yield "a kubelet that calls it", worker.leaf["ca"], plane.trust["ca"]
            yield "a kubelet that it calls", worker.leaf["serving"], plane.trust["ca"]
            yield "a kubelet that trusts", plane.leaf["ca"], worker.trust["ca"]
        for bundle in pods:
            yield "a pod", plane.leaf["ca"], bundle
        for key, file in EXTENSION_FILES.items():
            yield "an extension server", plane.leaf[file.removesuffix(".crt")], told[key].encode()

    def issuers(self) -> set[str]:
        """Fingerprints of all CAs that anything trusts or tells."""
        told = [text.encode() for text in self.cluster.inner.objects[EXTENSION]["data"].values()]
        parties = (*self.planes.values(), *self.workers.values())
        trusts = [bundle for party in parties for bundle in party.trust.values()]
        bundles = [*told, *trusts, *self.pods.values(), self.published()]
        return {build_fingerprint(each) for bundle in bundles for each in split_certificates(bundle)}

    def dial(self, trusted: bytes, client: bytes) -> InnerApi:
        return InnerApi(Dialled(self, trusted, client))  # type: ignore[arg-type]

    def dial_operator(self) -> InnerApi:
        """Connect as `Reach.inner` does: with what the host holds now."""
        files = decode(self.cluster.host, PKI)
        return self.dial(files["ca.crt"], sign(files["ca.crt"], files["ca.key"]))

    def look_through(self, _site: Any, node: str, port: int, look: Callable[[int], str | Pending]) -> str | Pending:
        self.cluster.fuse.burn()
        assert port == 10250
        assert node not in self.cluster.down
        return look(port)

    def check_served(self, _port: int, *, server_name: str, ca: bytes) -> str | Pending:
        party = self.planes.get(server_name) or self.workers[server_name]
        leaf = party.leaf.get("serving", party.leaf["ca"])
        return "new" if verifies(leaf, ca) else Pending(f"{server_name} presents another certificate")

    def tell_kubelet_metrics(self, node: str) -> Reply:
        end = fetch_not_after(self.workers[node].leaf["ca"]).timestamp()
        now = ca_proof.datetime.now(ca_proof.UTC).timestamp()
        return Reply(200, f"kubelet_certificate_manager_client_ttl_seconds {end - now:.0f}\n".encode())


class Dialled:
    """A connection that verifies the API server that answers, and is known by it or refused."""

    server = "https://x"
    target = 'inner cluster "dev"'

    def __init__(self, cas: Cas, trusted: bytes, client: bytes) -> None:
        self._cas = cas
        self._trusted = trusted
        self._client = split_certificates(client)[0]

    def call(self, method: str, path: str, **named: Any) -> Reply:
        cluster = self._cas.cluster
        answering = cluster.answering()
        (node,) = [node for node, server in cluster.servers.items() if server is answering]
        plane = self._cas.planes[node]
        if not verifies(plane.leaf["ca"], self._trusted):
            raise ApiError(f"{self.target}: its TLS certificate is not the expected one")
        if not verifies(self._client, plane.trust["ca"]):
            raise ApiError(f"{self.target}: Unauthorized (401)", status=401)
        if path.endswith("/selfsubjectreviews"):
            cluster.fuse.burn()
            return Reply(201, json.dumps({"status": {"userInfo": {"username": read_name(self._client)}}}).encode())
        return cluster.inner.call(method, path, **named)


def watch_cas(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> Cas:
    """Give a fake cluster its certificates, and check them at every change from here on."""
    made = Cas(cluster)
    for name in NAMESPACES:
        cluster.inner.add("/api/v1/namespaces", name)
    made.publish(decode(cluster.host, PKI)["ca.crt"])
    for node in cluster.site.control_planes:
        made.planes[node] = Party.boot_plane(decode(cluster.host, PKI))
    for node in cluster.site.workers:
        made.workers[node] = Party.boot_worker(decode(cluster.host, made.secret_of(node)))
        cluster.inner.answers[("GET", f"{NODES}/{node}/proxy/metrics")] = _tell(made, node)
    for node in (*cluster.site.control_planes, *cluster.site.workers):
        made.add_pod(node)
    made.leader = cluster.site.control_planes[0]
    made.tell_extension()
    boot, host_changed, inner_changed = cluster.boot, cluster.host.after, cluster.inner.after

    def boot_too(node: str) -> None:
        boot(node)
        made.start(node)

    def host_changed_too(method: str, path: str) -> None:
        host_changed(method, path)
        if method in ("POST", "PUT", "PATCH"):
            made.check()

    def inner_changed_too(method: str, path: str) -> None:
        inner_changed(method, path)
        made.inner_changed(method, path)

    monkeypatch.setattr(cluster, "boot", boot_too)
    cluster.host.after, cluster.inner.after = host_changed_too, inner_changed_too
    cluster.dial = made.dial_operator
    monkeypatch.setattr("kinky.kube.inner.open_inner", lambda access: _dial_access(made, access))
    monkeypatch.setattr(ca_proof, "look_through", made.look_through)
    monkeypatch.setattr(ca_proof, "check_served", made.check_served)
    made.check()
    return made


def _dial_access(made: Cas, access: InnerAccess) -> Dialled:
    return Dialled(made, access.ca_file.read_bytes(), access.credential_file.read_bytes())


def _tell(made: Cas, node: str) -> Callable[[JsonObject], Reply]:
    return lambda _sent: made.tell_kubelet_metrics(node)
