"""Quantities as Kubernetes writes them; the `kubernetes` package knows their suffixes."""

from decimal import Decimal


def parse_quantity(text: str) -> Decimal:
    """Parse a quantity, such as 500m, 8Gi or 1e3; raises ValueError on anything else."""
    # Imported here because it takes a second, as in `connection`.
    from kubernetes.utils.quantity import parse_quantity as parse

    return Decimal(parse(text))
