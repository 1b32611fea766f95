"""Who gets container guests, when they are offered, and how the host says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kinky import names
from kinky.embedded import cluster, container_guests, container_trial, kubevirt_images
from kinky.embedded.layout import Layout

IMAGE = kubevirt_images.reference("container-launcher")


class Host:
    """Stands for the host's API: what kubectl was asked for."""

    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []
        self.calls: list[tuple[str, ...]] = []
        self.node: dict[str, Any] | None = None

    def apply(self, _place: Layout, documents: list[dict[str, Any]], *, reason: str) -> None:
        assert reason
        self.applied += documents

    def kubectl(self, _kubeconfig: Path, *arguments: str, reason: str) -> str:
        assert reason
        self.calls.append(arguments)
        return json.dumps(self.node) if self.node else ""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    monkeypatch.setattr(cluster, "apply", made.apply)
    monkeypatch.setattr(cluster, "kubectl", made.kubectl)
    return made


def test_the_policy_swaps_one_container_of_kubevirts_own_pods() -> None:
    spec: Any = container_guests.build_policy()["spec"]
    assert spec["matchConstraints"] == {
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "namespaceSelector": {"matchLabels": {"kinky.dev/accelerator": "container"}},
        "objectSelector": {"matchLabels": {"kubevirt.io": "virt-launcher"}},
    }
    assert [condition["expression"] for condition in spec["matchConditions"]] == [
        "request.userInfo.username == 'system:serviceaccount:kubevirt:kubevirt-controller'",
        "object.spec.containers.exists(c, c.name == 'compute')",
    ]
    assert spec["failurePolicy"] == "Fail"
    assert spec["variables"] == [
        {"name": "at", "expression": "object.spec.containers.map(c, c.name).indexOf('compute')"}
    ]
    (mutation,) = spec["mutations"]
    assert mutation["jsonPatch"]["expression"] == (
        "[\n"
        '  JSONPatch{op: "replace", path: "/spec/containers/" + string(variables.at) + "/image", '
        f'value: "{IMAGE}"}},\n'
        '  JSONPatch{op: "add", path: "/spec/containers/" + string(variables.at) + "/securityContext", value: '
        "Object.spec.containers.securityContext{privileged: true, runAsUser: 0, runAsGroup: 0, runAsNonRoot: false}}\n"
        "]"
    )


def test_the_binding_is_of_that_policy() -> None:
    policy: Any = container_guests.build_policy()
    binding: Any = container_guests.build_binding()
    assert binding["spec"] == {"policyName": policy["metadata"]["name"]}


def test_an_offer_is_made_after_a_trial(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(container_trial, "find_obstacle", lambda _place: "")
    container_guests.offer(Layout(tmp_path))
    assert [document["kind"] for document in host.applied] == [
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
    ]
    assert host.calls == [("annotate", "--overwrite", "node", "kinky-host", "kinky.dev/container-guests=offered")]
    assert "a guest's root is as good as root on this machine" in capsys.readouterr().err


def test_without_a_trial_that_succeeds_the_policy_goes_and_the_reason_stays(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(container_trial, "find_obstacle", lambda _place: "FUSE: there is no /dev/fuse")
    container_guests.offer(Layout(tmp_path))
    assert not host.applied
    told, removed = host.calls
    assert told[-1] == "kinky.dev/container-guests=FUSE: there is no /dev/fuse"
    assert removed[0] == "delete"
    assert "--ignore-not-found" in removed
    assert "container guests: not offered (FUSE: there is no /dev/fuse)" in capsys.readouterr().err


def test_the_offer_is_read_from_the_node(host: Host, tmp_path: Path) -> None:
    assert container_guests.fetch_offer(Layout(tmp_path)) == ""
    host.node = {"metadata": {"annotations": {names.CONTAINER_GUESTS: "offered"}}}
    assert container_guests.fetch_offer(Layout(tmp_path)) == "offered"
