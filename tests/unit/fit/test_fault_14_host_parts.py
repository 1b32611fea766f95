"""Fit looks at what would otherwise be found minutes later, half made: volumes, limits, addresses."""

from typing import Any

import pytest

from tests.unit.fake_api import FakeConnection
from tests.unit.fit.objects import CLASSES, FORBIDDEN, NODE, make_vms
from tests.unit.fitting_host import fits, make_config, refuse

VOLUMES = "/api/v1/persistentvolumes"


def lose_default(host: FakeConnection) -> None:
    del host.objects[f"{CLASSES}/local"]["metadata"]["annotations"]


def add_volume(
    host: FakeConnection, name: str, *, storage_class: str, size: str = "2Gi", phase: str = "Available"
) -> None:
    spec = {"storageClassName": storage_class, "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"]}
    host.add(VOLUMES, name, spec=spec, status={"phase": phase})


def test_fault_14_no_default_storage_class(host: FakeConnection) -> None:
    lose_default(host)
    message = refuse(make_config())
    assert "no StorageClass is the default, and controlPlane.etcdStorageClass names none; there are: local" in message
    assert "hint: set controlPlane.etcdStorageClass" in message
    assert fits(make_config(controlPlane={"etcdStorageClass": "local"})) == ()
    assert fits(make_config(cluster={"name": "dev", "ephemeral": True})) == ()


def test_fault_14_a_storage_class_that_is_not_there(host: FakeConnection) -> None:
    assert "controlPlane.etcdStorageClass = gold: there is no such StorageClass; there are: local" in refuse(
        make_config(controlPlane={"etcdStorageClass": "gold"})
    )


def test_fault_14_volumes_that_are_there_need_no_storage_class(host: FakeConnection) -> None:
    lose_default(host)
    make_vms(host)
    assert fits(make_config()) == ()


def test_fault_09_volumes_made_by_hand_need_no_storage_class(host: FakeConnection) -> None:
    lose_default(host)
    add_volume(host, "small", storage_class="", size="1Gi")
    add_volume(host, "used", storage_class="", phase="Bound")
    assert "free volumes made by hand with 2 GiB: 0, needed: 1" in refuse(make_config())
    add_volume(host, "fine", storage_class="")
    assert fits(make_config()) == ()
    add_volume(host, "by-hand", storage_class="manual")
    assert fits(make_config(controlPlane={"etcdStorageClass": "manual"})) == ()


def test_fault_14_a_storage_class_without_provisioner_and_volumes(host: FakeConnection) -> None:
    host.objects[f"{CLASSES}/local"]["provisioner"] = "kubernetes.io/no-provisioner"
    assert "StorageClass local makes no volumes" in refuse(make_config())


def test_fault_14_unread_storage_is_a_warning(host: FakeConnection) -> None:
    lose_default(host)
    host.answer("GET", VOLUMES, FORBIDDEN, status=403)
    (warning,) = fits(make_config())
    assert warning.startswith("no StorageClass is the default")
    host.answer("GET", CLASSES, FORBIDDEN, status=403)
    (warning,) = fits(make_config(controlPlane={"etcdStorageClass": "gold"}))
    assert "storageclasses (the StorageClass of the etcd volumes)" in warning


def add_limits(host: FakeConnection, kind: str, **bounds: dict[str, str]) -> None:
    """Add a limit range as the API would return it: with the defaults that it fills in itself."""
    if kind == "Container":
        default = {**bounds.get("max", {}), **bounds.get("default", {})}
        requests = {**bounds.get("min", {}), **default, **bounds.get("defaultRequest", {})}
        bounds = bounds | ({"default": default} if default else {}) | ({"defaultRequest": requests} if requests else {})
    host.add("/api/v1/namespaces/ns/limitranges", "lr", spec={"limits": [{"type": kind, **bounds}]})


