"""A machine on which `kinky up` makes clusters in memory: a host that enforces leases, and no Pulumi."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from kinky import names, paths
from kinky.config.model import KinkyConfig
from kinky.errors import CommandError
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership.lease import end_lease, ensure_lease, wait_removed
from kinky.ownership.record import ensure_record, keep_identity, recognise
from kinky.reach.reach import Reach
from kinky.stacks.file import StackFile, stack_path
from kinky.testing import bundles, cluster, factory
from kinky.testing.factory import Choices, InnerClusterFactory
from kinky.testing.run import Run
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_lease import LeaseHost
from tests.unit.fake_reach import FakeReach


class Machine:
    """What the tests' clusters do to the host and to this machine, and what is left."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = LeaseHost()
        self.host.add("/api/v1/namespaces", names.NAMESPACE_SYSTEM, metadata={"uid": "h"})
        self.inner = FakeConnection()
        self.commands: list[str] = []
        self.arguments: list[tuple[str, ...]] = []
        """Those of each command."""
        self.told: list[str] = []
        self.failing = ""
        """A command that fails."""

    def run_kinky(self, command: str, *arguments: str, stack: StackFile, log: Path, limit_seconds: float) -> None:
        assert limit_seconds and log.parent.is_dir()
        self.commands.append(command)
        self.arguments.append(arguments)
        access = self.find_host(stack.config)
        if command == "up":
            self._up(stack, access)
        if command == self.failing:
            raise CommandError(f"{command} failed", details=["last output: the host does not fit"])
        if command == "lease end":
            api = HostApi.connect(access)
            end_lease(api)
            wait_removed(api)

    def _up(self, stack_file: StackFile, access: HostAccess) -> None:
        lease = stack_file.config.cluster.lease
        assert lease is not None
        access = HostAccess(**{**vars(access), "host_uid": "h", "cluster_id": f"id-{access.cluster}"})
        stack = f"organization/kinky/{stack_file.stack}"
        api = HostApi.connect(access)
        owners = ensure_lease(api, seconds=lease.seconds, stack=stack, holder=lease.holder or "")
        ensure_record(api, stack, {}, owners=owners)
        keep_identity(access, stack)
        (paths.stack_dir(access.cluster) / "kubeconfig.yaml").write_text("{}")

    def find_host(self, config: KinkyConfig) -> HostAccess:
        return HostAccess(kubeconfig="/k", context=None, namespace=config.host.namespace, cluster=config.cluster.name)

    def find_reach(self, stack_file: StackFile) -> Reach:
        return FakeReach(recognise(self.find_host(stack_file.config), stack_file.stack).access, self.inner)

    def left(self) -> list[str]:
        """Return what is left of test clusters: on the host, and as files."""
        labelled = [
            path
            for path, body in self.host.objects.items()
            if names.LABEL_CLUSTER in body["metadata"].get("labels", {})
        ]
        files = [*(self.root / "stacks").iterdir(), *(paths.state_dir() / "clusters").glob("*")]
        runs = [*(paths.state_dir() / "runs").glob("*")]
        return labelled + [file.name for file in files + runs]

    def begin(self, run: Run | None = None, **choices: Any) -> InnerClusterFactory:
        """Begin a run as the plugin does."""
        given = {"stack_file": None, "ttl": "10m", "keep": "never", "reuse": None, "artifacts": self.root / "artifacts"}
        made = InnerClusterFactory(run or Run.begin(), Choices(**{**given, **choices}, tell=self.told.append))
        made.sweep()
        return made

    def kill(self, run: InnerClusterFactory) -> None:
        """End a run as SIGKILL does: nobody holds its lock or its leases any more, and all files stay."""
        run.release()
        alive = run._run._alive
        assert alive is not None
        alive.close()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (tmp_path / "stacks").mkdir()
    made = Machine(tmp_path)
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: made.host)
    monkeypatch.setattr("kinky.paths.project_root", lambda: tmp_path)
    monkeypatch.setattr(factory, "run_kinky", made.run_kinky)
    monkeypatch.setattr(bundles, "run_kinky", made.run_kinky)
    monkeypatch.setattr(factory, "find_host", made.find_host)
    monkeypatch.setattr(factory, "find_reach", made.find_reach)
    monkeypatch.setattr(cluster, "find_reach", made.find_reach)
    assert stack_path("a").parent == tmp_path / "stacks"
    shutil.rmtree(paths.state_dir(), ignore_errors=True)
    return made
