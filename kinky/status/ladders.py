"""The ladders of all nodes of a target, read side by side: what `kinky why` tells and the report shows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from kinky.status.parallel import Job, run_side_by_side
from kinky.status.target import Target
from kinky.topology.nodes import NodeSpec
from kinky.why.facts import ClusterFacts, NodeFacts
from kinky.why.ladder import Explanation, explain
from kinky.why.reading import InnerFacts, Ways, read_cluster, read_inner, read_node

INNER_SECONDS: Final = 5.0
"""After this time the inner API counts as silent; its own calls would wait longer."""
NODE_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Ladder:
    """One node: what is known of it, and how far it stands."""

    facts: NodeFacts
    explanation: Explanation


def climb(target: Target, chosen: Collection[str] = ()) -> list[Ladder]:
    """Read and climb the ladders of these nodes, or of all."""
    ways = Ways(stack=target.stack, config=target.config, reach=target.reach, open_port=target.open_port)
    inner = _read_inner(ways)
    cluster = read_cluster(ways, inner)
    specs = [spec for spec in target.nodes if not chosen or spec.name in chosen]
    return list(run_side_by_side({spec.name: _build_job(ways, spec, inner, cluster) for spec in specs}).values())


def _read_inner(ways: Ways) -> InnerFacts:
    job = Job(
        work=lambda: read_inner(ways),
        limit_seconds=INNER_SECONDS,
        late=lambda: InnerFacts(fault=f"it has not answered for {INNER_SECONDS:g} s"),
        failed=lambda error: InnerFacts(fault=type(error).__name__),
    )
    return run_side_by_side({"inner API": job})["inner API"]


def _build_job(ways: Ways, spec: NodeSpec, inner: InnerFacts, cluster: ClusterFacts) -> Job[Ladder]:
    def lost(why: str) -> Ladder:
        told = f"{spec.name} could not be read: {why}"
        nothing = Explanation(
            node=spec.name, reached=(), missing="declared", sentence=told, next_step="", evidence=(), before_vm=True
        )
        return Ladder(NodeFacts(name=spec.name, is_control_plane=spec.is_control_plane), nothing)

    def work() -> Ladder:
        facts = read_node(ways, spec, inner)
        return Ladder(facts, explain(facts, cluster))

    return Job(
        work=work,
        limit_seconds=NODE_SECONDS,
        late=lambda: lost(f"no answer within {NODE_SECONDS:g} s"),
        failed=lambda error: lost(type(error).__name__),
    )
