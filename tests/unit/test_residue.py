"""Teardown: what is left on the host is named, with what holds it."""

import pytest

from kinky.errors import HostError, WaitError
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership import residue
from tests.unit.fake_api import FakeClock, FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
PODS = "/api/v1/namespaces/ns/pods"
LABELS = {"kinky.dev/cluster": "dev", "app.kubernetes.io/managed-by": "kinky"}


def test_residue_names_each_object_and_what_holds_it(host: FakeConnection, clock: FakeClock) -> None:
    host.add("/api/v1/namespaces/ns/configmaps", "dev-record", metadata={"labels": LABELS})
    host.add("/api/v1/namespaces/ns/secrets", "foreign", metadata={"labels": {"kinky.dev/cluster": "other"}})
    held = {"labels": LABELS, "deletionTimestamp": "T", "finalizers": ["kubernetes.io/pvc-protection"]}
    host.add("/api/v1/namespaces/ns/persistentvolumeclaims", "dev-etcd", metadata=held)
    with pytest.raises(WaitError) as caught:
        residue.wait_residue_gone(HostApi.connect(ACCESS), limit_seconds=5, ignore=["ConfigMap/dev-record"])
    assert "1 objects are left in namespace ns after 5 s" in str(caught.value)
    assert "PersistentVolumeClaim/dev-etcd (held by kubernetes.io/pvc-protection)" in str(caught.value)
    del host.objects["/api/v1/namespaces/ns/persistentvolumeclaims/dev-etcd"]
    residue.wait_residue_gone(HostApi.connect(ACCESS), limit_seconds=5, ignore=["ConfigMap/dev-record"])


def test_residue_is_not_empty_only_because_it_may_not_be_read(host: FakeConnection) -> None:
    host.answer("GET", PODS, {"reason": "Forbidden"}, status=403)
    with pytest.raises(HostError, match="cannot list pods: Forbidden"):
        residue.wait_residue_gone(HostApi.connect(ACCESS), limit_seconds=5)


def test_a_host_that_is_away_for_a_moment_does_not_end_the_teardown(host: FakeConnection, clock: FakeClock) -> None:
    def come_back(seconds: float) -> None:
        clock.sleep(seconds)
        host.down = clock.now < 3

    host.down = True
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("time.sleep", come_back)
        residue.wait_residue_gone(HostApi.connect(ACCESS), limit_seconds=5)
    host.down = True
    with pytest.raises(WaitError, match=r"last seen: .*connection refused"):
        residue.wait_residue_gone(HostApi.connect(ACCESS), limit_seconds=5)
