"""The table of rights names each right with its condition, and the check asks for the same ones."""

from typing import Any

import pytest

from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.errors import HostError
from kinky.fit import fit
from kinky.fit.rights import build_rights, fetch_missing, render_rights
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.scan import host as scanned
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
LOOPBACK = "https://127.0.0.1:6443"
ROW = "| namespace `default` | `services/kubernetes` | get | `secretsStore.kind` is `hostNamespace`, and "
MISSING = "namespace default: no right to get services/kubernetes"


def make_config(**sections: dict[str, Any]) -> KinkyConfig:
    usual: dict[str, dict[str, Any]] = {"cluster": {"name": "dev"}, "host": {"embedded": True, "namespace": "ns"}}
    return load_config({**usual, **sections}, source="test")


class OneDenied(FakeConnection):
    """A host that denies the one Service, and no other."""

    def call(self, method: str, path: str, **options: Any) -> Any:
        if path.endswith("/selfsubjectaccessreviews"):
            asked = options["body"]["spec"]["resourceAttributes"]
            is_it = (asked.get("namespace"), asked["resource"], asked.get("name")) == (
                "default",
                "services",
                "kubernetes",
            )
            self.denied = {("get", "services")} if is_it else set()
        return super().call(method, path, **options)


@pytest.mark.parametrize("server", [LOOPBACK, "https://localhost:6443", "https://[::1]:6443", "https://127.9.9.9"])
def test_fault_23_a_loopback_address_needs_the_hosts_service(server: str) -> None:
    connection = OneDenied(server=server)
    assert fetch_missing(HostApi(connection, ACCESS), make_config()) == [MISSING]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("server", "kind"), [("https://host.test:6443", "hostNamespace"), (LOOPBACK, "inCluster"), (LOOPBACK, "vault")]
)
def test_fault_23_without_that_condition_it_is_not_asked_for(server: str, kind: str) -> None:
    store: dict[str, Any] = {"kind": kind} | ({"vault": {"address": "https://v.test"}} if kind == "vault" else {})
    config = make_config(cluster={"name": "dev", "ephemeral": True}, secretsStore=store)
    connection = OneDenied(server=server)
    assert fetch_missing(HostApi(connection, ACCESS), config) == []  # type: ignore[arg-type]
    assert not [need for need, _ in build_rights(config, server=server) if need.namespace]


def test_fault_23_the_table_has_the_right_with_its_condition() -> None:
    (row,) = [line for line in render_rights().splitlines() if line.startswith("| namespace `default` |")]
    assert row.startswith(ROW)
    assert "loopback address" in row


def test_fault_23_fit_names_the_right_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = OneDenied(server=LOOPBACK)
    connection.served = {"kubevirt.io/v1": ["virtualmachines"]}
    connection.answer("GET", "/version", {"gitVersion": "v1.36.3"})
    for path in ("/api/v1/namespaces/default/services/kubernetes", "/apis/kubevirt.io/v1/kubevirts"):
        connection.answer("GET", path, {"reason": "Forbidden"}, status=403)
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: connection)
    with pytest.raises(HostError) as caught:
        fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me")
    assert MISSING in caught.value.details
    assert f"{LOOPBACK} leads nowhere from a node" in str(caught.value)


def test_fault_23_the_table_has_each_kind_that_a_scan_reads() -> None:
    listed = {
        line.split("`")[1].partition(".")[0]
        for line in render_rights().splitlines()
        if line.startswith("| the namespace |") and "list" in line
    }
    assert listed >= {kind.plural for kind in scanned.KINDS}
    assert "| the namespace | `events` | list | `kinky scan`, `kinky why` |" in render_rights()
    assert "`kinky scan`" in next(line for line in render_rights().splitlines() if "`pods/log`" in line)
