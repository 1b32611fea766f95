"""Objects of a host that several tests of fit change."""

from tests.unit.fake_api import FakeConnection

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
NODE = "/api/v1/nodes/n"
LABELS = {"kinky.dev/cluster": "dev", "app.kubernetes.io/managed-by": "kinky"}
FORBIDDEN = {"reason": "Forbidden"}


def make_vms(host: FakeConnection) -> None:
    for name in ("dev-control-plane-0", "dev-worker-0"):
        host.add("/apis/kubevirt.io/v1/namespaces/ns/virtualmachines", name, metadata={"labels": LABELS})
    host.add("/api/v1/namespaces/ns/persistentvolumeclaims", "dev-control-plane-0-etcd", metadata={"labels": LABELS})
