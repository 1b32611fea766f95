"""The consoles' logs: when they end, and what is told of a node that has none."""

from kinky import names
from kinky.forming import diagnose
from kinky.forming.console import stop_console_logs
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
VMS = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines"
PODS = "/api/v1/namespaces/ns/pods"


def test_vms_log_no_more_and_keep_all_else(host: FakeConnection) -> None:
    for node in ("a", "b", "c"):
        devices = {"rng": {}, "disks": [{"name": "root"}]}
        host.add(
            VMS,
            node,
            metadata={"labels": names.cluster_labels("dev")},
            spec={"template": {"spec": {"domain": {"devices": devices}, "hostname": node}}},
        )
    stop_console_logs(HostApi.connect(ACCESS), ["a", "b"])
    found = {name: host.objects[f"{VMS}/{name}"]["spec"]["template"]["spec"] for name in ("a", "b", "c")}
    for node in ("a", "b"):
        devices = {"rng": {}, "disks": [{"name": "root"}], "logSerialConsole": False}
        assert found[node] == {"domain": {"devices": devices}, "hostname": node}
    assert "logSerialConsole" not in found["c"]["domain"]["devices"]
    assert {method for method, path in [(call[0], call[1]) for call in host.calls]} == {"GET", "PATCH"}, (
        "nothing restarts"
    )


def describe(host: FakeConnection, *containers: str) -> str:
    host.add(VMS, "a", status={"printableStatus": "Running"})
    labels = {"kinky.dev/node": "a", "kubevirt.io": "virt-launcher"}
    host.add(
        PODS,
        "virt-launcher-a",
        metadata={"labels": labels},
        spec={"containers": [{"name": name} for name in containers]},
        status={"phase": "Running"},
    )
    host.answer("GET", f"{PODS}/virt-launcher-a/log", "")
    return diagnose.describe_node(HostApi.connect(ACCESS), "a")[-1]


def test_a_console_that_is_not_kept_is_told_from_an_empty_one(host: FakeConnection) -> None:
    assert describe(host, "compute", "guest-console-log") == "a: console: empty"
    assert describe(host, "compute") == (
        "a: console: not kept, by virtualMachine.serialConsoleLog; virtctl console a shows what it prints from now on"
    )
