"""What the program tests share: each stack file as arguments of an InnerCluster, without a host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kinky import program
from kinky.accelerator import Accelerator
from kinky.components.cluster_args import InnerClusterArgs
from kinky.config.load import load_config, select_own
from kinky.kube.access import HostAccess
from kinky.stores.opening import describe_store
from tests.program.recorder import Recorder, record
from tests.unit.fake_api import FakeConnection

ROOT = Path(__file__).resolve().parents[2]
STACK_FILES = [
    *sorted((ROOT / "stacks").glob("Pulumi.*.yaml")),
    # The other kinds of store.
    *sorted((ROOT / "tests/config").glob("valid-store-*.yaml")),
]
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "externalsecrets.external-secrets.io"},
    "spec": {"group": "external-secrets.io", "scope": "Namespaced"},
}


def build_args(raw: dict[str, Any], *, source: str = "a test") -> InnerClusterArgs:
    """Build what `program.prepare` would build on a host that fits."""
    config = load_config(raw, source=source)
    return InnerClusterArgs(
        config=config,
        access=HostAccess(
            kubeconfig="/home/me/host.yaml", context=None, namespace=config.host.namespace, cluster="dev"
        ),
        stack="organization/kinky/dev",
        image="kinky.internal/node:v1.36.3-0123456789ab",
        store=describe_store(config),
        custom_resource_definitions=[DEFINITION],
        cloud_init_schemas=None,
        accelerator=Accelerator.EMULATION,
        kinky_command="/opt/bin/kinky",
        ca_file="/home/me/ca.crt",
    )


def read_stack(path: Path) -> dict[str, Any]:
    """Read a stack file's own keys."""
    return dict(select_own(yaml.safe_load(path.read_text(encoding="utf-8"))["config"]))


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """The host that live steps compare with before they act."""
    connection = FakeConnection()
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: connection)
    return connection


@pytest.fixture(scope="session", params=STACK_FILES, ids=lambda path: path.name)
def stack_args(request: pytest.FixtureRequest) -> InnerClusterArgs:
    """Every stack file in turn, and one for each other kind of store."""
    return build_args(read_stack(request.param), source=request.param.name)


@pytest.fixture(scope="session")
def recorded(stack_args: InnerClusterArgs) -> Recorder:
    """What the whole program registers for a stack file; tests only read it."""
    return record(lambda: program.declare(stack_args))


@pytest.fixture
def declare() -> Callable[..., Recorder]:
    """Run the program on the smallest configuration with some keys changed."""

    def run(*, preview: bool = False, **sections: Any) -> Recorder:
        raw = {"cluster": {"name": "dev"}, "host": {"embedded": True}, **sections}
        return record(lambda: program.declare(build_args(raw)), preview=preview)

    return run
