"""The cluster that is looked at: what is declared of it, and the ways to it. The one module that opens something."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from kinky import names, paths
from kinky.config.model import KinkyConfig
from kinky.errors import ConfigError, HostError, KinkyError
from kinky.fit.rights import PORT_FORWARD_VERBS
from kinky.keys.material import fetch_key_files
from kinky.kube import resources
from kinky.kube.access import HostAccess, InnerAccess
from kinky.kube.connection import ApiError, UnavailableError
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.kube.tls import build_context
from kinky.ownership.record import fetch_record
from kinky.reach.credential import CREDENTIAL_FILE, is_usable
from kinky.reach.forward import CA_FILE, ensure_recorded_forward
from kinky.reach.reach import Reach
from kinky.status.parallel import Job, run_side_by_side
from kinky.stores.store import Store
from kinky.topology.nodes import NodeSpec, build_nodes, control_planes, workers

T = TypeVar("T")
OPEN_SECONDS = 4.0
"""How long the first call to the host may hold up the probes; a host that is away must not."""
KEPT_SECONDS = 60.0
"""A rotation may change CA and credential while `--watch` runs."""
FORWARD_SECONDS = 3.0
"""How long a look waits for a forward that has to start again; kubectl's credential command waits longer."""


class Once(Generic[T]):
    """A value that is made at the first question and again after a minute; threads share it, a failure is not kept."""

    def __init__(self, make: Callable[[], T]) -> None:
        """Make nothing yet."""
        self._make = make
        self._lock = threading.Lock()
        self._made: tuple[float, T] | None = None

    def __call__(self) -> T:
        """Return the value."""
        with self._lock:
            if self._made is None or time.monotonic() - self._made[0] > KEPT_SECONDS:
                self._made = (time.monotonic(), self._make())
            return self._made[1]


class LookingReach(Reach):
    """The way of a prober: its threads share a connection for a minute, and look on while the host is away."""

    def __init__(self, access: HostAccess) -> None:
        """Use this access to the host, and the URL that `up` has written on this machine."""
        super().__init__(access)
        self._shared = Once(self._open)

    def heal(self) -> None:
        """Start the forward again if it has ended, as each call of kubectl does; what is wrong shows at the call."""
        with suppress(KinkyError):
            ensure_recorded_forward(self.cluster, wait_seconds=FORWARD_SECONDS)

    def inner(self) -> InnerApi:
        """Return the inner API; while the host is away, with the CA and the credential that this machine has."""
        return self._shared()

    def _open(self) -> InnerApi:
        try:
            return super().inner()
        except UnavailableError:
            # The cluster may still answer.
            directory = paths.stack_dir(self.cluster)
            return InnerApi.connect(
                InnerAccess(
                    cluster=self.cluster,
                    server=self.server,
                    tls_server_name=names.endpoint_host(self.cluster),
                    ca_file=directory / CA_FILE,
                    credential_file=directory / CREDENTIAL_FILE,
                )
            )


