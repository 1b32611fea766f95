"""The way to a stack's cluster for commands that only look, also before `up` has finished it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kinky.stacks.file import StackFile

if TYPE_CHECKING:
    from kinky.status.judgement import Verdict
    from kinky.status.target import LookingReach, Target


@dataclass(frozen=True)
class Prober:
    """A cluster, and the place from which it is looked at."""

    target: Target
    identity: str
    """Identity of the cluster by its record on the host."""
    vantage: str


@dataclass(frozen=True)
class Look:
    """One look at a cluster."""

    target: Target
    verdicts: Sequence[Verdict]
    """The worst first."""
    at: datetime


def find_way(stack_file: StackFile) -> LookingReach:
    """Return the way to the cluster; nothing is asked yet."""
    from kinky.ownership.record import with_kept
    from kinky.reach.host import find_host
    from kinky.status.target import LookingReach

    return LookingReach(with_kept(find_host(stack_file.config)))


def open_way(stack_file: StackFile, way: LookingReach, *, timeout_seconds: float | None = None) -> Target:
    """Return the cluster as something to look at.

    Args:
        timeout_seconds: Limit of one question; None is each probe's own.
    """
    from kinky.stacks.inner import find_store
    from kinky.status.target import open_target

    store = find_store(stack_file, way)
    return open_target(stack_file.stack, stack_file.config, way, store=store, timeout_seconds=timeout_seconds)


def open_prober(
    stack_file: StackFile, *, vantage: str = "here", allow_inside: bool = False, timeout_seconds: float | None = None
) -> Prober:
    """Return the cluster of a stack for a judgement.

    Raises:
        KinkyError: Nothing says where it is.
        ConfigError: The prober stands inside, or the CA is empty.
    """
    from urllib.parse import urlsplit

    from kinky.status.vantage import check_vantage, fetch_node_addresses, fetch_own_addresses

    way = find_way(stack_file)
    # Before anything is asked: it tells when `up` has not come so far.
    server, cluster_id = way.server, way.access.cluster_id
    target = open_way(stack_file, way, timeout_seconds=timeout_seconds)
    own, nodes = fetch_own_addresses(urlsplit(server).hostname or ""), fetch_node_addresses(target)
    inside = check_vantage(stack_file.config, own, allowed=allow_inside, nodes=nodes)
    # Without a CA to compare with, nothing that answers can be believed.
    target.read_ca()
    return Prober(target, cluster_id, inside or vantage)


def judge_now(stack_file: StackFile, *, deep: bool = False) -> Look:
    """Look once at the cluster of a stack and judge; raises as `open_prober`."""
    from kinky.status import probes
    from kinky.status.judgement import judge
    from kinky.status.memory import read_memory
    from kinky.status.rounds import look_once

    prober = open_prober(stack_file)
    seen = look_once(prober.target, probes.choose([], deep=deep), vantage=prober.vantage)
    now = datetime.now(UTC)
    since = read_memory(stack_file.cluster, prober.identity).disagree_since
    return Look(prober.target, judge(seen, now=now, disagree_since=since), now)
