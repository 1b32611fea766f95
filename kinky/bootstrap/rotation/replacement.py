"""Sub-steps that replace nodes one at a time, so that they boot with what the host holds now; proved from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kinky.bootstrap.checks import VmCheck, refuse_failed_stage
from kinky.bootstrap.diagnose import describe_nodes, fetch_console, parse_stages
from kinky.bootstrap.requirements import Grace, Requirement, run_requirements
from kinky.bootstrap.rotation.journal import Journal
from kinky.bootstrap.rotation.plan import SubStep
from kinky.bootstrap.rotation.site import Site
from kinky.bootstrap.rotation.window import ask_control_plane
from kinky.bootstrap.silent_guests import SilentGuests
from kinky.kube import resources
from kinky.kube.inner import InnerApi
from kinky.progress import Phase
from kinky.retry import Pending

NODE_LIMIT_SECONDS = 1200.0
"""A deleted VM instance is a Ready node again after 3 to 5 minutes under emulation; with other load after 10."""
QUORUM_LIMIT_SECONDS = 300.0
"""The other control planes are normally Ready; one that restarts on its own gets this time."""
HINT = "kubectl describe vmi {node} on the host shows more; after a fix the same kinky rotate goes on from here"

Proof = Callable[[InnerApi], str | Pending]
"""What the API server of a control plane must show once it has booted again."""
PROOF_EVERY_SECONDS = 10.0
"""Each question may start a kubectl, and metrics are megabytes."""


class Replacement:
    """Replaces one node: deletes its VM instance, once, and waits until another one has become the node."""

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
            self._run(self._build_quorum(), QUORUM_LIMIT_SECONDS, running)
            # Whoever asks again deletes the same instance or none: the next one has another identity.
            self._site.host.delete(resources.VIRTUAL_MACHINE_INSTANCES, self._node, namespace=self._site.host.namespace)
        self._run(self._build_return(old), NODE_LIMIT_SECONDS, running)
        return f"{self._node} is back"

    def _look(self) -> Mapping[str, str]:
        """Return which instance and which boot are to be replaced."""
        boot = self._site.ask("tells of its nodes", lambda inner: _find_boot(inner, self._node) or "none")
        vmi = self._site.host.fetch_vmi(self._node)
        return {"vmi": vmi.uid if vmi else "", "boot": boot}

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
                hint=HINT.format(node=other),
            )
            for other in others
        ]
        if others:
            table.append(
                Requirement(
                    description=f"{' and '.join(others)} say themselves that they are ready before {self._node} goes",
                    check=lambda: self._ask_ready(others),
                    hint=HINT.format(node=others[0]),
                    every_seconds=PROOF_EVERY_SECONDS,
                )
            )
        return table

    def _build_return(self, old: Mapping[str, str]) -> list[Requirement]:
        """Build what must hold before the node counts as replaced."""
        site, node, hint = self._site, self._node, HINT.format(node=self._node)
        runs = VmCheck(site.host, site.cluster, [node], limit_seconds=self._limit_seconds)
        checks: list[tuple[str, Callable[[], str | Pending]]] = [
            (f"{node} has a new VM instance", lambda: self._check_instance(old["vmi"], runs)),
            (f"{node} runs", runs),
        ]
        if node in site.control_planes:
            # The probe of the VM asks its API server for /readyz, which needs its etcd to have a majority.
            checks.append((f"the API server of {node} is ready", lambda: self._check_api_server(node)))
        checks.append((f"{node} is Ready after a new boot", lambda: self._check_node(old["boot"])))
        table = [
            Requirement(description=description, check=check, hint=hint, every_seconds=3.0)
            for description, check in checks
        ]
        proof = self._proof
        if proof is not None:
            table.append(
                Requirement(
                    description=f"the API server of {node} has the new keys",
                    check=lambda: ask_control_plane(site, node, proof),
                    hint=hint,
                    every_seconds=PROOF_EVERY_SECONDS,
                )
            )
        return table

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
        node = self._site.open_inner().fetch_nodes().get(self._node)
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
        round_name: First part of the sub-steps' names; a rotation may replace the same node several times.
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
                limit_seconds=site.scale(NODE_LIMIT_SECONDS),
            )
        )
    return steps


def _check_readyz(inner: InnerApi) -> str | Pending:
    """Look whether the API server that answers is ready, which needs its etcd to have a majority."""
    return "ready" if inner.is_ready() else Pending("/readyz is not 200")


def _find_boot(inner: InnerApi, node: str) -> str:
    """Find which boot of a node the inner API has seen last."""
    found = inner.fetch_nodes().get(node)
    return found.boot_id if found else ""
