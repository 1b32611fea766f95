"""The namespace belongs to who made it; orphans are what an interrupted run of its stack left."""

from dataclasses import replace
from typing import Any

import pytest

from kinky import names, retry
from kinky.errors import WaitError
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership import namespace, orphans, record
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
NAMESPACES = "/api/v1/namespaces"
BODY: dict[str, Any] = {"metadata": {"name": "ns", "labels": names.cluster_labels("dev")}}


@pytest.fixture
def host(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    monkeypatch.setattr(retry, "pause", lambda _seconds: None)
    monkeypatch.setenv("KINKY_PROGRESS", "quiet")
    return host


def test_an_absent_namespace_is_made(host: FakeConnection) -> None:
    assert namespace.ensure_namespace(HostApi.connect(ACCESS), BODY)
    assert host.objects[f"{NAMESPACES}/ns"]["metadata"]["labels"] == names.cluster_labels("dev")


def test_one_that_an_interrupted_run_made_is_still_its_own(host: FakeConnection) -> None:
    host.add(NAMESPACES, "ns", metadata={"labels": names.cluster_labels("dev")})
    assert namespace.ensure_namespace(HostApi.connect(ACCESS), BODY)


@pytest.mark.parametrize("labels", [{}, names.cluster_labels("other")], ids=["a person's", "another cluster's"])
def test_a_namespace_of_somebody_else_is_left_as_it_is(host: FakeConnection, labels: dict[str, str]) -> None:
    host.add(NAMESPACES, "ns", metadata={"labels": labels})
    assert not namespace.ensure_namespace(HostApi.connect(ACCESS), BODY)
    assert host.objects[f"{NAMESPACES}/ns"]["metadata"]["labels"] == labels


CONTAINER = names.cluster_labels("dev") | {names.LABEL_ACCELERATOR: "container"}


@pytest.mark.parametrize(("before", "wanted"), [({}, CONTAINER), (CONTAINER, names.cluster_labels("dev"))])
def test_an_earlier_namespace_gets_and_loses_the_label_of_the_accelerator(
    host: FakeConnection, before: dict[str, str], wanted: dict[str, str]
) -> None:
    host.add(NAMESPACES, "ns", metadata={"labels": names.cluster_labels("dev") | {"mine": "stays"} | before})
    body = {"metadata": {"name": "ns", "labels": wanted}}
    assert namespace.is_ground_wrong(HostApi.connect(ACCESS), body)
    namespace.ensure_ground(HostApi.connect(ACCESS), body)
    labels = host.objects[f"{NAMESPACES}/ns"]["metadata"]["labels"]
    assert labels.get(names.LABEL_ACCELERATOR) == wanted.get(names.LABEL_ACCELERATOR)
    assert labels["mine"] == "stays"
    assert not namespace.is_ground_wrong(HostApi.connect(ACCESS), body)


def test_the_namespace_goes(host: FakeConnection) -> None:
    host.add(NAMESPACES, "ns", metadata={"labels": names.cluster_labels("dev")})
    namespace.delete_namespace(HostApi.connect(ACCESS), limit_seconds=5)
    assert f"{NAMESPACES}/ns" not in host.objects
    namespace.delete_namespace(HostApi.connect(ACCESS), limit_seconds=5)


def test_it_stays_while_another_cluster_lives_in_it(host: FakeConnection) -> None:
    host.add(NAMESPACES, "ns", metadata={"labels": names.cluster_labels("dev")})
    record.ensure_record(HostApi.connect(replace(ACCESS, cluster="other")), "organization/kinky/other", {})
    namespace.delete_namespace(HostApi.connect(ACCESS), limit_seconds=5)
    assert f"{NAMESPACES}/ns" in host.objects


def test_a_namespace_that_does_not_go_is_told_with_the_reason(host: FakeConnection) -> None:
    condition = {"type": "NamespaceContentRemaining", "status": "True", "message": "pods has 1 resource instances"}
    host.add(NAMESPACES, "ns", metadata={"labels": names.cluster_labels("dev")}, status={"conditions": [condition]})
    host.answer("DELETE", f"{NAMESPACES}/ns", {})
    with pytest.raises(WaitError, match="pods has 1 resource instances"):
        namespace.delete_namespace(HostApi.connect(ACCESS), limit_seconds=0.05)


def test_only_own_objects_are_orphans(host: FakeConnection) -> None:
    secrets, services = f"{NAMESPACES}/ns/secrets", f"{NAMESPACES}/ns/services"
    host.add(secrets, "dev-worker-0-user-data-01234567", metadata={"labels": names.cluster_labels("dev")})
    host.add(services, "dev-worker-0", metadata={"labels": names.cluster_labels("dev")})
    host.add(secrets, "dev-pki", metadata={"labels": names.cluster_labels("dev")})
    host.add(secrets, "other-pki", metadata={"labels": names.cluster_labels("other")})
    host.add(secrets, "mine", metadata={"labels": {names.LABEL_CLUSTER: "dev"}})
    going = {"labels": names.cluster_labels("dev"), "deletionTimestamp": "2026-11-22T00:00:00Z"}
    host.add(services, "dev-endpoint", metadata=going)
    found = orphans.delete_orphans(HostApi.connect(ACCESS), ignore=["Secret/dev-pki"])
    assert sorted(found) == ["Secret/dev-worker-0-user-data-01234567", "Service/dev-worker-0"]
    left = {path.rpartition("/")[2] for path in host.objects}
    assert left == {"dev-pki", "other-pki", "mine", "dev-endpoint"}
