"""What can be rotated, by the name that a person types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kinky.bootstrap.rotation import store_credential, worker_certificates
from kinky.bootstrap.rotation.journal import Journal
from kinky.bootstrap.rotation.plan import SubStep
from kinky.bootstrap.rotation.site import Site

BUILDERS: Final[Mapping[str, Callable[[Site, Journal], list[SubStep]]]] = {
    store_credential.ITEM: store_credential.build_steps,
    worker_certificates.ITEM: worker_certificates.build_steps,
}
"""Each builds the sub-steps of one item; building touches nothing."""
