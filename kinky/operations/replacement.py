"""Sub-steps that replace nodes one at a time, so that they boot with what the host holds now; proved from outside.

The pods of a node are evicted before it goes, and let in again when it is back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kinky.errors import KinkyError, WaitError
from kinky.forming.checks import VmCheck, refuse_failed_stage
from kinky.forming.diagnose import describe_nodes, fetch_console, parse_stages
from kinky.forming.requirements import Grace, Requirement, run_requirements
from kinky.forming.silent_guests import SilentGuests
from kinky.kube import resources
from kinky.kube.inner import InnerApi
from kinky.operations.drain import DRAIN_LIMIT_SECONDS, drain, uncordon
from kinky.operations.journal import Journal
from kinky.operations.plan import SubStep
from kinky.operations.site import Site
from kinky.operations.window import ask_control_plane
from kinky.progress import Phase
from kinky.retry import Pending

NODE_LIMIT_SECONDS = 1200.0
"""A deleted VM instance is a Ready node again after 3 to 5 minutes under emulation; with other load after 10."""
QUORUM_LIMIT_SECONDS = 300.0
"""The other control planes are normally Ready; a restarting one gets this time."""
HINT = "kubectl describe vmi {node} on the host shows more; after a fix {command} continues from here"
LOOK_LIMIT_SECONDS = 300.0
"""A control plane that somebody else has replaced is back after five minutes under emulation."""

CORDONED = "cordoned"
PROOF_LIMIT_SECONDS = 600.0
"""The API server answers already; under emulation the answer to one question may take half a minute."""
PROOF_EVERY_SECONDS = 10.0
"""Each question may start a kubectl, and metrics are megabytes."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A question to the API server of a control plane that has booted again."""

    title: str
    """The condition, as the predicate of a sentence about the API server."""
    ask: Callable[[InnerApi], str | Pending]


