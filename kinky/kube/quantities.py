"""Quantities as Kubernetes writes them."""

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([numkMGTPE]?|[KMGTPE]i)")
_FACTORS = {
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("n", "u", "m", "", "k", *"MGTPE"), start=-3)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}


def parse_quantity(text: str) -> Decimal:
    """Parse a quantity, such as 500m, 8Gi or 1e3; raises ValueError on anything else.

    The package `kubernetes` reads them alike, which a test compares; its import takes a second of each preview.
    """
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError("not a quantity of Kubernetes")
    return Decimal(found[1]) * _FACTORS[found[2]]
