"""The published endpoint: the address that clients outside use."""

import pytest

from kinky.errors import HostError, WaitError
from kinky.kube.access import HostAccess
from kinky.kube.connection import ApiError
from kinky.kube.host import HostApi
from kinky.reach import exposure
from tests.unit.fake_api import FakeClock, FakeConnection, answer_node

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
SERVICE = "/api/v1/namespaces/ns/services"


def publish(mode: str, node_port: int | None = None) -> str:
    spec = exposure.PublishSpec(mode=mode, node_port=node_port)
    return exposure.ensure_published(HostApi.connect(ACCESS), "dev", spec, limit_seconds=5)


def test_load_balancer_waits_for_its_address(host: FakeConnection, clock: FakeClock) -> None:
    host.add(SERVICE, "dev-endpoint", spec={})
    with pytest.raises(WaitError, match="no address yet"):
        publish("loadBalancer")
    host.add(SERVICE, "dev-endpoint", status={"loadBalancer": {"ingress": [{"ip": "fd00::1"}]}})
    assert publish("loadBalancer") == "https://[fd00::1]:6443"


def test_node_port_is_on_a_ready_node(host: FakeConnection, clock: FakeClock) -> None:
    host.add(SERVICE, "dev-endpoint", spec={"ports": [{"port": 6443, "nodePort": 31000}]})
    answer_node(host, "down", ready=False, address="192.0.2.1", labels={})
    with pytest.raises(WaitError, match="no node of the host is Ready"):
        publish("nodePort")
    answer_node(host, "up", ready=True, address="192.0.2.2", labels={})
    assert publish("nodePort") == "https://192.0.2.2:31000"
    with pytest.raises(HostError, match="has nodePort 31000, not 30001"):
        publish("nodePort", 30001)


def test_nodes_that_may_not_be_listed_are_final_and_a_silent_api_is_not(host: FakeConnection) -> None:
    host.add(SERVICE, "dev-endpoint", spec={"ports": [{"port": 6443, "nodePort": 31000}]})
    host.answer("GET", "/api/v1/nodes", {"reason": "Forbidden", "message": "no"}, status=403)
    with pytest.raises(HostError, match=r"access\.mode nodePort needs a node's address") as caught:
        publish("nodePort")
    # Who waits takes an ApiError for something that passes.
    assert not isinstance(caught.value, ApiError)
    host.answer("GET", "/api/v1/nodes", {"reason": "ServiceUnavailable"}, status=503)
    with pytest.raises(ApiError):
        publish("nodePort")
