"""The table of items that can be rotated, and the two things that can be asked for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kinky.operations.journal import Journal
from kinky.operations.plan import describe_steps, run_steps
from kinky.operations.readiness import Needs, open_journal
from kinky.reach.credential import forget_leftovers
from kinky.rotation import (
    ca,
    encryption_key,
    service_account_key,
    store_credential,
    worker_certificates,
)
from kinky.rotation.item import Item
from kinky.rotation.site import KeySite

ITEMS: Final[Mapping[str, Item]] = {
    item.name: item
    for item in (
        store_credential.ITEM,
        worker_certificates.ITEM,
        encryption_key.ITEM,
        service_account_key.ITEM,
        ca.ITEM,
    )
}
"""Every item by its name."""


def rotate(site: KeySite, item: Item) -> bool:
    """Rotate one item, or continue; False when it has to wait for a time that has not come.

    Raises:
        KinkyError: The cluster is not fit for it, and nothing was touched; or a sub-step failed.
    """
    journal = _open_journal(site, item)
    # A rotation that was killed in the middle of a proof could not remove the key that it asked with.
    forget_leftovers(site.cluster)
    return run_steps(journal, item.build_steps(site, journal))


def describe(site: KeySite, item: Item) -> list[str]:
    """Describe what `rotate` would do, without touching anything."""
    journal = _open_journal(site, item)
    return describe_steps(journal, item.build_steps(site, journal))


def _open_journal(site: KeySite, item: Item) -> Journal:
    needs = Needs(
        lasting_etcd=item.replaces_control_planes,
        windows=item.asks_each_node or (item.replaces_control_planes and len(site.control_planes) > 1),
        check=lambda: item.check(site),
    )
    return open_journal(site, item.operation, needs)
