"""Fit looks at the ports that the cluster's published path needs."""

import json
import socket
from collections.abc import Iterator

import pytest

from kinky import names, paths, process
from kinky.fit import ports as fit_ports
from tests.unit.fake_api import FakeConnection
from tests.unit.fitting_host import fits, make_config, refuse

is_free = fit_ports.is_free


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port of this machine on which somebody listens."""
    monkeypatch.setattr(fit_ports, "is_free", is_free)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield int(holder.getsockname()[1])


def record_forward(cluster: str, port: int, monkeypatch: pytest.MonkeyPatch, *, alive: bool) -> None:
    folder = paths.stack_dir(cluster)
    (folder / "forward.json").write_text(
        json.dumps({"cluster": cluster, "kubeconfig": "/k", "context": None, "namespace": "ns", "local_port": port})
    )
    (folder / "forward.pid").write_text("4711\n")
    monkeypatch.setattr(process, "is_alive", lambda pid, *, expect: alive and pid == 4711 and cluster in expect)


def test_fault_14_a_local_port_that_another_program_has(
    host: FakeConnection, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(access={"localPort": taken})
    expected = f"local port {taken} (access.localPort) is taken by another program"
    assert expected in refuse(config)
    record_forward("dev", taken, monkeypatch, alive=False)
    assert expected in refuse(config), "a forward that was killed holds no port"
    monkeypatch.setattr("kinky.names.forward_port", lambda _cluster: taken)
    assert "(the port that follows from cluster.name dev)" in refuse(make_config())
    assert fits(make_config(access={"mode": "loadBalancer"})) == ()


def test_fault_14_the_cluster_s_own_forward_may_run(
    host: FakeConnection, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_forward("dev", taken, monkeypatch, alive=True)
    assert fits(make_config(access={"localPort": taken})) == ()


def test_fault_14_another_cluster_s_forward_is_named(
    host: FakeConnection, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_forward("other", taken, monkeypatch, alive=True)
    assert "is taken by the forward of inner cluster other" in refuse(make_config(access={"localPort": taken}))


def test_fault_14_a_node_port_that_another_service_has(host: FakeConnection) -> None:
    ports = [{"port": 80, "nodePort": 31000}]
    host.add("/api/v1/namespaces/web/services", "shop", spec={"ports": ports, "healthCheckNodePort": 31001})
    config = make_config(access={"mode": "nodePort", "nodePort": 31000})
    assert "access.nodePort = 31000: Service web/shop of the host has it" in refuse(config)
    assert "31001: Service web/shop" in refuse(make_config(access={"mode": "nodePort", "nodePort": 31001}))
    del host.objects["/api/v1/namespaces/web/services/shop"]
    own = {"labels": names.cluster_labels("dev")}
    host.add("/api/v1/namespaces/ns/services", "dev-endpoint", metadata=own, spec={"ports": ports})
    assert fits(config) == (), "it is the cluster's own"


def test_fault_14_a_node_port_outside_the_usual_range(host: FakeConnection) -> None:
    config = make_config(access={"mode": "nodePort", "nodePort": 20443})
    (warning,) = fits(config)
    assert warning.startswith("access.nodePort = 20443 is not in 30000 to 32767")
    host.add("/api/v1/namespaces/web/services", "shop", spec={"ports": [{"nodePort": 20080}]})
    assert fits(config) == (), "a host with another range"
