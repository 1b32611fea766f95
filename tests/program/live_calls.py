"""What the tests of the live steps share: the inputs that each step is given, and calls that are only remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kinky.components.live_step import StepInputs
from kinky.components.properties import Properties, describe
from kinky.kube.access import HostAccess

ACCESS = HostAccess(kubeconfig="/home/me/host.yaml", context=None, namespace="kinky-dev", cluster="dev")
COMMON = describe(StepInputs(access=ACCESS))


def kept(inputs: StepInputs, outputs: object) -> Properties:
    """Return what the state holds of a step that has run."""
    return {**describe(inputs), **describe(outputs), "__provider": "the class"}


class Calls:
    """Remembers calls by name, in their order."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[Any, ...]]] = []

    def take(self, name: str, *, returns: Any = None) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.made.append((name, (*arguments, *named.values())))
            return returns

        return call
