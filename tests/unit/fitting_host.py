"""A host that fits, for tests that take one thing away from it."""

from pathlib import Path
from typing import Any

import pytest

from kinky import names
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.errors import HostError
from kinky.fit import fit
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
SERVED = {"kubevirt.io/v1": ["virtualmachines", "virtualmachineinstances"]}


def make_config(**sections: dict[str, Any]) -> KinkyConfig:
    host = {"namespace": "ns", "encryptionAtRest": "attested"} | sections.pop("host", {})
    image = {"reference": "example.test/node:1"} | sections.pop("image", {})
    return load_config({"cluster": {"name": "dev"}, "host": host, "image": image, **sections}, source="test")


def build_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeConnection:
    """Build a host where everything fits."""
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "state"))
    # A forward of this machine's user may have the port that follows from the cluster's name.
    monkeypatch.setattr("kinky.fit.ports.is_free", lambda _port: True)
    connection = FakeConnection()
    connection.served = dict(SERVED)
    connection.answer("GET", "/version", {"gitVersion": "v1.36.3"})
    connection.add("/api/v1/namespaces", "ns", status={"phase": "Active"})
    add_node(connection, kvm="110")
    connection.add("/api/v1/namespaces/default/services", "kubernetes", spec={"clusterIP": "10.96.0.1"})
    add_kubevirt(connection, emulates=False)
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    connection.add("/apis/storage.k8s.io/v1/storageclasses", "local", metadata=default, provisioner="example.test/disk")
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: connection)
    return connection


def add_node(host: FakeConnection, *, kvm: str, guests: str = "") -> None:
    status = {
        "allocatable": {
            "cpu": "8",
            "memory": "32Gi",
            "ephemeral-storage": "100Gi",
            "devices.kubevirt.io/kvm": kvm,
            "devices.kubevirt.io/tun": "1k",
            "devices.kubevirt.io/vhost-net": "1k",
        },
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.84.0.1"}, {"type": "Hostname", "address": "n"}],
    }
    labels = {"kubernetes.io/arch": "amd64", "kubevirt.io/schedulable": "true"}
    annotations = {names.CONTAINER_GUESTS: guests} if guests else {}
    metadata = {"labels": labels, "annotations": annotations}
    host.add("/api/v1/nodes", "n", metadata=metadata, spec={"podCIDRs": ["10.85.0.0/16"]}, status=status)


def add_kubevirt(host: FakeConnection, *, emulates: bool, phase: str = "Deployed") -> None:
    host.add(
        "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts",
        "kubevirt",
        spec={"configuration": {"developerConfiguration": {"useEmulation": emulates}}},
        status={"phase": phase},
    )


def refuse(config: KinkyConfig, **arguments: Any) -> str:
    """Return the text of the error with which fit refuses the host."""
    with pytest.raises(HostError) as caught:
        fit.check_fit(config, HostApi.connect(ACCESS), **({"stack": "me"} | arguments))
    return str(caught.value)


def fits(config: KinkyConfig) -> tuple[str, ...]:
    """Return the warnings of a host that fits."""
    return fit.check_fit(config, HostApi.connect(ACCESS), stack="me").warnings
