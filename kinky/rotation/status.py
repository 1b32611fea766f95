"""The keys of a cluster, their ages, and the progress of each rotation. Fingerprints only."""

from __future__ import annotations

from dataclasses import dataclass

from kinky.errors import KinkyError
from kinky.operations.journal import Progress, fetch_all_progress
from kinky.rotation.item import Item, KeyState
from kinky.rotation.items import ITEMS
from kinky.rotation.site import KeySite


@dataclass(frozen=True, kw_only=True)
class ItemStatus:
    """One item that can be rotated."""

    item: str
    keys: tuple[KeyState, ...]
    unknown: str
    """Why the keys cannot be told, or empty."""
    progress: Progress


def fetch_status(site: KeySite) -> list[ItemStatus]:
    """Fetch the status of each item; keys that cannot be read now are reported as unknown, with the reason."""
    progress = fetch_all_progress(site.host, site.cluster)
    return [_look(site, item, progress.get(item.operation, Progress())) for item in ITEMS.values()]


def _look(site: KeySite, item: Item, progress: Progress) -> ItemStatus:
    try:
        return ItemStatus(item=item.name, keys=tuple(item.find_keys(site)), unknown="", progress=progress)
    except KinkyError as error:
        return ItemStatus(item=item.name, keys=(), unknown=error.message, progress=progress)
