"""Changes inside, past Pulumi, that `up` repairs: the step runs again although no input of it changed.

Each question is asked at every preview, so it costs a call or two. An inner API that does not answer gives no reason
to run a step: what needs it says so better.
"""

from __future__ import annotations

from collections.abc import Callable

from kinky.errors import KinkyError
from kinky.gate import gate, wall
from kinky.kube.inner import InnerApi
from kinky.reach.reach import Reach
from kinky.stores import secrets_store


def has_broken_wall(reach: Reach) -> bool:
    """Tell whether a part of the gate's wall was deleted or changed."""
    return _ask(reach, lambda inner: bool(wall.check_wall(inner)))


def holds_workloads_back(reach: Reach) -> bool:
    """Tell whether the gate is not open, though nobody closed it by hand, or a node still has its taint."""

    def look(inner: InnerApi) -> bool:
        state = gate.fetch_state(inner)
        if state.reason == gate.CLOSED_BY_HAND:
            return False
        return not state.is_latched or bool(gate.fetch_tainted(inner))

    return _ask(reach, look)


def has_ended_token(reach: Reach) -> bool:
    """Tell whether the store's token is not in the inner cluster, or was ended on the host before its time."""
    return _ask(reach, lambda inner: not secrets_store.is_token_alive(reach.host(), inner))


def _ask(reach: Reach, look: Callable[[InnerApi], bool]) -> bool:
    try:
        return look(reach.inner())
    except KinkyError:
        return False
