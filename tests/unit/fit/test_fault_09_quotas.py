"""Quotas count what the API counts, by scope, kind and StorageClass, and nothing else."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity as parse_as_library

from kinky.kube.quantities import parse_quantity
from kinky.kube.records import QuotaStatus
from tests.unit.fake_api import FakeConnection
from tests.unit.fitting_host import fits, make_config, refuse

QUOTAS = "/api/v1/namespaces/ns/resourcequotas"
FORBIDDEN = {"reason": "Forbidden"}
LABELS = {"kinky.dev/cluster": "dev", "app.kubernetes.io/managed-by": "kinky"}


def add_quota(host: FakeConnection, hard: dict[str, str], **spec: Any) -> None:
    used = spec.pop("used", {})
    host.add(QUOTAS, spec.pop("name", "q"), spec={"hard": hard, **spec}, status={"hard": hard, "used": used})


def selector(name: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"scopeName": name, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize("scope", ["BestEffort", "Terminating", "CrossNamespacePodAffinity", "PriorityClass"])
def test_fault_09_a_scope_that_no_launcher_is_in(host: FakeConnection, scope: str) -> None:
    add_quota(host, {"pods": "0"}, scopes=[scope])
    assert fits(make_config()) == ()


@pytest.mark.parametrize("scope", ["NotBestEffort", "NotTerminating"])
def test_fault_09_a_scope_that_launchers_are_in(host: FakeConnection, scope: str) -> None:
    add_quota(host, {"pods": "1", "requests.memory": "1Gi"}, scopes=[scope])
    message = refuse(make_config())
    assert "quota q: pods leaves 1 of 1, 2 VMs need at least 2" in message
    assert "quota q: requests.memory" in message


def test_fault_09_all_scopes_must_hold(host: FakeConnection) -> None:
    add_quota(host, {"pods": "0"}, scopes=["NotTerminating", "BestEffort"])
    add_quota(host, {"pods": "0"}, name="r", scopes=["NotBestEffort"], scopeSelector=selector("Terminating", "Exists"))
    assert fits(make_config()) == ()


@pytest.mark.parametrize(
    ("scope", "default", "counted"),
    [
        (selector("PriorityClass", "In", "high"), "", False),
        (selector("PriorityClass", "In", "high"), "high", True),
        (selector("PriorityClass", "NotIn", "high"), "", True),
        (selector("PriorityClass", "NotIn", "high"), "high", False),
        (selector("PriorityClass", "Exists"), "", False),
        (selector("PriorityClass", "Exists"), "high", True),
        (selector("PriorityClass", "DoesNotExist"), "", True),
        (selector("PriorityClass", "DoesNotExist"), "high", False),
    ],
)
def test_fault_09_priority_classes(host: FakeConnection, scope: dict[str, Any], default: str, counted: bool) -> None:
    host.add("/apis/scheduling.k8s.io/v1/priorityclasses", "other")
    if default:
        host.add("/apis/scheduling.k8s.io/v1/priorityclasses", default, globalDefault=True)
    add_quota(host, {"pods": "1"}, scopeSelector=scope)
    if counted:
        assert "pods leaves 1 of 1" in refuse(make_config())
    else:
        assert fits(make_config()) == ()


def test_fault_09_an_unknown_default_priority_is_no_reason_to_refuse(host: FakeConnection) -> None:
    host.answer("GET", "/apis/scheduling.k8s.io/v1/priorityclasses", FORBIDDEN, status=403)
    add_quota(host, {"pods": "1"}, scopeSelector=selector("PriorityClass", "DoesNotExist"))
    (warning,) = fits(make_config())
    assert "pods leaves 1 of 1" in warning


def test_fault_09_no_object_but_pods_and_claims_is_in_a_scope(host: FakeConnection) -> None:
    for number, scope in enumerate(("NotBestEffort", "NotTerminating")):
        add_quota(host, {"services": "0", "count/secrets": "0"}, name=f"q{number}", scopes=[scope])
    add_quota(host, {"requests.storage": "0"}, name="vac", scopeSelector=selector("VolumeAttributesClass", "In", "x"))
    assert fits(make_config()) == ()
    add_quota(
        host, {"requests.storage": "0"}, name="none", scopeSelector=selector("VolumeAttributesClass", "NotIn", "x")
    )
    assert "quota none: requests.storage leaves 0 MiB of 0" in refuse(make_config())


def test_fault_09_overcommitted_memory_asks_for_less(host: FakeConnection) -> None:
    (kubevirt,) = [body for path, body in host.objects.items() if "/kubevirts/" in path]
    add_quota(host, {"requests.memory": "3Gi"})
    assert "requests.memory leaves 3072 MiB" in refuse(make_config())
    kubevirt["spec"]["configuration"]["developerConfiguration"]["memoryOvercommit"] = 200
    assert fits(make_config()) == ()


def test_fault_09_what_rests_on_kubevirt_s_unread_settings_is_a_warning(host: FakeConnection) -> None:
    host.answer("GET", "/apis/kubevirt.io/v1/kubevirts", FORBIDDEN, status=403)
    add_quota(host, {"requests.memory": "3Gi"})
    assert any("requests.memory leaves 3072 MiB" in warning for warning in fits(make_config()))
    add_quota(host, {"requests.memory": "3Gi", "pods": "1"})
    assert "1 problem" in refuse(make_config())


def test_fault_09_a_processor_is_shared(host: FakeConnection) -> None:
    """KubeVirt asks for a tenth of each virtual processor: 3 of them, and 300m are enough."""
    add_quota(host, {"requests.cpu": "300m", "cpu": "300m"})
    assert fits(make_config()) == ()
    add_quota(host, {"requests.cpu": "200m"})
    assert "requests.cpu leaves 0.2 of 200m, 2 VMs need at least 0.3" in refuse(make_config())


def test_fault_09_a_storage_class_s_own_quota(host: FakeConnection) -> None:
    suffix = "storageclass.storage.k8s.io"
    add_quota(host, {f"gold.{suffix}/requests.storage": "1Gi", f"gold.{suffix}/persistentvolumeclaims": "0"})
    assert fits(make_config()) == ()
    add_quota(host, {f"local.{suffix}/requests.storage": "1Gi", f"local.{suffix}/persistentvolumeclaims": "0"})
    message = refuse(make_config())
    assert f"local.{suffix}/requests.storage leaves 1024 MiB of 1Gi, 2 VMs need at least 2048 MiB" in message
    assert f"local.{suffix}/persistentvolumeclaims leaves 0 of 0" in message


def test_fault_09_a_claim_that_was_retained_is_not_made_again(host: FakeConnection) -> None:
    host.add("/api/v1/namespaces/ns/persistentvolumeclaims", "dev-control-plane-0-etcd", metadata={"labels": LABELS})
    add_quota(host, {"requests.storage": "2Gi", "persistentvolumeclaims": "1"}, used={"requests.storage": "2Gi"})
    assert fits(make_config()) == ()


@pytest.mark.parametrize(
    ("item", "needed"),
    [
        ("services", 3),
        ("count/services", 3),
        # User-data of both, credentials of the worker, the CAs, and two values of the store.
        ("secrets", 6),
        ("count/secrets", 6),
        ("configmaps", 1),
        ("count/serviceaccounts", 1),
        ("count/roles.rbac.authorization.k8s.io", 1),
        ("count/networkpolicies.networking.k8s.io", 1),
        ("count/virtualmachines.kubevirt.io", 2),
        ("count/controllerrevisions.apps", 2),
        ("count/endpointslices.discovery.k8s.io", 3),
    ],
)
def test_fault_09_numbers_of_objects_are_exact(host: FakeConnection, item: str, needed: int) -> None:
    add_quota(host, {item: str(needed)})
    assert fits(make_config()) == ()
    add_quota(host, {item: str(needed - 1)})
    assert f"{item} leaves {needed - 1} of {needed - 1}, 2 VMs need at least {needed}" in refuse(make_config())


def test_fault_09_objects_of_an_up_that_was_cut_off_are_there_already(host: FakeConnection) -> None:
    for name in ("dev-control-plane-0", "dev-worker-0", "dev-endpoint"):
        host.add("/api/v1/namespaces/ns/services", name, metadata={"labels": LABELS})
    add_quota(host, {"services": "3"}, used={"services": "3"})
    assert fits(make_config()) == ()


def test_fault_09_ports_of_the_host_s_nodes(host: FakeConnection) -> None:
    add_quota(host, {"services.nodeports": "0", "services.loadbalancers": "0"})
    assert fits(make_config()) == ()
    assert "services.nodeports leaves 0 of 0" in refuse(make_config(access={"mode": "nodePort"}))
    assert "services.loadbalancers leaves 0 of 0" in refuse(make_config(access={"mode": "loadBalancer"}))


def test_fault_09_other_storage_and_devices(host: FakeConnection) -> None:
    add_quota(
        host, {"requests.ephemeral-storage": "100M", "limits.ephemeral-storage": "0", "requests.nvidia.com/gpu": "0"}
    )
    assert fits(make_config()) == ()
    add_quota(host, {"requests.ephemeral-storage": "50M", "requests.devices.kubevirt.io/kvm": "1"})
    message = refuse(make_config())
    assert "requests.ephemeral-storage leaves" in message
    assert "requests.devices.kubevirt.io/kvm leaves 1 of 1, 2 VMs need at least 2" in message


def test_fault_09_each_of_two_quotas_is_looked_at(host: FakeConnection) -> None:
    add_quota(host, {"pods": "10"}, name="large")
    add_quota(host, {"pods": "0"}, name="batch", scopes=["Terminating"])
    assert fits(make_config()) == ()
    add_quota(host, {"pods": "1"}, name="small")
    message = refuse(make_config())
    assert "quota small: pods" in message
    assert "1 problem" in message


def test_fault_14_a_quota_for_limits_doubles_the_memory(host: FakeConnection) -> None:
    """KubeVirt then sets a limit of twice the request, or as many times as the namespace's label says."""
    add_quota(host, {"limits.memory": "8Gi"})
    assert "limits.memory leaves 8192 MiB of 8Gi, 2 VMs need at least 11040 MiB" in refuse(make_config())
    labels = {"alpha.kubevirt.io/auto-memory-limits-ratio": "1.2"}
    host.objects["/api/v1/namespaces/ns"]["metadata"]["labels"] = labels
    assert fits(make_config()) == ()
    add_quota(host, {"limits.cpu": "2"})
    assert "limits.cpu leaves 2 of 2, 2 VMs need at least 3" in refuse(make_config())


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100n", "0.0000001"),
        ("5u", "0.000005"),
        ("1500m", "1.5"),
        ("0.5", "0.5"),
        ("2", "2"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("3k", "3000"),
        ("4Ki", "4096"),
        ("5M", "5000000"),
        ("6Mi", "6291456"),
        ("7Gi", "7516192768"),
        ("1T", "1000000000000"),
        ("2E", "2000000000000000000"),
        ("1Ei", "1152921504606846976"),
    ],
)
def test_fault_09_quantities_are_those_of_kubernetes(text: str, number: str) -> None:
    assert parse_quantity(text) == Decimal(number)
    with pytest.raises(ValueError, match=r".+"):
        parse_quantity(f"{text}?")


@pytest.mark.parametrize("text", ["", "Gi", "1K", "1mi", "1 Gi", "NaN", "1_000", "1e", "0x1"])
def test_fault_09_other_texts_are_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(text)


def test_fault_09_a_quota_is_read_with_both_forms_of_its_scopes() -> None:
    body = {
        "metadata": {"name": "q"},
        "spec": {
            "scopes": ["BestEffort"],
            "scopeSelector": selector("PriorityClass", "In", "a", "b"),
            "hard": {"pods": "1"},
        },
    }
    found = QuotaStatus.parse(body)
    assert [(scope.name, scope.operator, scope.values) for scope in found.scopes] == [
        ("BestEffort", "Exists", ()),
        ("PriorityClass", "In", ("a", "b")),
    ]
    assert parse_quantity(found.hard["pods"]) == Decimal(1)


@given(
    st.from_regex(r"[+-]?[0-9]{1,6}(\.[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]),
)
def test_fault_09_quantities_are_read_as_by_the_client_library(number: str, suffix: str) -> None:
    assert parse_quantity(number + suffix) == parse_as_library(number + suffix)
