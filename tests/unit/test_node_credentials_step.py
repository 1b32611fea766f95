"""The step that signs a worker's certificates runs again when somebody has deleted them past Pulumi."""

from __future__ import annotations

from kinky.components.properties import describe
from kinky.components.steps.keys import NodeCredentialsInputs, NodeCredentialsStep
from kinky.keys import material
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
SECRETS = "/api/v1/namespaces/ns/secrets"


def test_deleted_credentials_are_made_again_under_their_name(host: FakeConnection) -> None:
    material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev")
    inputs = describe(NodeCredentialsInputs(access=ACCESS, node="dev-worker-0", address="10.0.0.1"))
    step = NodeCredentialsStep()
    made = step.create(inputs).outs or {}
    assert not step.diff("id", made, inputs).changes
    path = f"{SECRETS}/{made['secret_name']}"
    del host.objects[path]
    assert step.diff("id", made, inputs).changes
    again = step.update("id", made, inputs).outs or {}
    assert again["secret_name"] == made["secret_name"] and path in host.objects
    assert not step.diff("id", again, inputs).changes
