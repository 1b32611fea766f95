"""A process that can be killed before any of its calls to an API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kinky.kube.connection import Reply
from tests.unit.fake_api import FakeConnection


class Killed(BaseException):
    """SIGKILL: no line of the program runs after it."""


class Fuse:
    """Kills the program before its call number `at`; from then on every call is that of a dead process."""

    def __init__(self) -> None:
        self.calls = 0
        self.at: int | None = None

    def burn(self) -> None:
        self.calls += 1
        if self.at is not None and self.calls >= self.at:
            raise Killed


class FusedConnection(FakeConnection):
    """A connection whose calls pass the fuse, and then whatever the cluster does about them."""

    def __init__(self, fuse: Fuse, *, target: str) -> None:
        super().__init__(target=target)
        self.fuse = fuse
        self.before: Callable[[str, str], None] = lambda _method, _path: None
        self.after: Callable[[str, str], None] = lambda _method, _path: None

    def call(self, method: str, path: str, **named: Any) -> Reply:
        self.fuse.burn()
        self.before(method, path)
        reply = super().call(method, path, **named)
        self.after(method, path)
        return reply
