"""The boots that this machine has seen on a host: how long each rung took. A file for each host, without a secret."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from kinky import paths
from kinky.errors import HostError
from kinky.file_lock import file_lock
from kinky.forming.climbs import RUNGS, Climb
from kinky.kube.access import HostAccess
from kinky.kube.kubeconfig import write_private

EMBEDDED: Final = "embedded"
KEPT: Final = 20
"""Boots of each role and accelerator; the oldest goes when another one comes."""


@dataclass(frozen=True, kw_only=True)
class Boot:
    """One boot that went well."""

    boot: str
    """UID of the VM's instance, by which a boot counts once."""
    role: str
    accelerator: str
    seconds: dict[str, float]
    """How long each rung took."""

    def __post_init__(self) -> None:
        """Refuse what no boot can be, as in a damaged file."""
        texts = (self.boot, self.role, self.accelerator)
        if not all(isinstance(each, str) for each in texts) or not isinstance(self.seconds, dict):
            raise TypeError("a boot is texts and seconds")
        if self.role not in RUNGS or not all(map(_is_time, self.seconds.values())):
            raise ValueError("no boot is like this")


def read_boots(access: HostAccess) -> tuple[Boot, ...]:
    """Read the boots of a host, the newest last; a file that is damaged or not there is no knowledge."""
    try:
        return tuple(Boot(**each) for each in json.loads(_find_file(access).read_text(encoding="utf-8")))
    # A file that is nested too deep is damaged like any other.
    except (OSError, HostError, ValueError, TypeError, RecursionError):
        return ()


def note_boots(access: HostAccess, climbs: Iterable[Climb]) -> None:
    """Add boots that went well; without an identity of the host, or room or rights here, nothing is kept."""
    with contextlib.suppress(OSError, HostError):
        if not name_host(access):
            return
        path = _find_file(access)
        # Two stacks may come up on one host at the same time.
        with file_lock(path.with_suffix(".lock")):
            boots = add_boots(read_boots(access), climbs)
            write_private(path, json.dumps([asdict(boot) for boot in boots], indent=1).encode())


def add_boots(known: Sequence[Boot], climbs: Iterable[Climb]) -> tuple[Boot, ...]:
    """Return the boots with those of the climbs; each boot counts once, and only the newest stay."""
    boots = {boot.boot: boot for boot in known}
    for climb in climbs:
        seconds = {rung: round(taken, 1) for rung, taken in climb.seconds.items()}
        if climb.boot and seconds:
            # A boot that is noted again moves to the end with what is known of it now.
            boots.pop(climb.boot, None)
            boots[climb.boot] = Boot(
                boot=climb.boot, role=climb.role, accelerator=climb.accelerator.value, seconds=seconds
            )
    counts: Counter[tuple[str, str]] = Counter()
    kept = []
    for boot in reversed(boots.values()):
        counts[boot.role, boot.accelerator] += 1
        if counts[boot.role, boot.accelerator] <= KEPT:
            kept.append(boot)
    return tuple(reversed(kept))


def name_host(access: HostAccess) -> str:
    """Return the name under which boots of a host are kept; empty when its identity is not known.

    The embedded host is this machine, also when it was removed and made again.
    """
    return EMBEDDED if access.kubeconfig == str(paths.host_kubeconfig()) else access.host_uid


def _find_file(access: HostAccess) -> Path:
    return paths.boots_dir() / f"{name_host(access)}.json"


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
