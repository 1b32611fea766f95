"""Container guests only where the stack asks for them, the host offers them and the namespace says so."""

from pathlib import Path
from typing import Any

import pytest

from kinky import names
from kinky.accelerator import Accelerator
from kinky.config.model import KinkyConfig
from kinky.fit import fit
from kinky.kube.host import HostApi
from tests.unit.fake_api import FakeConnection
from tests.unit.fitting_host import ACCESS, add_kubevirt, add_node, build_host, make_config, refuse

LABEL = {names.LABEL_ACCELERATOR: "container"}
OWN = names.cluster_labels("dev")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeConnection:
    host = build_host(monkeypatch, tmp_path)
    add_node(host, kvm="0", guests=names.OFFERED)
    add_kubevirt(host, emulates=True)
    add_namespace(host, OWN)
    return host


def add_namespace(host: FakeConnection, labels: dict[str, str]) -> None:
    host.add("/api/v1/namespaces", "ns", metadata={"labels": labels}, status={"phase": "Active"})


def container(**host: Any) -> KinkyConfig:
    return make_config(
        host={"embedded": True, "accelerator": "container", "encryptionAtRest": "unknown"} | host,
        # What the host's own networks leave.
        network={"podCidrs": ["10.243.0.0/16"]},
    )


def test_a_host_that_offers_them_fits(host: FakeConnection) -> None:
    found = fit.check_fit(container(), HostApi.connect(ACCESS), stack="me")
    assert found.accelerator is Accelerator.CONTAINER


def test_auto_never_means_them(host: FakeConnection) -> None:
    assert fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me").accelerator is Accelerator.EMULATION


def test_the_reason_of_the_host_is_told(host: FakeConnection) -> None:
    add_node(host, kvm="0", guests="a loop device: no free one")
    message = refuse(container())
    assert "host.accelerator = container: the host offers no container guests: a loop device: no free one" in message
    assert "remove the cause, then run kinky host up; or set host.accelerator: auto" in message


def test_a_host_that_says_nothing_is_older(host: FakeConnection) -> None:
    add_node(host, kvm="0")
    message = refuse(container())
    assert "the host does not say whether it offers container guests" in message
    assert "kinky host up" in message


def test_a_namespace_that_is_not_there_is_made_with_the_label(host: FakeConnection) -> None:
    del host.objects["/api/v1/namespaces/ns"]
    assert fit.check_fit(container(), HostApi.connect(ACCESS), stack="me").accelerator is Accelerator.CONTAINER


@pytest.mark.parametrize("settings", [{"createNamespace": False}, {}], ids=["given", "made by somebody else"])
def test_a_namespace_of_somebody_else_needs_the_label(host: FakeConnection, settings: dict[str, Any]) -> None:
    add_namespace(host, {"kubernetes.io/metadata.name": "ns"})
    message = refuse(container(**settings))
    assert "host.accelerator = container: namespace ns has no label kinky.dev/accelerator" in message
    assert "kubectl label namespace ns --overwrite kinky.dev/accelerator=container" in message
    add_namespace(host, LABEL)
    fit.check_fit(container(**settings), HostApi.connect(ACCESS), stack="me")


def test_a_label_that_nobody_asked_for_is_refused(host: FakeConnection) -> None:
    add_namespace(host, LABEL)
    message = refuse(make_config())
    assert "host.accelerator = auto: namespace ns has the label kinky.dev/accelerator=container" in message
    assert "kubectl label namespace ns --overwrite kinky.dev/accelerator-" in message


def test_the_label_of_the_own_namespace_is_changed_by_up(host: FakeConnection) -> None:
    add_namespace(host, OWN | LABEL)
    assert fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me").accelerator is Accelerator.EMULATION


def test_the_label_of_a_namespace_with_another_cluster_stays(host: FakeConnection) -> None:
    labels = names.cluster_labels("other")
    host.add("/api/v1/namespaces/ns/configmaps", "other-record", metadata={"labels": labels}, data={"stack": "x"})
    message = refuse(container())
    assert "namespace ns has no label kinky.dev/accelerator" in message
    assert "the label counts for cluster other too: choose another host.namespace for one of them" in message