class Replacement:
    """Replaces one node: drains it, deletes its VM instance, once, and waits until another one has become the node."""

    def __init__(self, site: Site, journal: Journal, step: str, node: str, *, proof: Proof | None) -> None:
        """Do nothing yet; `step` is the name under which the journal keeps which instance is meant."""
        self._site = site
        self._journal = journal
        self._step = step
        self._node = node
        self._proof = proof
        self._limit_seconds = site.scale(NODE_LIMIT_SECONDS)
        self._grace = Grace(self._limit_seconds)
        self._silent = SilentGuests(site.host, limit_seconds=self._limit_seconds)

    def __call__(self, running: Phase) -> str:
        """Replace the node, or go on with that; raises KinkyError when it does not come back in time."""
        old = self._journal.recall(self._step) or self._journal.remember(self._step, self._look())
        vmi = self._site.host.fetch_vmi(self._node)
        if vmi is not None and vmi.uid == old["vmi"]:
            self._remove(old, running)
        self._run(self._build_return(old), NODE_LIMIT_SECONDS, running)
        if not old[CORDONED]:
            # Before the proof: the node is Ready, and an operation that stops here may stay stopped for days.
            running.note(uncordon(self._site, self._node))
        self._run(self._build_proof(), PROOF_LIMIT_SECONDS, running)
        return f"{self._node} is back"

    def _look(self) -> Mapping[str, str]:
        """Return which instance and which boot are to be replaced, and whether the node was cordoned before."""
        limit = self._site.scale(LOOK_LIMIT_SECONDS)
        node = self._site.reach.ask(
            "lists its nodes", lambda inner: inner.fetch_nodes().get(self._node), limit_seconds=limit
        )
        vmi = self._site.host.fetch_vmi(self._node)
        return {
            "vmi": vmi.uid if vmi else "",
            "boot": node.boot_id if node else "",
            CORDONED: "yes" if node and node.cordoned else "",
        }

    def _remove(self, old: Mapping[str, str], running: Phase) -> None:
        """Drain the node and delete its VM instance; if the node must stay for now, it takes pods again."""
        host = self._site.host
        try:
            self._run(self._build_quorum(), QUORUM_LIMIT_SECONDS, running)
            running.note(drain(self._site, self._node, running))
            # Once more: the pods may have taken minutes to go.
            self._run(self._build_quorum(), QUORUM_LIMIT_SECONDS, running)
        except WaitError:
            if not old[CORDONED]:
                with contextlib.suppress(KinkyError):
                    uncordon(self._site, self._node)
            raise
        # With its identity: the next instance has another one, and must stay.
        host.delete(resources.VIRTUAL_MACHINE_INSTANCES, self._node, namespace=host.namespace, uid=old["vmi"])

    def _hint(self, node: str) -> str:
        return HINT.format(node=node, command=self._journal.operation.command)

    def _run(self, table: Sequence[Requirement], limit_seconds: float, running: Phase) -> None:
        run_requirements(
            self._site.cluster,
            table,
            limit_seconds=self._site.scale(limit_seconds),
            phase=running,
            explain=lambda: describe_nodes(self._site.host, [self._node]),
        )

    def _build_quorum(self) -> list[Requirement]:
        """Build what must hold before a control plane goes: etcd has its majority without it."""
        planes = self._site.control_planes
        others = [name for name in planes if name != self._node] if self._node in planes else []
        table = [
            Requirement(
                description=f"control plane {other} is Ready before {self._node} goes",
                check=lambda other=other: self._check_api_server(other),  # type: ignore[misc]
                hint=self._hint(other),
            )
            for other in others
        ]
        if others:
            table.append(
                Requirement(
                    description=f"{' and '.join(others)} say themselves that they are ready before {self._node} goes",
                    check=lambda: self._ask_ready(others),
                    hint=self._hint(others[0]),
                    every_seconds=PROOF_EVERY_SECONDS,
                )
            )
        return table

    def _build_return(self, old: Mapping[str, str]) -> list[Requirement]:
        """Build what must hold before the node counts as replaced."""
        site, node, hint = self._site, self._node, self._hint(self._node)
        runs = VmCheck(site.host, site.cluster, [node], limit_seconds=self._limit_seconds)
        checks: list[tuple[str, Callable[[], str | Pending]]] = [
            (f"{node} has a new VM instance", lambda: self._check_instance(old["vmi"], runs)),
            (f"{node} runs", runs),
        ]
        if node in site.control_planes:
            # The probe of the VM asks its API server for /readyz, which needs its etcd to have a majority.
            checks.append((f"the API server of {node} is ready", lambda: self._check_api_server(node)))
        checks.append((f"{node} is Ready after a new boot", lambda: self._check_node(old["boot"])))
        return [
            Requirement(description=description, check=check, hint=hint, every_seconds=3.0)
            for description, check in checks
        ]

    def _build_proof(self) -> list[Requirement]:
        """Build what the API server of a control plane must show, if anything."""
        site, node, proof = self._site, self._node, self._proof
        if proof is None:
            return []
        return [
            Requirement(
                description=f"the API server of {node} {proof.title}",
                check=lambda: ask_control_plane(site, node, proof.ask),
                hint=self._hint(node),
                every_seconds=PROOF_EVERY_SECONDS,
            )
        ]

    def _check_instance(self, old: str, runs: Callable[[], str | Pending]) -> str | Pending:
        """Look for the next instance; until it exists, the VM shows why, such as a pause after a failure."""
        vmi = self._site.host.fetch_vmi(self._node)
        if vmi is None:
            found = runs()
            why = f": {found.seen}" if isinstance(found, Pending) else ""
            return Pending(f"{self._node} has no VM instance{why}")
        return Pending(f"{self._node}: the old VM instance ends") if vmi.uid == old else f"{vmi.phase}"

    def _check_api_server(self, node: str) -> str | Pending:
        vmi = self._site.host.fetch_vmi(node)
        return "ready" if vmi is not None and vmi.ready else Pending(f"{node}: /readyz is not 200 yet")

    def _ask_ready(self, others: Sequence[str]) -> str | Pending:
        """Ask all of these API servers in one look: a VM's Ready is up to a minute old (12 probes, one each 5 s)."""
        for other in others:
            found = ask_control_plane(self._site, other, _check_readyz)
            if isinstance(found, Pending):
                return Pending(f"{other}: {found.seen}")
        return "ready"

    def _check_node(self, old: str) -> str | Pending:
        """Look whether the node is Ready with another boot; a guest that has failed or hangs is noticed meanwhile."""
        stages = parse_stages(fetch_console(self._site.host, self._node))
        if stages:
            refuse_failed_stage(self._node, stages[-1], self._grace)
        else:
            self._silent.watch(self._node)
        node = self._site.reach.inner().fetch_nodes().get(self._node)
        if node is None:
            return Pending(f"{self._node} is not registered")
        if not node.boot_id or node.boot_id == old:
            return Pending(f"{self._node}: the inner API still shows the old boot")
        return "Ready" if node.ready else Pending(f"{self._node} not Ready: {node.reason}")


def build_replacements(
    site: Site, journal: Journal, nodes: Sequence[str], *, round_name: str, title: str, proof: Proof | None = None
) -> list[SubStep]:
    """Build one sub-step for each node, in this order; each waits until its node is back before the next one starts.

    Args:
        round_name: First part of the sub-steps' names; an operation may replace the same node several times.
        proof: Asked of the API server of each node once it has booted again.
    """
    steps = []
    for node in nodes:
        name = f"{round_name}/{node}"
        steps.append(
            SubStep(
                name=name,
                title=f"{node} is replaced: {title}",
                run=Replacement(site, journal, name, node, proof=proof),
                restarts=node,
                limit_seconds=site.scale(DRAIN_LIMIT_SECONDS + NODE_LIMIT_SECONDS + PROOF_LIMIT_SECONDS),
            )
        )
    return steps


def _check_readyz(inner: InnerApi) -> str | Pending:
    """Look whether the API server that answers is ready, which needs its etcd to have a majority."""
    return "ready" if inner.is_ready() else Pending("/readyz is not 200")
