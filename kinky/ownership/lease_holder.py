"""Holding a lease: a thread renews it at a third of its life, as long as the work runs that needs the cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from kinky.errors import HostError, KinkyError
from kinky.kube.access import HostAccess
from kinky.kube.connection import ApiError
from kinky.ownership.lease import describe_ended, fetch_lease, renew_lease
from kinky.progress import note
from kinky.reach.reach import Reach

SHARE: Final = 3
"""A lease that is renewed at a third of its life outlives two renewals that fail."""
AGAIN: Final = 12
"""After a failure the next try follows sooner: at this part of the lease's life."""

HolderStop = threading.Event
"""The event that ends the waits of a holder; tests replace it."""


class Holder:
    """Renews one lease from a thread of its own, until it is stopped or the lease is lost."""

    def __init__(self, access: HostAccess, *, seconds: int) -> None:
        """Do not start yet.

        Args:
            seconds: The time by which the lease is renewed.
        """
        self._access = access
        self._seconds = seconds
        self._stop = HolderStop()
        self._thread = threading.Thread(target=self._hold, daemon=True, name=f"lease of {access.cluster}")
        self.lost: HostError | None = None
        """Why the lease cannot be renewed any more."""

    def start(self) -> None:
        """Renew the lease from now on; the first time after a third of its life."""
        self._thread.start()

    def stop(self) -> None:
        """Renew it no more."""
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Make sure that the lease was not lost.

        Raises:
            HostError: It was.
        """
        if self.lost is not None:
            raise self.lost

    def _hold(self) -> None:
        wait = self._seconds / SHARE
        while not self._stop.wait(wait):
            wait = self._seconds / (SHARE if self._renew() else AGAIN)
            if self.lost is not None:
                return

    def _renew(self) -> bool:
        try:
            # Opened each time: a long run outlives a credential.
            renew_lease(Reach(self._access).host(), seconds=self._seconds)
        except KinkyError as error:
            # The host may be away for a moment; only its own answer says that the lease has ended.
            if isinstance(error, ApiError) or not isinstance(error, HostError):
                note(f"the lease of {self._access.cluster} was not renewed: {error.message}")
                return False
            self.lost = error
            note(error.message)
        return True


@contextmanager
def hold_lease(access: HostAccess) -> Iterator[Holder]:
    """Renew the cluster's lease while the block runs.

    Raises:
        HostError: There is no lease, or it was lost meanwhile.
    """
    api = Reach(access).host()
    present = fetch_lease(api, access.cluster)
    if present is None or present.is_over:
        raise describe_ended(access)
    renew_lease(api, seconds=present.seconds)
    holder = Holder(access, seconds=present.seconds)
    holder.start()
    try:
        yield holder
    finally:
        holder.stop()
    holder.check()
