"""`InnerCluster`: a living cluster as a test gets it: its kubeconfig, clients, and what a test does to nodes."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kinky import paths, process
from kinky.errors import KinkyError
from kinky.kube import resources
from kinky.kube.connection import ApiError
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.ownership.lease import describe_ended, fetch_lease
from kinky.ownership.lease_holder import Holder
from kinky.reach.credential import KUBECONFIG_FILE
from kinky.reach.reach import Reach
from kinky.retry import Pending, wait_until
from kinky.stacks.file import StackFile
from kinky.stacks.inner import find_reach
from kinky.testing.commands import run_kinky
from kinky.topology.nodes import build_nodes

if TYPE_CHECKING:
    import kubernetes

READY_SECONDS: Final = 900.0
"""For a node that boots under emulation; a container guest takes half a minute."""
INSTANCE_SECONDS: Final = 300.0
LOAD_SECONDS: Final = 1200.0


@dataclass(frozen=True)
class InnerCluster:
    """One leased cluster; its lease is renewed as long as the test run lives."""

    stack_file: StackFile
    namespace: str
    """A namespace in the cluster that is this run's alone; pods of tests belong there."""
    artifacts: Path
    """The folder with what `kinky` printed about the cluster."""
    holder: Holder = field(repr=False)
    boots: dict[str, str] = field(default_factory=dict, repr=False)
    """Boot of each node that a test has stopped or deleted: the node is ready again only after another one."""

    @property
    def name(self) -> str:
        """The cluster's name, which is also the stack's."""
        return self.stack_file.cluster

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig; it holds no key, but a command that fetches a certificate for an hour."""
        return paths.stack_dir(self.name) / KUBECONFIG_FILE

    @property
    def nodes(self) -> list[str]:
        """The names of all nodes, control planes first."""
        return [node.name for node in build_nodes(self.stack_file.config)]

    def check(self) -> None:
        """Make sure that the cluster still has its lease.

        Raises:
            HostError: The lease has ended, so the host removes the cluster.
        """
        self.holder.check()

    def ask_host(self) -> None:
        """Ask the host whether the cluster is still there.

        Raises:
            HostError: The host does not answer, or the lease has ended.
        """
        self.check()
        reach = self._reach()
        present = fetch_lease(reach.host(), self.stack_file.cluster)
        if present is None or present.is_over:
            raise describe_ended(reach.access)

    def client(self) -> kubernetes.client.ApiClient:
        """Return a client of the official library, with all rights in the cluster."""
        import kubernetes

        client: kubernetes.client.ApiClient = kubernetes.config.new_client_from_config(str(self.kubeconfig))
        return client

    def status(self) -> dict[str, Any]:
        """Judge the cluster from outside, as `kinky status --json` does; the page docs/status.md has its schema.

        Raises:
            KinkyError: Nothing says where the cluster is.
        """
        from kinky.cli.looking import judge_now
        from kinky.status.document import build_document
        from kinky.status.judgement import find_exit_code

        look = judge_now(self.stack_file)
        code = find_exit_code(look.verdicts)
        return build_document(
            look.verdicts, stack=self.stack_file.stack, cluster=self.name, now=look.at, exit_code=code
        )

    def kubectl(self, *arguments: str, stdin: bytes | None = None, limit_seconds: float = 120) -> str:
        """Run kubectl against the cluster, in this run's namespace, and return what it printed.

        Raises:
            CommandError: kubectl failed; the error has its last lines.
        """
        from kinky.toolchain import tools

        command: list[str | Path] = [tools.tool_path("kubectl"), "--kubeconfig", self.kubeconfig]
        return process.run(
            [*command, "--namespace", self.namespace, *arguments],
            reason=f"ask inner cluster {self.name}",
            stdin=stdin,
            timeout_seconds=limit_seconds,
        )

    def load(self, source: str | Path) -> None:
        """Put all images of an archive, or of a folder with an OCI layout, into every node.

        Raises:
            CommandError: A node refused them; the error has the reason.
        """
        source = Path(source)
        if not source.is_dir():
            self._load(source)
            return
        with tempfile.TemporaryDirectory(prefix="kinky-load-") as folder:
            archive = Path(folder) / f"{source.name}.tar"
            with tarfile.open(archive, "w") as packed:
                for entry in sorted(source.iterdir()):
                    packed.add(entry, arcname=entry.name)
            self._load(archive)

    def stop_node(self, node: str) -> None:
        """Shut a node's VM down, and wait until its instance has ended; `start_node` brings it back."""
        self._remember_boot(node)
        api = self._patch_vm(node, "Halted")

        def ended() -> bool | Pending:
            return True if api.fetch_vmi(node) is None else Pending("its instance still runs")

        _wait(ended, f"the end of node {node}", INSTANCE_SECONDS)

    def start_node(self, node: str) -> None:
        """Start a node's VM again; `wait_ready` waits for the node."""
        self._patch_vm(node, "Always")

    def delete_node(self, node: str) -> None:
        """Delete a node's VM instance, as when its host dies, and wait until the host has made another one.

        The next instance is the same node, with empty disks. `wait_ready` waits for it.
        """
        self._remember_boot(node)
        api = self._host(node)
        instance = api.fetch_vmi(node)
        before = instance.uid if instance else ""
        api.delete(resources.VIRTUAL_MACHINE_INSTANCES, node, namespace=api.namespace)

        def replaced() -> bool | Pending:
            now = api.fetch_vmi(node)
            return True if now is not None and now.uid != before else Pending("no other instance yet")

        _wait(replaced, f"another instance of node {node}", INSTANCE_SECONDS)

    def wait_ready(self, *nodes: str, limit_seconds: float = READY_SECONDS) -> None:
        """Wait until nodes are Ready, after a new boot if a test has stopped or deleted them.

        Args:
            nodes: Names of nodes; without any, all that are declared.

        Raises:
            WaitError: One is not; the error tells what was last seen.
        """
        wanted = [self._known(node) for node in nodes] or self.nodes

        def ready(inner: InnerApi) -> bool | Pending:
            seen = inner.fetch_nodes()
            for node in wanted:
                state = seen.get(node)
                if state is None:
                    return Pending(f"{node} has not registered")
                if state.boot_id == self.boots.get(node):
                    return Pending(f"{node} has not booted again")
                if not state.ready:
                    return Pending(f"{node} is not Ready: {state.reason}")
            return True

        self._reach().ask(f"nodes {', '.join(wanted)} Ready", ready, limit_seconds=limit_seconds, every_seconds=1.0)

    def _load(self, archive: Path) -> None:
        log = self.artifacts / "kinky-load.log"
        run_kinky("load", str(archive.absolute()), stack=self.stack_file, log=log, limit_seconds=LOAD_SECONDS)

    def _remember_boot(self, node: str) -> None:
        self._known(node)
        state = self._reach().inner().fetch_nodes().get(node)
        if state is not None and state.boot_id:
            self.boots[node] = state.boot_id

    def _patch_vm(self, node: str, strategy: str) -> HostApi:
        api = self._host(node)
        body: dict[str, Any] = {"spec": {"runStrategy": strategy}}
        api.patch(resources.VIRTUAL_MACHINES, node, body, namespace=api.namespace)
        return api

    def _host(self, node: str) -> HostApi:
        self._known(node)
        return self._reach().host()

    def _reach(self) -> Reach:
        return find_reach(self.stack_file)

    def _known(self, node: str) -> str:
        if node not in self.nodes:
            raise KinkyError(f"no such node: {node}", hint=f"nodes of the cluster: {', '.join(self.nodes)}")
        return node


def _wait(check: Callable[[], bool | Pending], what: str, limit_seconds: float) -> None:
    """Wait; an API that does not answer for a moment is no reason to give up."""
    wait_until(check, what=what, deadline_seconds=limit_seconds, every_seconds=1.0, tolerate=(ApiError,))
