"""The host's view of an inner cluster's endpoint: the Service, the pods behind it, and the pod to use."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kinky import names
from kinky.errors import KinkyError
from kinky.kube import resources
from kinky.kube.access import StreamTerms
from kinky.kube.connection import Connection, open_host
from kinky.kube.host import HostApi
from kinky.reach.forward import ForwardSpec

GONE_SECONDS = 60.0
"""Time after which a missing endpoint Service counts as deleted; a replaced Service is back sooner."""
SILENT_SECONDS = 300.0
"""Limit for a host that does not answer; a laptop that wakes up must not keep this process for ever."""


@dataclass(frozen=True)
class Sight:
    """The endpoint at one moment."""

    has_service: bool
    ready: tuple[str, ...] = ()
    """Pods behind the Service that are Ready, the newest first."""
    running: tuple[str, ...] = ()
    """All running pods behind it: before the API is ready there are only these."""
    ending: tuple[str, ...] = ()
    """Pods behind it that still run, but were deleted: connections to them end by themselves."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """IP of each pod that has one."""

    def choose(self, current: str | None, tried: Collection[str] = ()) -> str | None:
        """Choose a pod that was not tried: the current one while it is ready, or while no pod is."""
        for pods in (self.ready, self.running):
            candidates = [pod for pod in pods if pod not in tried]
            if candidates:
                return current if current in candidates else candidates[0]
        return None


class Follower:
    """Keeps the last sight, and decides when the forward has nothing left to reach."""

    def __init__(self, *, now: float) -> None:
        """Start at this monotonic time, without a sight."""
        self.sight = Sight(has_service=True)
        self.current: str | None = None
        """The pod that the last connection was opened to."""
        self._gone_since: float | None = None
        self._last_answer = now

    def notice(self, sight: Sight | None, now: float) -> None:
        """Take a new sight; None when the host did not answer."""
        if sight is None:
            return
        self.sight = sight
        self._last_answer = now
        if sight.has_service:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = now

    def find_end(self, now: float) -> str | None:
        """Return why the forward must end; None while it goes on."""
        if now - self._last_answer >= SILENT_SECONDS:
            return f"the host has not answered for {SILENT_SECONDS:.0f} s"
        if self._gone_since is not None and now - self._gone_since >= GONE_SECONDS:
            return f"the endpoint Service has been gone for {GONE_SECONDS:.0f} s"
        return None

    def choose(self, tried: Collection[str]) -> str | None:
        """Choose a pod that was not tried."""
        return self.sight.choose(self.current, tried)

    def is_gone(self, pod: str) -> bool:
        """Tell whether the host shows that a pod has ended; without a Service it shows no pods at all."""
        return self.sight.has_service and pod not in (*self.sight.running, *self.sight.ending)


class HostView:
    """Reads the endpoint over one connection, which is opened again after a failure; threads may share it."""

    def __init__(self, spec: ForwardSpec) -> None:
        """Open nothing yet."""
        self._spec = spec
        self._opening = threading.Lock()
        self._connection: Connection | None = None

    def look(self) -> Sight | None:
        """Ask the host; None when it does not answer."""
        try:
            api = HostApi(self._open(), self._spec.access)
            return fetch_sight(api, names.endpoint_service(self._spec.cluster))
        except KinkyError:
            # The kubeconfig may have been written again, as after a restart of the embedded host.
            self._connection = None
            return None

    def describe_stream(self) -> StreamTerms:
        """Describe how to open a stream; raises HostError when the kubeconfig cannot be used."""
        return self._open().describe_stream()

    def _open(self) -> Connection:
        with self._opening:
            connection = self._connection or open_host(self._spec.access)
            self._connection = connection
            return connection


def fetch_sight(api: HostApi, service_name: str) -> Sight:
    """Ask the host for a Service and the pods that it selects."""
    service = api.fetch_here(resources.SERVICES, service_name)
    selector = ((service or {}).get("spec") or {}).get("selector") or {}
    if service is None or not selector:
        return Sight(has_service=service is not None)
    pods = api.fetch_pods(",".join(f"{key}={value}" for key, value in sorted(selector.items())))
    running = [pod for pod in pods if pod.phase == "Running"]
    alive = [pod for pod in running if not pod.deleting]
    return Sight(
        has_service=True,
        ready=tuple(pod.name for pod in alive if pod.ready),
        running=tuple(pod.name for pod in alive),
        ending=tuple(pod.name for pod in running if pod.deleting),
        addresses={pod.name: pod.address for pod in running if pod.address},
    )
