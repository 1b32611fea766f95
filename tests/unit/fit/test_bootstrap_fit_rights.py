"""Which rights on the host are asked for, and how."""

from __future__ import annotations

from typing import Any

import pytest

from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.fit.rights import NEEDS, build_rights, fetch_missing, render_rights
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership import orphans, residue
from tests.unit.fake_api import FakeConnection

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def make_config(**sections: dict[str, Any]) -> KinkyConfig:
    return load_config({"cluster": {"name": "dev"}, "host": {"embedded": True}, **sections}, source="test")


def ask_denied(config: KinkyConfig, *denied: tuple[str, str]) -> list[str]:
    host = FakeConnection()
    host.denied = set(denied)
    return fetch_missing(
        HostApi(host, HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")), config
    )  # type: ignore[arg-type]


SMALL = make_config(
    cluster={"name": "dev", "ephemeral": True},
    access={"mode": "loadBalancer"},
    secretsStore={"kind": "inCluster"},
    virtualMachine={"serialConsoleLog": "never"},
)
LARGE = make_config(
    cluster={"name": "dev", "lease": {"ttl": "2h"}}, controlPlane={"replicas": 3}, access={"mode": "nodePort"}
)


@pytest.mark.parametrize("config", [SMALL, LARGE], ids=["small", "large"])
def test_everything_that_destroy_lists_is_asked_for(config: KinkyConfig) -> None:
    listed = {need.resource for need, verb in build_rights(config) if verb == "list"}
    assert listed >= {*residue.KINDS, *orphans.KINDS}


def test_what_only_some_configurations_need() -> None:
    for need in (need for need in NEEDS if need.resource != resources.EVENTS):
        assert need.applies(LARGE), "the large one needs everything but what only other commands need"
        assert need.applies(SMALL) == (need.when == "always") or need.resource == resources.NAMESPACES
    alone = make_config(host={"embedded": True, "createNamespace": False})
    assert resources.NAMESPACES not in {need.resource for need, _ in build_rights(alone)}


def test_several_control_planes_need_a_forward_whatever_the_access() -> None:
    forward = ("create", "pods/portforward")
    assert ask_denied(LARGE, forward) == ["namespace ns: no right to create pods/portforward"]
    assert ask_denied(SMALL, forward) == []


def test_a_missing_right_says_where_it_is_missing() -> None:
    denied = ask_denied(
        LARGE, ("list", "nodes"), ("delete", "namespaces"), ("get", "services"), ("list", "endpointslices")
    )
    assert denied == [
        "the whole host: no right to delete namespaces",
        "namespace ns: no right to get services",
        "namespace ns: no right to list endpointslices.discovery.k8s.io",
        "the whole host: no right to list nodes",
    ]


def test_each_right_is_asked_for_where_the_api_will_look(monkeypatch: pytest.MonkeyPatch) -> None:
    host = FakeConnection()
    asked: list[dict[str, str]] = []
    call = host.call

    def record(method: str, path: str, **options: Any) -> Any:
        assert path == REVIEWS
        asked.append(options["body"]["spec"]["resourceAttributes"])
        return call(method, path, **options)

    monkeypatch.setattr(host, "call", record)
    fetch_missing(HostApi(host, HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")), LARGE)  # type: ignore[arg-type]
    assert {"verb": "create", "group": "", "resource": "namespaces"} in asked
    # A Role in the namespace is enough to look at it: the API takes a namespace as lying in itself.
    assert {"verb": "get", "group": "", "resource": "namespaces", "namespace": "ns", "name": "ns"} in asked
    assert {"verb": "list", "group": "", "resource": "nodes"} in asked
    assert {"verb": "list", "group": "policy", "resource": "poddisruptionbudgets", "namespace": "ns"} in asked


def test_the_table_has_a_row_for_each_need() -> None:
    rows = [line for line in render_rights().splitlines() if line.startswith("| ")]
    assert len(rows) == len(NEEDS) + 1
    assert rows[-1].startswith("| the whole host | `nodes` | list | ")
