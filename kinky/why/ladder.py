"""The ladder: rungs from the declaration upwards, and one sentence at the first that is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kinky.forming.pace import Pace, find_pace
from kinky.why import guest, host, inner
from kinky.why.facts import ClusterFacts, NodeFacts
from kinky.why.step import Step

Rung = Callable[[NodeFacts, ClusterFacts], Step | None]
"""Returns None when the node stands on the rung, and else why it does not."""

RUNGS: Final[Sequence[tuple[str, Rung]]] = (
    ("declared", host.check_declared),
    ("VM accepted", host.check_accepted),
    ("S-address given", host.check_address),
    ("Secrets there", host.check_secrets),
    ("scheduled", host.check_scheduled),
    ("image", host.check_image),
    ("launcher", host.check_launcher),
    ("guest kernel", guest.check_kernel),
    ("cloud-init", guest.check_cloud_init),
    ("data disk", guest.check_data_disk),
    ("credentials", guest.check_credentials),
    ("API reachable", guest.check_api),
    ("gate", guest.check_gate),
    ("kubelet", guest.check_kubelet),
    ("registered", inner.check_registered),
    ("network", inner.check_network),
    ("Ready", inner.check_ready),
    ("schedulable", inner.check_schedulable),
)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Where a node stands, and why no higher."""

    node: str
    reached: tuple[str, ...]
    """The rungs that are there, in order."""
    missing: str
    """The first rung that is not there; empty for a node that takes pods."""
    sentence: str
    next_step: str
    evidence: tuple[str, ...]
    pace: Pace | None = None
    """Whether it is slow or stuck, by the boots that its host has shown; None when it is neither, or nobody knows."""
    before_vm: bool = False
    """Whether there is no VM yet, so that nothing of the node can be at fault."""

    @property
    def is_up(self) -> bool:
        """Whether the node stands on the highest rung."""
        return not self.missing


def explain(node: NodeFacts, cluster: ClusterFacts) -> Explanation:
    """Climb until a rung is not there."""
    reached: list[str] = []
    for name, rung in RUNGS:
        step = rung(node, cluster)
        if step is not None:
            return Explanation(
                node=node.name,
                reached=tuple(reached),
                missing=name,
                sentence=step.sentence,
                next_step=step.next_step.format(node=node.name, stack=cluster.stack, namespace=cluster.namespace),
                evidence=(*step.evidence, *node.console_end) if name in GUEST else step.evidence,
                pace=find_pace(node.climb, cluster.boots, cluster.now) if cluster.now else None,
                before_vm=node.vm is None,
            )
        reached.append(name)
    return Explanation(
        node=node.name,
        reached=tuple(reached),
        missing="",
        sentence=f"{node.name} is Ready and takes pods",
        next_step="",
        evidence=(),
    )


GUEST: Final = frozenset({"guest kernel", "cloud-init", "data disk", "credentials", "API reachable", "gate", "kubelet"})
"""Rungs inside the guest, where its console is evidence."""
