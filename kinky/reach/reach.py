"""`Reach`: the way to one living cluster, to its host and to its own API.

Nobody else opens either API. It handles three cases for all callers: a forward that has ended, a credential of an hour,
and a CA that another machine has rotated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kinky import names, paths
from kinky.errors import InterruptedWaitError, KinkyError, WaitError
from kinky.kube.access import HostAccess, InnerAccess
from kinky.kube.connection import ApiError, UnavailableError
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.kube.kubeconfig import read_server
from kinky.reach.credential import KUBECONFIG_FILE, refresh_credential
from kinky.reach.forward import ensure_recorded_forward
from kinky.retry import Pending, wait_until

T = TypeVar("T")

FORWARD_SECONDS = 10.0
"""How long a forward that was started again may take to listen: less than the patience of a person at kubectl."""
ASK_HINT = "kubectl get --raw /readyz?verbose shows what the inner API lacks; the same command continues from here"


class Reach:
    """One cluster's two APIs. Making it sends nothing."""

    def __init__(self, access: HostAccess, server: str | None = None) -> None:
        """Use this access to the host.

        Args:
            server: URL of the inner API; None means the one in the kubeconfig that `up` has written on this machine.
        """
        self.access = access
        self._server = server
        self._host: HostApi | None = None
        self._inner: InnerApi | None = None
        self._opened_with = ""

    @property
    def cluster(self) -> str:
        """Name of the inner cluster."""
        return self.access.cluster

    @property
    def server(self) -> str:
        """URL of the inner API; raises KinkyError when this machine knows none."""
        if self._server is None:
            path = paths.stack_dir(self.cluster) / KUBECONFIG_FILE
            if not path.is_file():
                raise KinkyError(
                    f"inner cluster {self.cluster}: no kubeconfig yet: {path}", hint="kinky up of its stack writes it"
                )
            self._server = read_server(path)
        return self._server

    def at(self, server: str) -> Reach:
        """Return the way to the same cluster by another URL."""
        made = Reach(self.access, server)
        made._host = self._host
        return made

    def host(self) -> HostApi:
        """Return the host's API; raises HostError when the kubeconfig cannot be used. Sends nothing yet."""
        if self._host is None:
            self._host = HostApi.connect(self.access)
        return self._host

    def heal(self) -> None:
        """Start the forward again if it has ended; does nothing in an access mode without one.

        Raises:
            UnavailableError: It does not listen in time.
        """
        try:
            ensure_recorded_forward(self.cluster, wait_seconds=FORWARD_SECONDS)
        except InterruptedWaitError:
            raise
        except WaitError as error:
            # Whoever waits for the inner API goes on waiting: it does not answer now.
            raise UnavailableError(error.message, details=error.details, hint=error.hint) from error

    def inner(self) -> InnerApi:
        """Return the inner API with the admin's credential, verified against the cluster's CA.

        Call it again for each question: it heals the forward, and reads the CA from the host, because another machine
        may have rotated it. The connection stays the same until the credential or the CA changes.

        Raises:
            KinkyError: The host does not give the CA, or the forward cannot be started.
        """
        server = self.server
        self.heal()
        credential = refresh_credential(self.host(), self.cluster)
        if self._inner is None or self._opened_with != credential.version:
            self._inner = InnerApi.connect(
                InnerAccess(
                    cluster=self.cluster,
                    server=server,
                    tls_server_name=names.endpoint_host(self.cluster),
                    ca_file=credential.ca_file,
                    credential_file=credential.file,
                )
            )
            self._opened_with = credential.version
        return self._inner

    def ask(
        self,
        what: str,
        question: Callable[[InnerApi], T | Pending],
        *,
        limit_seconds: float,
        every_seconds: float = 2.0,
        hint: str = ASK_HINT,
        on_change: Callable[[str], None] | None = None,
    ) -> T:
        """Ask the inner API until it answers something other than `Pending`; an API that does not answer is waited for.

        Args:
            what: The condition in words, as it shall stand in the error.

        Raises:
            WaitError: The limit passed; it tells what was last seen.
        """
        return wait_until(
            lambda: question(self.inner()),
            what=f'inner cluster "{self.cluster}": {what}',
            deadline_seconds=limit_seconds,
            every_seconds=every_seconds,
            hint=hint,
            on_change=on_change,
            tolerate=(ApiError,),
        )
