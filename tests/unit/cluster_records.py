"""The data of a cluster's record, as `up` writes them."""

from typing import Any

from kinky.ownership.record_format import ClusterRecord


def record_data(*, stack: str = "organization/kinky/dev", **fields: Any) -> dict[str, str]:
    """Return the data of a whole record."""
    made = {"cluster_id": "our-cluster", "host_uid": "our-host", "made_at": "2026-11-22T00:00:00Z"}
    return ClusterRecord(stack=stack, **{**made, **fields}).build_data()
