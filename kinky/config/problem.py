"""One thing that is wrong with a configuration, written the way the user wrote the key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kinky.errors import ConfigError

KeyPath = tuple[str | int, ...]

UNSHOWN: Final = object()
"""The value of a problem whose value is absent, or must not be repeated."""

LONGEST_VALUE: Final = 80
USER_IN_URL: Final = re.compile(r"://[^/\s\"]*@")
"""A user and a password (secret): a message could quote them if they are in a wrong place."""
PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Problem:
    """A key, its value, what is wrong with it, and the other keys that the verdict rests on."""

    key: KeyPath
    value: object
    message: str
    involves: tuple[KeyPath, ...] = ()

    def __str__(self) -> str:
        """Return a line such as `controlPlane.replicas = 2: must be 1 or 3`."""
        shown = "" if self.value is UNSHOWN else f" = {_shorten(self.value)}"
        return f"{format_key(self.key)}{shown}: {self.message}"


def format_key(key: KeyPath) -> str:
    """Return a key path in the form `workers[0].labels["example.com/zone"]`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        elif PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part)}]"
    return text or "the configuration"


def refuse(problems: Iterable[Problem], *, source: str) -> None:
    """Raise one error with all problems; do nothing without problems.

    Raises:
        ConfigError: There is at least one problem.
    """
    details = [str(problem) for problem in problems]
    if details:
        count = "1 problem" if len(details) == 1 else f"{len(details)} problems"
        raise ConfigError(
            f"{source}: {count}",
            details=details,
            hint=f"nothing has been touched; edit {source}, docs/configuration.md describes every key",
        )


def _shorten(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    if not text.isprintable():
        # A control character would reach the terminal, and half a surrogate pair cannot be written.
        text = json.dumps(value, default=str)
    text = USER_IN_URL.sub("://[taken out]@", text)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
