"""Makes the clusters of a test run, holds their leases, and takes the clusters away at the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from kinky import names, paths
from kinky.config.lease import parse_ttl
from kinky.errors import KinkyError
from kinky.file_lock import file_lock
from kinky.kube import resources
from kinky.kube.connection import if_allowed
from kinky.manifests.host_namespace import ground_labels
from kinky.ownership.lease import end_lease, fetch_lease, renew_lease
from kinky.ownership.lease_holder import Holder
from kinky.reach.host import find_host
from kinky.reach.reach import Reach
from kinky.stacks.file import StackFile, read_stack_file, stack_path
from kinky.stacks.inner import find_reach
from kinky.testing import stacks
from kinky.testing.bundles import Bundles
from kinky.testing.cluster import InnerCluster
from kinky.testing.commands import END_SECONDS, UP_SECONDS, run_kinky
from kinky.testing.run import Entry, Run, list_dead

UP_LOG: Final = "kinky-up.log"
SHARED: Final = 0
"""Number of the cluster that all tests of a run share."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The wishes of the person who runs the tests."""

    stack_file: Path | None
    ttl: str
    keep: str
    reuse: str | None
    artifacts: Path
    tell: Callable[[str], None]
    """Shows a line on the screen, whatever pytest captures."""


class InnerClusterFactory:
    """Makes clusters; the fixture `inner_cluster_factory` is one."""

    def __init__(self, run: Run, choices: Choices) -> None:
        """Make nothing yet."""
        self._run = run
        self._choices = choices
        self._used: dict[str, InnerCluster] = {}
        self._bundles = Bundles(run.name, choices.tell)

    def __call__(
        self,
        *,
        configuration: Mapping[str, Any] | None = None,
        stack_file: str | Path | None = None,
        ttl: str | None = None,
    ) -> InnerCluster:
        """Make one more cluster and return it when it is ready; it goes at the end of the run.

        Args:
            configuration: Sections as in a stack file, without the prefix `kinky:`; they come in place of the file's.
            stack_file: Another file than that of `--kinky-stack`.
            ttl: Another time than that of `--kinky-ttl`.

        Raises:
            KinkyError: The configuration is wrong, the host does not fit, or the cluster does not become ready.
        """
        # The number of the shared cluster is never given to another one.
        number = self._run.take_number() + 1
        stack = names.leased_cluster(self._run.name, number)
        base = Path(stack_file) if stack_file is not None else self._choices.stack_file
        return self._make(stack, base=base, changes=configuration, ttl=ttl or self._choices.ttl)

    def shared(self) -> InnerCluster:
        """Return the cluster that all tests and processes of the run share; the first caller makes it."""
        reuse = self._choices.reuse
        stack = names.reused_cluster(reuse) if reuse else names.leased_cluster(self._run.name, SHARED)
        with self._run.locked("shared"):
            entry = self._run.read(stack)
            if entry is None:
                return self._make(stack, base=self._choices.stack_file, ttl=self._choices.ttl, is_reused=bool(reuse))
        if not entry.is_ready:
            raise KinkyError(
                f"inner cluster {stack} could not be made by another process of this run",
                hint=f"see {self._folder(stack) / UP_LOG}",
            )
        return self._used.get(stack) or self._join(entry)

    def check(self) -> None:
        """Make sure that no cluster of this process has lost its lease; raises HostError."""
        for cluster in self._used.values():
            cluster.check()

    def bundle(self, test: str) -> list[str]:
        """Write a bundle of each cluster of this process after a test has failed; return a line about each."""
        lines = []
        for cluster in self._used.values():
            folder = self._folder(cluster.name)
            lines.append(self._bundles.write(cluster.stack_file, folder, test, folder / UP_LOG))
        return [line for line in lines if line]

    def ask_host(self) -> None:
        """Ask the host whether the clusters of this process are still there; raises HostError."""
        for cluster in self._used.values():
            cluster.ask_host()

    def release(self) -> None:
        """Hold no lease any more; for a process that shares its clusters with others."""
        for cluster in self._used.values():
            cluster.holder.stop()
        self._used.clear()

    def end(self, *, has_failed: bool) -> list[KinkyError]:
        """End the run: take its clusters away, or let them stay until their leases end; return what went wrong."""
        self.release()
        stays = self._choices.keep == "always" or (self._choices.keep == "failed" and has_failed)
        failures = []
        for entry in self._run.entries():
            try:
                self._leave(entry) if entry.is_reused or stays else self._remove(self._run, entry)
            except KinkyError as error:
                failures.append(error)
        self._run.end()
        return failures

    def sweep(self) -> None:
        """Remove what runs that were killed have left on this machine, and end their leases before their time."""
        for run in list_dead():
            for entry in run.entries():
                # A host that does not answer, or is gone: the lease ends there, and a later run looks again.
                with suppress(KinkyError):
                    if entry.is_reused:
                        # Other runs may use it now; its lease ends when none does.
                        run.drop(entry.stack)
                    elif not entry.is_kept or _is_over(entry):
                        self._remove(run, entry)
            run.end()

    def _make(
        self,
        stack: str,
        *,
        base: Path | None,
        changes: Mapping[str, Any] | None = None,
        ttl: str,
        is_reused: bool = False,
    ) -> InnerCluster:
        parse_ttl(ttl)
        entry = Entry(stack=stack, namespace=f"run-{self._run.name}", is_reused=is_reused)
        # Two runs that use one cluster must not make it at the same time.
        with file_lock(paths.stack_dir(stack) / "make.lock"):
            if not (is_reused and stack_path(stack).is_file()):
                holder = f"pytest run {self._run.name}"
                config = stacks.build_configuration(
                    stacks.read_base(base), changes or {}, cluster=stack, ttl=ttl, holder=holder
                )
                stacks.write_stack(stack, config)
            try:
                _ensure_namespace(read_stack_file(stack))
            except KinkyError:
                # Nothing was made.
                _remove_files(stack)
                raise
            self._run.write(entry)
            self._up(stack)
        entry = replace(entry, is_ready=True)
        self._run.write(entry)
        return self._join(entry)

    def _up(self, stack: str) -> None:
        log = self._folder(stack) / UP_LOG
        self._choices.tell(f"making inner cluster {stack} ({log})")
        stack_file = read_stack_file(stack)
        try:
            run_kinky("up", stack=stack_file, log=log, limit_seconds=UP_SECONDS)
        except KinkyError:
            self._choices.tell(self._bundles.write(stack_file, log.parent, "up", log))
            raise
        self._choices.tell(f"inner cluster {stack} is ready")

    def _join(self, entry: Entry) -> InnerCluster:
        """Use a cluster that is ready: hold its lease, and have a namespace in it."""
        stack_file = read_stack_file(entry.stack)
        reach = find_reach(stack_file)
        present = renew_lease(reach.host())
        reach.inner().create(resources.NAMESPACES, {"metadata": {"name": entry.namespace}})
        holder = Holder(reach.access, seconds=present.seconds)
        holder.start()
        cluster = InnerCluster(stack_file, entry.namespace, self._folder(entry.stack), holder)
        self._used[entry.stack] = cluster
        return cluster

    def _leave(self, entry: Entry) -> None:
        """Let a cluster stay until its lease ends; other runs that use it have namespaces of their own."""
        if entry.is_reused:
            with suppress(KinkyError):
                reach = find_reach(read_stack_file(entry.stack))
                reach.inner().delete(resources.NAMESPACES, entry.namespace)
            self._run.drop(entry.stack)
            return
        self._run.write(replace(entry, is_kept=True))
        self._choices.tell(
            f"inner cluster {entry.stack} stays until its lease ends: kinky env --stack {entry.stack},"
            f" kinky lease end --stack {entry.stack}"
        )

    def _remove(self, run: Run, entry: Entry) -> None:
        if stack_path(entry.stack).is_file():
            stack_file = read_stack_file(entry.stack)
            # At once: all else is waited for.
            end_lease(Reach(find_host(stack_file.config)).host())
            log = self._folder(entry.stack) / "kinky-end.log"
            run_kinky("lease end", stack=stack_file, log=log, limit_seconds=END_SECONDS)
        _remove_files(entry.stack)
        run.drop(entry.stack)

    def _folder(self, stack: str) -> Path:
        folder = self._choices.artifacts / stack
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _ensure_namespace(stack_file: StackFile) -> None:
    """Make the namespace on the host if it is absent; it stays, for all runs.

    An account that cannot look at namespaces has a namespace that somebody made; `up` tells if it is missing.
    """
    config = stack_file.config
    labels = {names.LABEL_MANAGED_BY: names.MANAGED_BY, **ground_labels(config)}
    api = Reach(find_host(config)).host()
    if if_allowed(lambda: [api.fetch(resources.NAMESPACES, config.host.namespace)]) == [None]:
        api.create(resources.NAMESPACES, {"metadata": {"name": config.host.namespace, "labels": labels}})


def _is_over(entry: Entry) -> bool:
    """Tell whether the lease of a cluster that stayed has ended."""
    if not stack_path(entry.stack).is_file():
        return True
    config = read_stack_file(entry.stack).config
    present = fetch_lease(Reach(find_host(config)).host(), config.cluster.name)
    return present is None or present.is_over


def _remove_files(stack: str) -> None:
    """Remove what this machine has of a cluster that is gone."""
    stack_path(stack).unlink(missing_ok=True)
    shutil.rmtree(paths.stack_dir(stack), ignore_errors=True)
