"""The causes why a VM does not start, as the scheduler, the kubelet, the storage and KubeVirt report them."""

import contextlib
from collections.abc import Iterator, Sequence

from kinky import names
from kinky.kube.connection import ApiError
from kinky.kube.host import LAUNCHER_LABEL, HostApi
from kinky.kube.records import PodStatus

TELLING = frozenset({"ExternalProvisioning", "NotTriggerScaleUp", "TriggeredScaleUp", "WaitForFirstConsumer"})
"""Reasons of events that are not warnings, but explain why a claim has no volume or a pod has no node."""
EVENT_LINES = 3
LONGEST = 300
"""The scheduler lists its reasons for all nodes, too long for one line of a phase."""


def fetch_causes(api: HostApi, node: str) -> list[str]:
    """Read why a node's VM does not start; if the API does not answer, the list ends without an error."""
    causes: list[str] = []
    with contextlib.suppress(ApiError):
        causes.extend(_read(api, node))
    return list(dict.fromkeys(cause if len(cause) <= LONGEST else f"{cause[:LONGEST]}..." for cause in causes))


def fetch_launchers(api: HostApi, node: str) -> list[PodStatus]:
    """Fetch the newest launcher pod of a node, if there is one."""
    return api.fetch_pods(f"{names.LABEL_NODE}={node},{LAUNCHER_LABEL}")[:1]


def fetch_telling_events(api: HostApi, node: str, launchers: Sequence[PodStatus]) -> list[str]:
    """Read the last events that explain the state of a node's VM, VMI, launcher pod and claim, oldest first."""
    # The VM and its VMI have the same name.
    about = (node, *(pod.name for pod in launchers), names.etcd_claim(node))
    events = [event for name in about for event in api.fetch_events(name)]
    telling = [event for event in events if event.kind == "Warning" or event.reason in TELLING]
    telling.sort(key=lambda event: event.time)
    return list(dict.fromkeys(f"{event.reason}: {event.message}" for event in telling))[-EVENT_LINES:]


def _read(api: HostApi, node: str) -> Iterator[str]:
    """Yield the causes, the most useful first."""
    launchers = fetch_launchers(api, node)
    for pod in launchers:
        if pod.unscheduled:
            yield f"scheduler: {pod.unscheduled}"
        yield from pod.waiting
    vmi = api.fetch_vmi(node)
    yield from (text for text in (vmi.conditions if vmi else ()) if text.startswith("Synchronized="))
    yield from fetch_telling_events(api, node, launchers)
