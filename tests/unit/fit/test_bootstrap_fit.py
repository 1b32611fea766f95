"""Fit: each thing that can be wrong with a host, told before anything is touched."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from kinky.fit import fit
from kinky.kube.host import HostApi
from kinky.kube.quantities import parse_quantity
from kinky.releases import default_release
from tests.unit.cluster_records import record_data
from tests.unit.fake_api import FakeConnection
from tests.unit.fitting_host import ACCESS, add_kubevirt, add_node, make_config, refuse


def test_a_host_that_fits(host: FakeConnection) -> None:
    before = dict(host.objects)
    assert fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me") == fit.HostFit(
        accelerator="kvm", warnings=()
    )
    assert host.objects == before
    assert {method for method, path in host.calls if not path.endswith("accessreviews")} == {"GET"}


@pytest.mark.parametrize(("minutes", "told"), [(10, "10 min ahead of"), (-10, "10 min behind")])
def test_a_clock_that_is_not_the_host_s(host: FakeConnection, minutes: int, told: str) -> None:
    host.clock_ahead = timedelta(minutes=minutes)
    assert refuse(make_config()) == (
        "the host cluster does not fit: 1 problem; nothing was touched\n"
        f"  the clock of this machine is {told} the host's, at most 5 min are allowed\n"
        "hint: set the clock that is wrong: timedatectl set-ntp true"
    )


def test_host_that_does_not_answer(host: FakeConnection) -> None:
    host.down = True
    assert refuse(make_config()) == (
        "the host cluster does not fit: 1 problem; nothing was touched\n"
        "  host cluster: cannot get the version: connection refused (server https://host.test:6443)\n"
        "hint: check that the host runs: kinky host status, or kubectl version with its kubeconfig"
    )


def test_host_without_kubevirt(host: FakeConnection) -> None:
    host.served = {}
    message = refuse(make_config())
    assert "cannot create virtual machines: the API kubevirt.io/v1 is not served" in message
    assert "kinky host up" in message


def test_missing_rights_are_named_by_verb_and_kind(host: FakeConnection) -> None:
    host.denied = {("create", "virtualmachines"), ("delete", "virtualmachines"), ("create", "pods/portforward")}
    message = refuse(make_config())
    assert "namespace ns: no right to create, delete virtualmachines.kubevirt.io\n" in message
    assert "namespace ns: no right to create pods/portforward\n" in message
    assert "2 problems" in message


def test_rights_that_are_not_needed_are_not_asked(host: FakeConnection) -> None:
    host.denied = {
        ("create", "pods/portforward"),
        ("create", "persistentvolumeclaims"),
        *((verb, "namespaces") for verb in ("create", "get", "delete")),
        ("list", "nodes"),
        ("get", "pods/log"),
    }
    config = make_config(
        cluster={"name": "dev", "ephemeral": True},
        host={"createNamespace": False},
        access={"mode": "loadBalancer"},
        virtualMachine={"serialConsoleLog": "never"},
    )
    fit.check_fit(config, HostApi.connect(ACCESS), stack="me")


def test_namespace_that_may_not_be_made(host: FakeConnection) -> None:
    del host.objects["/api/v1/namespaces/ns"]
    message = refuse(make_config(host={"createNamespace": False}))
    assert "namespace ns is not there, and host.createNamespace is false" in message
    host.denied = {("create", "namespaces")}
    assert "no right to create namespaces" in refuse(make_config())


def test_namespace_that_is_being_deleted(host: FakeConnection) -> None:
    host.objects["/api/v1/namespaces/ns"]["status"] = {"phase": "Terminating"}
    assert "namespace ns is being deleted" in refuse(make_config())


def test_namespace_that_may_not_be_read_is_taken_as_there(host: FakeConnection) -> None:
    host.answer("GET", "/api/v1/namespaces/ns", {"reason": "Forbidden"}, status=403)
    host.add("/api/v1/namespaces/ns/configmaps", "dev-record", data=record_data(stack="another"))
    assert "already holds a cluster dev of another stack" in refuse(make_config())


def test_quota_too_small_names_the_numbers(host: FakeConnection) -> None:
    hard = {"requests.memory": "4Gi", "pods": "10", "requests.storage": "1Gi", "example.test/gpu": "0"}
    host.add("/api/v1/namespaces/ns/resourcequotas", "small", status={"hard": hard, "used": {"pods": "9"}})
    message = refuse(make_config())
    assert "quota small: requests.memory leaves 4096 MiB of 4Gi, 2 VMs need at least 5520 MiB" in message
    assert "quota small: pods leaves 1 of 10, 2 VMs need at least 2" in message
    assert "quota small: requests.storage leaves 1024 MiB of 1Gi, 2 VMs need at least 2048 MiB" in message


def test_quota_counts_only_what_is_still_to_be_made(host: FakeConnection) -> None:
    labels = {"kinky.dev/cluster": "dev", "app.kubernetes.io/managed-by": "kinky"}
    for name in ("dev-control-plane-0", "dev-worker-0"):
        host.add("/apis/kubevirt.io/v1/namespaces/ns/virtualmachines", name, metadata={"labels": labels})
    hard = {"pods": "2"}
    host.add("/api/v1/namespaces/ns/resourcequotas", "full", status={"hard": hard, "used": {"pods": "2"}})
    fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me")


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (
            {"podCidrs": ["10.85.0.0/16"]},
            "network.podCidrs = 10.85.0.0/16: overlaps 10.85.0.0/16 of pods of host node n",
        ),
        ({"podCidrs": ["10.84.0.0/16"]}, "network.podCidrs = 10.84.0.0/16: overlaps 10.84.0.1 of host node n"),
        (
            {"serviceCidrs": ["10.96.0.0/16"]},
            "network.serviceCidrs = 10.96.0.0/16: overlaps 10.96.0.1 of the host's Service kubernetes",
        ),
    ],
)
def test_inner_networks_that_the_host_uses(host: FakeConnection, network: dict[str, Any], expected: str) -> None:
    assert expected in refuse(make_config(network=network))


def test_pods_tell_a_network_that_no_node_tells(host: FakeConnection) -> None:
    host.objects["/api/v1/nodes/n"]["spec"] = {}
    for number in (1, 2):
        pods = "/api/v1/namespaces/kube-system/pods"
        host.add(pods, f"p{number}", spec={}, status={"podIP": f"10.243.0.{number}"})
    host.add("/api/v1/namespaces/kube-system/pods", "host", spec={"hostNetwork": True}, status={"podIP": "10.95.0.1"})
    message = refuse(make_config())
    assert "overlaps 10.243.0.1 of a pod of the host" in message
    assert "1 problem" in message


def test_the_hosts_own_service_networks_are_used_where_it_tells(host: FakeConnection) -> None:
    host.add("/apis/networking.k8s.io/v1/servicecidrs", "kubernetes", spec={"cidrs": ["10.95.128.0/20"]})
    assert "overlaps 10.95.128.0/20 of the host's Services" in refuse(make_config())


def test_what_cannot_be_read_is_a_warning(host: FakeConnection) -> None:
    forbidden = {"reason": "Forbidden", "message": "no"}
    for path in ("/api/v1/nodes", "/apis/kubevirt.io/v1/kubevirts", "/api/v1/namespaces/ns/resourcequotas"):
        host.answer("GET", path, forbidden, status=403)
    found = fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me")
    assert found.accelerator == "unknown"
    (warning,) = found.warnings
    assert "networks of pods" in warning
    assert all(f"{kind} (" in warning for kind in ("nodes", "kubevirts", "resourcequotas"))


def test_a_store_that_cannot_reach_the_host_is_told_before_anything_is_made(host: FakeConnection) -> None:
    host.answer("GET", "/api/v1/namespaces/default/services/kubernetes", {"reason": "Forbidden"}, status=403)
    fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me")
    host.server = "https://127.0.0.1:6443"
    assert "the secrets store cannot reach the host: no right to get Service kubernetes" in refuse(make_config())
    inside = make_config(cluster={"name": "dev", "ephemeral": True}, secretsStore={"kind": "inCluster"})
    fit.check_fit(inside, HostApi.connect(ACCESS), stack="me")


@pytest.mark.parametrize("path", ["/api/v1/nodes", "/apis/kubevirt.io/v1/kubevirts"])
def test_a_host_that_fails_to_tell_is_not_a_host_that_does_not_tell(host: FakeConnection, path: str) -> None:
    """An unknown accelerator changes every VM, so it must not come from one slow answer."""
    host.answer("GET", path, {"reason": "ServiceUnavailable"}, status=503)
    assert "the host answered once and then did not: try again" in refuse(make_config())


def test_cluster_of_another_stack(host: FakeConnection) -> None:
    host.add("/api/v1/namespaces/ns/configmaps", "dev-record", data=record_data(stack="organization/kinky/other"))
    expected = "namespace ns already holds a cluster dev of another stack: organization/kinky/other"
    assert expected in refuse(make_config())
    fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="organization/kinky/other")


@pytest.mark.parametrize(
    ("kvm", "emulates", "asked", "expected"),
    [
        ("110", False, "auto", "kvm"),
        ("110", False, "kvm", "kvm"),
        ("110", True, "auto", "emulation"),
        ("0", True, "emulation", "emulation"),
        ("0", False, "auto", "VMs cannot start: no node offers devices.kubevirt.io/kvm"),
        ("110", True, "kvm", "host.accelerator = kvm: KubeVirt's useEmulation is on, so VMs run by emulation"),
        ("110", False, "emulation", "host.accelerator = emulation: KubeVirt's useEmulation is not on"),
    ],
)
def test_accelerator(host: FakeConnection, kvm: str, emulates: bool, asked: str, expected: str) -> None:
    add_node(host, kvm=kvm)
    add_kubevirt(host, emulates=emulates)
    config = make_config(host={"accelerator": asked})
    if expected in ("kvm", "emulation"):
        assert fit.check_fit(config, HostApi.connect(ACCESS), stack="me").accelerator == expected
    else:
        assert expected in refuse(config)


@pytest.mark.parametrize(
    ("embedded", "hint"),
    [
        (True, "set host.accelerator: container, or set controlPlane.replicas: 1"),
        (False, "choose a host with hardware virtualisation, or set controlPlane.replicas: 1"),
    ],
)
def test_emulation_carries_one_control_plane(host: FakeConnection, embedded: bool, hint: str) -> None:
    add_kubevirt(host, emulates=True)
    place = {"embedded": embedded, "encryptionAtRest": "unknown" if embedded else "attested"}
    fit.check_fit(make_config(host=place), HostApi.connect(ACCESS), stack="me")
    assert refuse(make_config(host=place, controlPlane={"replicas": 3})) == (
        "the host cluster does not fit: 1 problem; nothing was touched\n"
        "  controlPlane.replicas = 3: this host emulates processors, and emulation carries one control plane\n"
        f"hint: {hint}"
    )


def test_emulation_that_cannot_be_seen_is_refused_as_asked(host: FakeConnection) -> None:
    host.answer("GET", "/apis/kubevirt.io/v1/kubevirts", {"reason": "Forbidden"}, status=403)
    config = make_config(host={"accelerator": "emulation"}, controlPlane={"replicas": 3})
    assert "emulation carries one control plane" in refuse(config)


def test_hardware_carries_three_control_planes(host: FakeConnection) -> None:
    assert (
        fit.check_fit(make_config(controlPlane={"replicas": 3}), HostApi.connect(ACCESS), stack="me").accelerator
        == "kvm"
    )


def test_kubevirt_that_is_not_deployed_yet(host: FakeConnection) -> None:
    add_kubevirt(host, emulates=True, phase="Deploying")
    assert "KubeVirt is not ready: phase Deploying" in refuse(make_config())


def test_all_problems_are_told_together(host: FakeConnection) -> None:
    host.denied = {("create", "virtualmachines")}
    host.add("/api/v1/namespaces/ns/configmaps", "dev-record", data=record_data(stack="other"))
    message = refuse(
        make_config(network={"podCidrs": ["10.85.0.0/16"]}),
        image_kubernetes_version="v1.34.0",
    )
    assert message.startswith("the host cluster does not fit: 4 problems; nothing was touched\n")


def test_image_of_another_version(host: FakeConnection) -> None:
    release, api = default_release(), HostApi.connect(ACCESS)
    fit.check_fit(make_config(), api, stack="me", image_kubernetes_version=release.kubernetes_version)
    assert (
        "the node image was built for Kubernetes v1.35.0, "
        f"cluster.kubernetesVersion is {release.kubernetes_version}\n"
        f"hint: kinky image build --release {release.name} makes an image for it"
    ) in refuse(make_config(), image_kubernetes_version="v1.35.0")


def test_image_without_an_addon_of_the_release(host: FakeConnection) -> None:
    cfg = make_config()
    coredns = cfg.release.system_images["coredns"]
    holds = set(cfg.release.system_images.values())
    fit.check_fit(cfg, HostApi.connect(ACCESS), stack="me", image_holds=holds)
    message = refuse(cfg, image_holds=holds - {coredns})
    assert f"the node image does not hold {coredns}\n" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500m", Decimal("0.5")), ("2Gi", Decimal(2 * 1024**3)), ("1e3", Decimal(1000)), ("4G", Decimal(4 * 10**9))],
)
def test_quantities(text: str, expected: Decimal) -> None:
    assert parse_quantity(text) == expected


def test_a_host_that_nobody_vouches_for_is_a_warning(host: FakeConnection) -> None:
    vouched = fit.check_fit(make_config(), HostApi.connect(ACCESS), stack="me").warnings
    unknown = make_config(host={"encryptionAtRest": "unknown", "acceptUnencryptedAtRest": True})
    assert fit.check_fit(unknown, HostApi.connect(ACCESS), stack="me").warnings == (fit.UNATTESTED, *vouched)
    assert "\n" not in fit.UNATTESTED, "one line"
