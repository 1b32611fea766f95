"""Readiness as data: an ordered table of requirements, and the one loop that waits for them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kinky.errors import HostError, InterruptedWaitError, KinkyError, WaitError
from kinky.kube.connection import ApiError
from kinky.progress import Phase
from kinky.retry import Pending, wait_until
from kinky.vault.connection import VaultSilentError

Clock = Callable[[], float]

LASTING_SHARE = 1 / 20
"""45 s of 900 s: longer than one bad reading, or a state that the next look no longer sees."""


def read_clock() -> float:
    """Read the monotonic clock, looked up at each call so that tests can replace it."""
    return time.monotonic()


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One thing that must be true before the next is looked at."""

    description: str
    check: Callable[[], str | Pending]
    """Returns what was found, or Pending with what is seen instead; raises KinkyError to give up."""
    hint: str
    every_seconds: float = 2.0


@dataclass
class Grace:
    """Remembers since when a bad state lasts, so that one bad reading is not a failure.

    The state may last for a part of the whole wait's limit, which `timeouts.scale` has scaled already.
    """

    limit_seconds: float
    clock: Clock = read_clock
    since: dict[str, float] = field(default_factory=dict)

    def is_over(self, subject: str, state: str, *, share: float = LASTING_SHARE) -> bool:
        """Tell whether the subject has been in this state for longer than this part of the limit."""
        key = f"{subject}={state}"
        for other in [known for known in self.since if known.startswith(f"{subject}=") and known != key]:
            del self.since[other]
        return self.clock() - self.since.setdefault(key, self.clock()) >= share * self.limit_seconds

    def clear(self, subject: str) -> None:
        """Forget a subject that is well."""
        for known in [known for known in self.since if known.startswith(f"{subject}=")]:
            del self.since[known]


def run_requirements(
    cluster: str,
    table: Sequence[Requirement],
    *,
    limit_seconds: float,
    phase: Phase,
    explain: Callable[[], Sequence[str]],
    remark: Callable[[], Sequence[str]] = tuple,
    clock: Clock = time.monotonic,
) -> dict[str, float]:
    """Wait for each requirement in order, all within one limit; return the seconds at which each was met.

    Args:
        explain: Returns the evidence for the error.
        remark: Asked after each check that is not met yet; what it returns is printed.

    Raises:
        InterruptedWaitError: the user asked for an end.
        WaitError: one was not met in time; it tells what was last seen and the evidence.
        HostError: one cannot be met any more.
    """
    started = clock()
    met: dict[str, float] = {}
    for number, requirement in enumerate(table, start=1):
        where = f'inner cluster "{cluster}": requirement {number} of {len(table)}'
        remaining = max(limit_seconds - (clock() - started), 1.0)
        try:
            found = _wait(requirement, remaining, phase, remark)
        except InterruptedWaitError:
            raise
        except WaitError as error:
            raise WaitError(
                f"{where} not met in {limit_seconds:.0f} s: {requirement.description}",
                details=[*error.details, *explain()],
                hint=requirement.hint,
            ) from None
        except KinkyError as error:
            raise HostError(
                f"{where} cannot be met: {requirement.description}",
                details=[error.message, *error.details, *explain()],
                hint=error.hint or requirement.hint,
            ) from None
        met[requirement.description] = clock() - started
        phase.note(f"{requirement.description}: {found}")
    return met


def _wait(requirement: Requirement, seconds: float, phase: Phase, remark: Callable[[], Sequence[str]]) -> str:
    """Wait for one requirement; an API that does not answer now is something to wait out."""

    def check() -> str | Pending:
        try:
            found = requirement.check()
        except (ApiError, VaultSilentError) as error:
            found = Pending(error.message)
        if isinstance(found, Pending):
            for line in remark():
                phase.note(line)
        return found

    return wait_until(
        check,
        what=requirement.description,
        deadline_seconds=seconds,
        every_seconds=requirement.every_seconds,
        on_change=phase.note,
    )
