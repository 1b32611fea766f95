"""The host's namespace as anyone with rights there sees it: objects as JSON, and logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from kinky.kube import resources
from kinky.kube.host import HostApi
from kinky.kube.records import PodStatus
from kinky.scan.artefact import Artefact
from kinky.scan.kind import Kind

KINDS: Final = (
    resources.VIRTUAL_MACHINES,
    resources.VIRTUAL_MACHINE_INSTANCES,
    resources.PODS,
    resources.EVENTS,
    resources.CONFIG_MAPS,
    resources.SERVICES,
    resources.PVCS,
    resources.SECRETS,
)


def find_objects(api: HostApi) -> Iterator[Artefact]:
    """Yield the objects of the namespace; Secrets too, as a kind of their own like all others."""
    for resource in KINDS:
        for body in api.fetch_all_here(resource):
            yield Artefact.hold(Kind(resource.kind), body["metadata"]["name"], json.dumps(body).encode())


def find_logs(api: HostApi) -> Iterator[Artefact]:
    """Yield the logs of all containers, among them the launchers' and the guests' consoles."""
    for pod in map(PodStatus.parse, api.fetch_all_here(resources.PODS)):
        for container in pod.containers:
            yield Artefact.hold(Kind.POD_LOG, f"{pod.name}/{container}", api.fetch_whole_log(pod.name, container))
