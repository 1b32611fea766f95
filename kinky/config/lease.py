"""The section about a cluster's lease, and the form in which people write how long it lasts."""

from __future__ import annotations

import re
from typing import Annotated, Final

from kinky.config.section import FREELY, Section
from kinky.config.values import Rule, Text
from kinky.errors import ConfigError

SHORTEST_SECONDS: Final = 5 * 60
LONGEST_SECONDS: Final = 7 * 24 * 3600
FORM: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])")
UNIT_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400}
RULE: Final = "must be a time from 5m to 7d: a number of minutes, hours or days, such as 90m, 2h or 1d"


def count_seconds(text: str) -> int:
    """Return the seconds of a time such as `90m`, `2h` or `1d`; 0 if it is not a time, or is out of the range."""
    found = FORM.fullmatch(text)
    seconds = int(found[1]) * UNIT_SECONDS[found[2]] if found else 0
    return seconds if SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS else 0


def parse_ttl(text: str) -> int:
    """Return the seconds of a time that a person gave.

    Raises:
        ConfigError: It is not a time, or is out of the range.
    """
    seconds = count_seconds(text)
    if not seconds:
        raise ConfigError(f"{text!r} {RULE}")
    return seconds


Ttl = Annotated[
    str,
    Rule(lambda text: None if count_seconds(text) else RULE, {"pattern": f"^{FORM.pattern}$"}),
]


class Lease(Section):
    """How long the cluster lives unless somebody renews its lease; the host itself removes it then."""

    ttl: Annotated[Ttl, FREELY]
    """Time until the host removes the cluster, from `5m` to `7d`, such as `90m`, `2h` or `1d`."""
    holder: Annotated[Text | None, FREELY] = None
    """The user of the cluster, for `kinky lease list`: a person, a team or a pipeline's run. It is not secret."""

    @property
    def seconds(self) -> int:
        """Return the time in seconds."""
        return count_seconds(self.ttl)