@dataclass(frozen=True, kw_only=True)
class Target:
    """One cluster: its declaration, its two APIs, and ways to single ports of its nodes."""

    stack: str
    config: KinkyConfig
    reach: Reach
    """Leads to both APIs."""
    open_port: Callable[[str, int], AbstractContextManager[int]]
    """Leads a port of this machine to a port of a node, while the block runs."""
    fetch_keys: Callable[[], Mapping[str, bytes]]
    """Returns the files of the key Secret (secret); raises KinkyError."""
    read_ca: Callable[[], bytes]
    """Returns the CA's certificates (PEM), as this machine knows them."""
    ca_file: Path
    """The same as a file."""
    client_file: Path
    """The admin's certificate and key for the inner API; without it nobody is authenticated."""
    store: Store | None = None
    known_uid: str = ""
    """Identity of the inner cluster by the record on the host; empty when that cannot be read."""
    timeout_seconds: float | None = None
    """Limit of one question; None is each probe's own."""

    @property
    def cluster(self) -> str:
        """Name of the inner cluster."""
        return self.config.cluster.name

    @property
    def host(self) -> HostApi:
        """The host's API."""
        return self.reach.host()

    @property
    def server(self) -> str:
        """URL of the published endpoint; raises KinkyError before `up` has come so far."""
        return self.reach.server

    @property
    def nodes(self) -> tuple[NodeSpec, ...]:
        """All declared nodes."""
        return build_nodes(self.config)

    @property
    def planes(self) -> tuple[NodeSpec, ...]:
        """The control planes among them."""
        return control_planes(self.nodes)

    @property
    def workers(self) -> tuple[NodeSpec, ...]:
        """The workers among them."""
        return workers(self.nodes)

    @property
    def path(self) -> str:
        """The published path in words."""
        mode = self.config.access.mode
        words = {
            "forward": "forward of this machine, API of the host, launcher pod",
            "nodePort": f"NodePort of Service {names.endpoint_service(self.cluster)}, route to the host's nodes",
            "loadBalancer": f"load balancer of Service {names.endpoint_service(self.cluster)}, route to it",
        }
        return f"{self.server} ({words[mode]})"

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port of the published endpoint."""
        parts = urlsplit(self.server)
        return parts.hostname or "", parts.port or names.ENDPOINT_PORT

    def limit(self, seconds: float) -> float:
        """Return the limit of one question."""
        return self.timeout_seconds or seconds

    def build_context(self) -> ssl.SSLContext:
        """Build the check of a server of the cluster, with the admin's certificate if there is one."""
        try:
            context = build_context(self.read_ca())
        except ssl.SSLError:
            raise ConfigError("the cluster's CA on this machine is not a certificate", hint="kinky up") from None
        # An expired one would be refused, where nobody at all may ask whether the API is ready.
        if is_usable(self.client_file, self.ca_file):
            context.load_cert_chain(self.client_file)
        return context

    def fetch_addresses(self) -> dict[str, str]:
        """Fetch the declared address of each node, which its Service on the host has (S-address)."""
        selector = names.cluster_selector(self.cluster)
        bodies = self.host.fetch_all_here(resources.SERVICES, selector=selector)
        declared = {node.name for node in self.nodes}
        return {
            str(body["metadata"]["name"]): str((body.get("spec") or {}).get("clusterIP") or "")
            for body in bodies
            if body["metadata"]["name"] in declared
        }


def open_target(
    stack: str,
    config: KinkyConfig,
    reach: Reach,
    *,
    store: Store,
    timeout_seconds: float | None = None,
) -> Target:
    """Open the ways to a cluster; what does not answer is met again by each probe."""
    cluster, host = config.cluster.name, reach.host()
    allowed = Once(lambda: _require_port_forward(host))
    directory = paths.stack_dir(cluster)
    first = {"credential": lambda: _open_inner(reach), "record": lambda: _fetch_known_uid(host)}
    # Each probe meets a failure again and says what it means for its capability.
    jobs = {name: Job(work, OPEN_SECONDS, late=str, failed=lambda _error: "") for name, work in first.items()}
    opened = run_side_by_side(jobs)
    return Target(
        stack=stack,
        config=config,
        reach=reach,
        open_port=lambda node, port: _open_port(reach, node, port, allowed),
        fetch_keys=Once(lambda: fetch_key_files(host, cluster)),
        read_ca=lambda: _read_ca(cluster),
        ca_file=directory / CA_FILE,
        client_file=directory / CREDENTIAL_FILE,
        store=store,
        known_uid=opened["record"],
        timeout_seconds=timeout_seconds,
    )


def _open_inner(reach: Reach) -> str:
    reach.inner()
    return ""


def _fetch_known_uid(host: HostApi) -> str:
    record = fetch_record(host, host.access.cluster)
    return record.cluster_uid if record else ""


def _read_ca(cluster: str) -> bytes:
    path = paths.stack_dir(cluster) / CA_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise paths.explain(error, path) from None
    if not content.strip():
        raise ConfigError(f"CA: {path} is empty", hint="kinky up writes it again")
    return content


def _require_port_forward(host: HostApi) -> bool:
    """Refuse before a forward is tried: a refused one looks like a node that does not answer."""
    for verb in PORT_FORWARD_VERBS:
        if not host.is_allowed(verb, resources.PODS, subresource="portforward"):
            raise ApiError(
                f"host cluster: your account is not allowed to {verb} pods/portforward in {host.namespace}",
                status=403,
                hint=f"ask for that right (verb {verb}, resource pods/portforward)",
            )
    return True


@contextmanager
def _open_port(reach: Reach, node: str, port: int, allowed: Callable[[], bool]) -> Iterator[int]:
    # Late: it brings aiohttp, which takes longer to import than most looks.
    from kinky.operations.window import fetch_launcher, open_window

    allowed()
    launcher = fetch_launcher(reach.host(), node)
    if not launcher:
        raise HostError(f"{node} has no launcher pod that runs")
    with open_window(reach, launcher, port) as window:
        yield window.port
