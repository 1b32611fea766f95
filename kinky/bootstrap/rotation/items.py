"""What can be rotated, by the name that a person types, and the two things that can be asked for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kinky.bootstrap.credential import forget_leftovers
from kinky.bootstrap.rotation import (
    certificate_authority,
    encryption_key,
    service_account_key,
    store_credential,
    worker_certificates,
)
from kinky.bootstrap.rotation.journal import Journal
from kinky.bootstrap.rotation.plan import SubStep, describe_steps, run_steps
from kinky.bootstrap.rotation.site import Site, check_site
from kinky.errors import HostError

BUILDERS: Final[Mapping[str, Callable[[Site, Journal], list[SubStep]]]] = {
    store_credential.ITEM: store_credential.build_steps,
    worker_certificates.ITEM: worker_certificates.build_steps,
    encryption_key.ITEM: encryption_key.build_steps,
    service_account_key.ITEM: service_account_key.build_steps,
    certificate_authority.ITEM: certificate_authority.build_steps,
}
"""Each builds the sub-steps of one item; building touches nothing."""
FAULT_FINDERS: Final[Mapping[str, Callable[[Site], list[str]]]] = {
    service_account_key.ITEM: service_account_key.find_faults,
    certificate_authority.ITEM: certificate_authority.find_faults,
}
"""What may stand against one item alone, besides what stands against every one."""
REPLACING: Final = (encryption_key.ITEM, service_account_key.ITEM, certificate_authority.ITEM)
"""What replaces control planes, and with them the etcd of an ephemeral cluster."""


def rotate(site: Site, item: str) -> bool:
    """Rotate one item, or go on with it; False when it has to wait for a time that has not come.

    Raises:
        KinkyError: the cluster is not fit for it, and nothing was touched; or a sub-step failed.
    """
    journal = _open_journal(site, item)
    # One that was killed in the middle of a proof could not take away the key that it asked with.
    forget_leftovers(site.cluster)
    return run_steps(journal, BUILDERS[item](site, journal))


def describe(site: Site, item: str) -> list[str]:
    """Describe what `rotate` would do, without touching anything."""
    journal = _open_journal(site, item)
    return describe_steps(journal, BUILDERS[item](site, journal))


def _open_journal(site: Site, item: str) -> Journal:
    """Open the written state of an item whose rotation nothing stands against."""
    if site.config.cluster.ephemeral and item in REPLACING:
        raise HostError(
            f"rotation of {item}: it replaces control planes, and cluster {site.cluster} is ephemeral: its etcd would"
            " go with them; nothing was touched",
            hint="make the cluster again, with new keys: kinky destroy, then kinky up",
        )
    check_site(site, item, needs_windows=_needs_windows(site, item), find_more=FAULT_FINDERS.get(item, lambda _: []))
    return Journal(site.host, site.cluster, item)


def _needs_windows(site: Site, item: str) -> bool:
    """Tell whether nodes are asked one by one: each kubelet, or each of several control planes."""
    return item == certificate_authority.ITEM or (item in REPLACING and len(site.control_planes) > 1)
