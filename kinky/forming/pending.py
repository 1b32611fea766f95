"""Nodes that run with an older declaration than their VM has: they wait for a restart.

KubeVirt makes a VM instance from the VM's template at its start, and copies most fields. So the instance is compared
with the template, field by field. The condition RestartRequired says less: with `serialConsoleLog: bootstrap` every VM
has it (docs/decisions/0016).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from kinky import names
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.host import HostApi
from kinky.kube.quantities import parse_quantity
from kinky.progress import note

ABSENT = "none"
ENDED = ("Succeeded", "Failed")
HOST_MODEL = "host-model"
"""KubeVirt's own default."""
UNSTARTED = ("", "Pending", "Scheduling")
"""Phases before the host has started the launcher: nothing ran in such an instance."""


@dataclass(frozen=True)
class PendingRestart:
    """One node whose instance is older than its VM's template."""

    node: str
    differences: tuple[str, ...]
    """Such as `memory 3072 -> 4096 MiB`."""
    loses_etcd: bool
    """Whether etcd's data would end with the instance: its disk is no volume."""
    has_started: bool = True
    """Whether anything of the instance ran yet."""

    def __str__(self) -> str:
        """Return the line that the admin reads."""
        lost = "; do not restart it: etcd's data would be lost, this needs a new cluster" if self.loses_etcd else ""
        return f"restart pending: {self.node} ({', '.join(self.differences)}){lost}"


def fetch_pending(api: HostApi) -> list[PendingRestart]:
    """Fetch which nodes of the cluster wait for a restart, in the order of their names."""
    selector = f"{names.LABEL_CLUSTER}={api.access.cluster}"
    instances = {
        body["metadata"]["name"]: body
        for body in api.fetch_all_here(resources.VIRTUAL_MACHINE_INSTANCES, selector=selector)
    }
    pending = []
    for vm in api.fetch_all_here(resources.VIRTUAL_MACHINES, selector=selector):
        name = vm["metadata"]["name"]
        instance = instances.get(name)
        if instance is None or _is_ending(vm) or _is_ending(instance):
            continue
        template = vm["spec"]["template"]["spec"]
        has_started = (instance.get("status") or {}).get("phase", "") not in UNSTARTED
        if differences := compare_instance(template, instance["spec"], has_started=has_started):
            pending.append(PendingRestart(name, tuple(differences), _loses_etcd(instance["spec"]), has_started))
    return sorted(pending, key=lambda each: each.node)


def replace_unstarted(api: HostApi) -> None:
    """Replace instances that never started and are older than their VM's template: they would wait for ever.

    So an `up` with less memory, or with another image, helps a node for which the host had no room, or no image.
    """
    # A host that is away for a moment ends no wait, and the next `up` looks again.
    with suppress(ApiError):
        for each in fetch_pending(api):
            if not each.has_started:
                note(f"{each.node}: its VM instance did not start and is replaced ({', '.join(each.differences)})")
                api.delete(resources.VIRTUAL_MACHINE_INSTANCES, each.node, namespace=api.namespace)


def describe_command(access: HostAccess, node: str) -> str:
    """Return the command that restarts one node: KubeVirt starts its next instance from the new declaration."""
    context = f" --context {access.context}" if access.context else ""
    return f"kubectl --kubeconfig {access.kubeconfig}{context} -n {access.namespace} delete vmi {node}"


def describe_pending(api: HostApi) -> list[str]:
    """Return the lines about all nodes that wait for a restart, and the command that helps; empty when none waits."""
    pending = fetch_pending(api)
    lines = [str(each) for each in pending]
    if safe := [each.node for each in pending if not each.loses_etcd]:
        command = describe_command(api.access, safe[0])
        lines.append(f"restart one node at a time, and wait until it is Ready: {command}")
    return lines


def compare_instance(template: JsonObject, instance: JsonObject, *, has_started: bool = True) -> list[str]:
    """Compare the spec of a VM's template with that of its instance; return what a restart would change."""
    wanted, present = dict(_list_facts(template)), dict(_list_facts(instance))
    differences = []
    for word in sorted(wanted.keys() | present.keys()):
        (after, unit), (before, other) = wanted.get(word, (ABSENT, "")), present.get(word, (ABSENT, ""))
        if after != before and not _is_default(word, after, before, has_started):
            differences.append(f"{word} {before} -> {after} {unit or other}".rstrip())
    return differences


def _list_facts(spec: JsonObject) -> Iterator[tuple[str, tuple[str, str]]]:
    domain, devices = spec["domain"], spec["domain"].get("devices") or {}
    yield "memory", _mebibytes((domain.get("memory") or {}).get("guest"))
    cpu = domain.get("cpu") or {}
    yield "cores", (str(cpu.get("cores", ABSENT)), "")
    yield "processor model", (cpu.get("model") or ABSENT, "")
    bootloader = (domain.get("firmware") or {}).get("bootloader") or {}
    yield "firmware", ("uefi" if "efi" in bootloader else "bios", "")
    yield "chassis", ((domain.get("chassis") or {}).get("asset") or ABSENT, "")
    yield "network queues", ("many" if devices.get("networkInterfaceMultiqueue") else "one", "")
    yield "console log", (str(devices.get("logSerialConsole", ABSENT)).lower(), "")
    yield "shutdown", (str(spec.get("terminationGracePeriodSeconds", ABSENT)), "s")
    yield "eviction", (spec.get("evictionStrategy") or ABSENT, "")
    for volume in spec.get("volumes") or []:
        yield from _list_volume(volume)


def _list_volume(volume: JsonObject) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield what a volume refers to; what must cause a restart is in such a name."""
    name = volume["name"]
    if "containerDisk" in volume:
        yield "image", (volume["containerDisk"]["image"], "")
        yield "pull policy", (volume["containerDisk"].get("imagePullPolicy") or ABSENT, "")
    elif "cloudInitNoCloud" in volume:
        yield "user-data", ((volume["cloudInitNoCloud"].get("secretRef") or {}).get("name") or ABSENT, "")
    elif "secret" in volume:
        yield name, (volume["secret"]["secretName"], "")
    elif "emptyDisk" in volume:
        yield f"{name} disk", _mebibytes(volume["emptyDisk"]["capacity"])
    elif "persistentVolumeClaim" in volume:
        yield f"{name} disk", (volume["persistentVolumeClaim"]["claimName"], "")


def _is_default(word: str, after: str, before: str, has_started: bool) -> bool:
    """Tell whether the difference is what KubeVirt fills in, or what its console step has changed by design."""
    if word == "processor model":
        # The host's default, which its KubeVirt object may set; an instance that waits may wait for its model.
        return after == ABSENT and (has_started or before == HOST_MODEL)
    # Absent means that the host's default holds while the cluster is formed; `false` is for the next start.
    return word == "console log" and (after == ABSENT or {after, before} == {"false", ABSENT})


def _mebibytes(quantity: object) -> tuple[str, str]:
    return (ABSENT, "") if quantity is None else (str(int(parse_quantity(str(quantity)) / 2**20)), "MiB")


def _is_ending(body: JsonObject) -> bool:
    phase = (body.get("status") or {}).get("phase")
    return body["metadata"].get("deletionTimestamp") is not None or phase in ENDED


def _loses_etcd(spec: JsonObject) -> bool:
    return any(volume["name"] == "etcd" and "emptyDisk" in volume for volume in spec.get("volumes") or [])