@pytest.mark.parametrize(
    ("kind", "bounds", "told"),
    [
        (
            "Container",
            {"max": {"memory": "2Gi"}},
            "limit range lr: container compute gets the limit 2048 MiB of memory, and asks for 3272 MiB (dev-control-",
        ),
        ("Container", {"default": {"memory": "1Gi"}}, "gets the limit 1024 MiB of memory, and asks for 3272 MiB"),
        ("Container", {"default": {"cpu": "100m"}}, "container compute gets the limit 0.1 of cpu, and asks for 0.2"),
        ("Container", {"min": {"memory": "64Mi"}}, "container volumeroot asks for 1 MiB of memory, at least 64 MiB"),
        (
            "Container",
            {"maxLimitRequestRatio": {"cpu": "2"}, "default": {"cpu": "4"}},
            "container compute: the limit of cpu is 20 times the request, at most 2 is allowed",
        ),
        ("Pod", {"max": {"memory": "3Gi"}}, "pod needs 3273 MiB of memory, at most 3072 MiB is allowed"),
        ("Pod", {"min": {"memory": "64Gi"}}, "pod asks for 3273 MiB of memory, at least 65536 MiB is allowed"),
        ("PersistentVolumeClaim", {"max": {"storage": "1Gi"}}, "claim needs 2048 MiB of storage, at most 1024 MiB"),
        (
            "PersistentVolumeClaim",
            {"min": {"storage": "10Gi"}},
            "claim asks for 2048 MiB of storage, at least 10240 MiB",
        ),
    ],
)
def test_fault_14_limit_ranges(host: FakeConnection, kind: str, bounds: dict[str, Any], told: str) -> None:
    add_limits(host, kind, **bounds)
    message = refuse(make_config())
    assert told in message
    assert "LimitRange" in message
    make_vms(host)
    assert fits(make_config()) == ()


@pytest.mark.parametrize(
    ("kind", "bounds"),
    [
        ("Container", {"max": {"memory": "8Gi", "cpu": "4"}, "default": {"memory": "8Gi"}}),
        ("Container", {"min": {"memory": "1M", "cpu": "1m"}}),
        ("Container", {"defaultRequest": {"memory": "64Mi", "cpu": "10m"}}),
        ("Pod", {"max": {"memory": "8Gi"}, "min": {"cpu": "100m"}}),
        ("PersistentVolumeClaim", {"min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}),
    ],
)
def test_fault_09_limit_ranges_that_let_everything_in(host: FakeConnection, kind: str, bounds: dict[str, Any]) -> None:
    add_limits(host, kind, **bounds)
    assert fits(make_config()) == ()


def test_fault_14_services_without_ipv4(host: FakeConnection) -> None:
    host.add("/apis/networking.k8s.io/v1/servicecidrs", "kubernetes", spec={"cidrs": ["fd00:10::/108"]})
    assert "the host's Services have no IPv4 addresses, which the cluster's Services need: fd00:10::/108" in refuse(
        make_config()
    )
    host.add("/apis/networking.k8s.io/v1/servicecidrs", "more", spec={"cidrs": ["10.99.0.0/16"]})
    assert fits(make_config()) == ()


def test_fault_14_services_that_may_have_no_ipv4_are_a_warning(host: FakeConnection) -> None:
    host.add("/api/v1/namespaces/default/services", "kubernetes", spec={"clusterIP": "fd00:10::1"})
    (warning,) = fits(make_config())
    assert "may have no IPv4 addresses" in warning


def test_fault_14_all_of_it_is_told_together_and_nothing_is_touched(host: FakeConnection) -> None:
    before = dict(host.objects)
    lose_default(host)
    host.objects[NODE]["spec"]["unschedulable"] = True
    add_limits(host, "PersistentVolumeClaim", max={"storage": "1Gi"})
    host.add("/apis/networking.k8s.io/v1/servicecidrs", "kubernetes", spec={"cidrs": ["fd00::/108"]})
    assert "does not fit: 4 problems; nothing was touched" in refuse(make_config())
    assert before.items() <= host.objects.items()


def test_fault_14_a_preview_stays_cheap(host: FakeConnection) -> None:
    assert fits(make_config()) == ()
    reads = [path for method, path in host.calls if method == "GET"]
    assert reads.count("/api/v1/nodes") == 1, "a large host's longest list"
    assert len(reads) <= 25, "of which nine look for names that are taken, side by side"
