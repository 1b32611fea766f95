"""This machine's clock beside the host's: what is signed here says from when it is valid, by this clock.

Guests take their time from the host. If this machine's clock is ahead, they refuse its certificates. Their own message,
an unauthorized user, names another cause.
"""

from datetime import timedelta

from kinky.errors import HostError
from kinky.keys.certificates import CLOCK_TOLERANCE
from kinky.kube.host import HostApi

HINT = "set the clock that is wrong: timedatectl set-ntp true"


def describe_difference(host: HostApi) -> str | None:
    """Tell by how much the two clocks differ, as the host last answered; None when certificates bear it."""
    ahead = host.clock_ahead
    if abs(ahead) <= CLOCK_TOLERANCE:
        return None
    side = "ahead of" if ahead > timedelta(0) else "behind"
    allowed = f"at most {_minutes(CLOCK_TOLERANCE)} are allowed"
    return f"the clock of this machine is {_minutes(ahead)} {side} the host's, {allowed}"


def check_clock(host: HostApi) -> None:
    """Refuse to sign anything by a clock that is wrong; raises HostError."""
    difference = describe_difference(host)
    if difference:
        raise HostError(f"{host.target}: {difference}", hint=HINT)


def _minutes(difference: timedelta) -> str:
    return f"{abs(difference) / timedelta(minutes=1):.0f} min"
