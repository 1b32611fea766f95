"""The gate inside as an API server obeys it, and a worker that waits for it to open."""

import json
from typing import Any

import pytest

from kinky.gate import gate, wall
from kinky.keys import material
from kinky.kube.access import HostAccess
from kinky.kube.connection import JsonObject, Reply
from kinky.kube.host import HostApi
from kinky.manifests.gate import build_gate
from kinky.reach.reach import Reach
from tests.unit.fake_api import FakeConnection, answer_node
from tests.unit.fake_store import PROOF, Operator, start_operator

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
SERVER = "https://x"
STATE = "/api/v1/namespaces/kinky-system/configmaps/kinky-gate"
POLICY = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/kinky-gate"
BINDING = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/kinky-gate"
RIGHT = "/apis/rbac.authorization.k8s.io/v1/namespaces/kinky-system/roles/kinky-gate"
GRANT = "/apis/rbac.authorization.k8s.io/v1/namespaces/kinky-system/rolebindings/kinky-gate"
SCHEMA = "/openapi/v2"
PROBE = "/api/v1/namespaces/default/pods/kinky-gate/binding"
TAINT = {"key": "kinky.dev/secrets-not-ready", "effect": "NoSchedule"}
OTHER_TAINT = {"key": "only", "value": "edge", "effect": "NoSchedule"}


class Wall:
    """What an API server makes of the policy, its binding and the right that it asks for."""

    def __init__(self, inner: FakeConnection) -> None:
        self.inner = inner
        self.stands = True
        """Whether the API server has learnt of the policy."""
        inner.answers[("POST", PROBE)] = self.answer
        inner.answer("GET", SCHEMA, "a schema")

    def answer(self, _sent: JsonObject) -> Reply:
        objects = self.inner.objects
        is_open = {RIGHT, GRANT} <= objects.keys()
        if self.stands and {POLICY, BINDING} <= objects.keys() and not is_open:
            told = "ValidatingAdmissionPolicy 'kinky-gate' with binding 'kinky-gate' denied request: closed"
            return Reply(403, json.dumps({"message": told}).encode())
        return Reply(404, json.dumps({"message": 'pods "kinky-gate" not found'}).encode())


def start_walled(host: FakeConnection, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """Make a store that works, a host that holds the keys, and a worker that takes nothing yet."""
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    made = start_operator(host, wall.inner, monkeypatch)
    add_worker(wall.inner, "dev-worker-0", [OTHER_TAINT, TAINT])
    return made


def add_wall(inner: FakeConnection) -> None:
    """Put the wall there as it is declared, without a call."""
    for body in build_gate()[1:]:
        fields = json.loads(json.dumps(body))
        metadata = fields.pop("metadata")
        inner.add(wall.KINDS[body["kind"]].build_path(metadata.get("namespace")), metadata["name"], **fields)


def add_worker(inner: FakeConnection, name: str, taints: list[dict[str, str]]) -> None:
    answer_node(inner, name, ready=True, address="10.96.0.2", labels={})
    inner.objects[f"/api/v1/nodes/{name}"]["spec"] = {"taints": taints}


def raise_wall() -> gate.GateState:
    return gate.raise_wall(Reach(ACCESS, SERVER), limit_seconds=30)


def open_gate(*, by_hand: bool = False) -> gate.GateState:
    return gate.open_gate(Reach(ACCESS, SERVER), PROOF, limit_seconds=30, by_hand=by_hand)


def taints(inner: FakeConnection, node: str = "dev-worker-0") -> Any:
    return inner.objects[f"/api/v1/nodes/{node}"]["spec"]["taints"]
