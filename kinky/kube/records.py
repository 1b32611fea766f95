"""Answers of the APIs as small frozen records; the parsing of statuses happens here only."""

from dataclasses import dataclass
from pathlib import Path

from kinky import names
from kinky.accelerator import Accelerator
from kinky.kube.connection import JsonObject
from kinky.kube.objects import fetch_condition, is_condition_true

KVM_DEVICE = "devices.kubevirt.io/kvm"
"""The device that KubeVirt asks for in a launcher pod whose guest the processors run."""


@dataclass(frozen=True)
class VmStatus:
    """State of a VirtualMachine object, which lives on when its VMI restarts."""

    name: str
    printable: str
    """KubeVirt's own summary, such as Running, Starting or ErrorUnschedulable."""
    ready: bool
    failure: str
    """Message of the condition Failure, or empty."""
    failed_starts: int
    """How many starts in a row have failed; 0 once an instance has run."""
    retry_after: str
    """Earliest time of KubeVirt's next start (RFC 3339), or empty."""

    @classmethod
    def parse(cls, body: JsonObject) -> "VmStatus":
        """Parse a VirtualMachine as the API returned it."""
        status = body.get("status") or {}
        failure = fetch_condition(status, "Failure") or {}
        start = status.get("startFailure") or {}
        return cls(
            name=body["metadata"]["name"],
            printable=status.get("printableStatus") or "not seen by KubeVirt yet",
            ready=is_condition_true(status, "Ready"),
            failure=str(failure.get("message", "")) if failure.get("status") == "True" else "",
            failed_starts=int(start.get("consecutiveFailCount") or 0),
            retry_after=str(start.get("retryAfterTimestamp") or ""),
        )


@dataclass(frozen=True)
class VmiStatus:
    """State of a VirtualMachineInstance, one run of a VM."""

    name: str
    uid: str
    phase: str
    ready: bool
    running_since: str
    """Time at which the phase became Running (RFC 3339), or empty."""
    conditions: tuple[str, ...]
    """Conditions that are not as they should be, as `Type=Status reason: message`."""

    @classmethod
    def parse(cls, body: JsonObject) -> "VmiStatus":
        """Parse a VirtualMachineInstance as the API returned it."""
        status = body.get("status") or {}
        transitions = status.get("phaseTransitionTimestamps") or []
        return cls(
            name=body["metadata"]["name"],
            uid=body["metadata"].get("uid", ""),
            phase=status.get("phase") or "not seen by KubeVirt yet",
            ready=is_condition_true(status, "Ready"),
            running_since=next(
                (str(item["phaseTransitionTimestamp"]) for item in transitions if item.get("phase") == "Running"),
                "",
            ),
            conditions=tuple(_describe_conditions(status)),
        )


@dataclass(frozen=True)
class PodStatus:
    """State of a pod, as far as it explains why something does not start."""

    name: str
    phase: str
    ready: bool
    deleting: bool
    containers: tuple[str, ...]
    waiting: tuple[str, ...]
    """`container: Reason message` of each container that waits."""
    unscheduled: str
    """The scheduler's reason for finding no node; empty for a pod with a node."""
    address: str
    """IP of the pod, or empty."""
    scheduled_at: str = ""
    """Time at which the pod got a node (RFC 3339), or empty."""
    accelerator: Accelerator = Accelerator.UNKNOWN
    """How the guest runs, for a launcher pod."""

    @classmethod
    def parse(cls, body: JsonObject) -> "PodStatus":
        """Parse a Pod as the API returned it."""
        status = body.get("status") or {}
        states = (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or [])
        waiting = [
            f"{item['name']}: {state.get('reason', 'waiting')} {state.get('message', '')}".strip()
            for item in states
            if (state := (item.get("state") or {}).get("waiting"))
        ]
        spec = body.get("spec") or {}
        listed = (spec.get("initContainers") or []) + (spec.get("containers") or [])
        scheduled = fetch_condition(status, "PodScheduled") or {}
        return cls(
            name=body["metadata"]["name"],
            phase=status.get("phase", "Unknown"),
            ready=is_condition_true(status, "Ready"),
            deleting=body["metadata"].get("deletionTimestamp") is not None,
            containers=tuple(item["name"] for item in listed),
            waiting=tuple(waiting),
            unscheduled=str(scheduled.get("message", "")) if scheduled.get("status") == "False" else "",
            address=str(status.get("podIP") or ""),
            scheduled_at=str(scheduled.get("lastTransitionTime") or "") if scheduled.get("status") == "True" else "",
            accelerator=_find_accelerator(spec),
        )


@dataclass(frozen=True)
class LauncherPod:
    """The pod in which a VM instance runs: its owner, and its volumes."""

    name: str
    uid: str
    running: bool
    labels: dict[str, str]
    empty_dirs: tuple[str, ...]
    """Volumes that are folders on the host node, gone with the pod."""
    secrets: dict[str, str]
    """The Secret of each volume that is one."""
    claims: dict[str, str]
    """The claim of each volume that outlives the pod."""
    is_container: bool
    """Whether its guest is a container, and not a virtual machine."""

    @classmethod
    def parse(cls, body: JsonObject) -> "LauncherPod":
        """Parse a Pod as the API returned it."""
        metadata, spec = body["metadata"], body.get("spec") or {}
        volumes = spec.get("volumes") or []
        deleting = metadata.get("deletionTimestamp") is not None
        return cls(
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            running=not deleting and (body.get("status") or {}).get("phase") == "Running",
            labels=dict(metadata.get("labels") or {}),
            empty_dirs=tuple(volume["name"] for volume in volumes if "emptyDir" in volume),
            secrets={volume["name"]: volume["secret"]["secretName"] for volume in volumes if "secret" in volume},
            claims={
                volume["name"]: volume["persistentVolumeClaim"]["claimName"]
                for volume in volumes
                if "persistentVolumeClaim" in volume
            },
            is_container=_find_accelerator(spec) is Accelerator.CONTAINER,
        )


@dataclass(frozen=True)
class ClaimRecord:
    """A PersistentVolumeClaim and its volume."""

    name: str
    volume: str
    """Name of the PersistentVolume; empty before it is bound."""
    labels: dict[str, str]

    @classmethod
    def parse(cls, body: JsonObject) -> "ClaimRecord":
        """Parse a PersistentVolumeClaim as the API returned it."""
        metadata = body["metadata"]
        return cls(
            name=metadata["name"],
            volume=(body.get("spec") or {}).get("volumeName") or "",
            labels=dict(metadata.get("labels") or {}),
        )


def parse_volume_folder(body: JsonObject) -> Path | None:
    """Return the folder of a node that a PersistentVolume is; None when it is something else."""
    spec = body.get("spec") or {}
    path = (spec.get("hostPath") or spec.get("local") or {}).get("path")
    return Path(path) if path else None


@dataclass(frozen=True)
class EventRecord:
    """One event of the API, shortened."""

    time: str
    kind: str
    reason: str
    message: str
    object_name: str

    @classmethod
    def parse(cls, body: JsonObject) -> "EventRecord":
        """Parse an Event as the API returned it."""
        return cls(
            time=str(body.get("lastTimestamp") or body.get("eventTime") or ""),
            kind=str(body.get("type", "")),
            reason=str(body.get("reason", "")),
            message=str(body.get("message", "")).strip(),
            object_name=str((body.get("involvedObject") or {}).get("name", "")),
        )


@dataclass(frozen=True)
class NodeStatus:
    """State of a Kubernetes Node."""

    name: str
    ready: bool
    reason: str
    """Why it is not Ready, or empty."""
    internal_ip: str
    version: str
    ready_since: str
    boot_id: str
    control_plane: bool
    cordoned: bool = False
    """Whether no new pod may come."""

    @classmethod
    def parse(cls, body: JsonObject) -> "NodeStatus":
        """Parse a Node as the API returned it."""
        status = body.get("status") or {}
        info = status.get("nodeInfo") or {}
        condition = fetch_condition(status, "Ready") or {}
        ready = condition.get("status") == "True"
        addresses = status.get("addresses") or []
        labels = body["metadata"].get("labels") or {}
        return cls(
            name=body["metadata"]["name"],
            ready=ready,
            reason="" if ready else str(condition.get("message") or "kubelet has not reported yet"),
            internal_ip=next((str(item["address"]) for item in addresses if item["type"] == "InternalIP"), ""),
            version=str(info.get("kubeletVersion", "")),
            ready_since=str(condition.get("lastTransitionTime", "")) if ready else "",
            boot_id=str(info.get("bootID", "")),
            control_plane="node-role.kubernetes.io/control-plane" in labels,
            cordoned=bool((body.get("spec") or {}).get("unschedulable")),
        )


@dataclass(frozen=True)
class QuotaScope:
    """One condition that an object must meet to be counted."""

    name: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class QuotaStatus:
    """One ResourceQuota: what the namespace may use, and uses."""

    name: str
    hard: dict[str, str]
    used: dict[str, str]
    scopes: tuple[QuotaScope, ...] = ()
    """An object counts only if it meets all of them; a quota without conditions counts all objects."""

    @classmethod
    def parse(cls, body: JsonObject) -> "QuotaStatus":
        """Parse a ResourceQuota as the API returned it."""
        spec, status = body.get("spec") or {}, body.get("status") or {}
        scopes = [QuotaScope(str(name), "Exists", ()) for name in spec.get("scopes") or []]
        scopes += [
            QuotaScope(str(item["scopeName"]), str(item["operator"]), tuple(item.get("values") or ()))
            for item in (spec.get("scopeSelector") or {}).get("matchExpressions") or []
        ]
        hard = status.get("hard") or spec.get("hard") or {}
        used = dict(status.get("used") or {})
        return cls(name=body["metadata"]["name"], hard=dict(hard), used=used, scopes=tuple(scopes))


def _describe_conditions(status: JsonObject) -> list[str]:
    """Describe the conditions that say that something is wrong."""
    described = []
    for item in status.get("conditions") or []:
        if item.get("status") == "True" or item.get("type") in ("LiveMigratable", "StorageLiveMigratable"):
            continue
        text = f"{item.get('type')}={item.get('status')} {item.get('reason', '')}: {item.get('message', '')}"
        described.append(text.rstrip(": "))
    return described


def _find_accelerator(spec: JsonObject) -> Accelerator:
    """Find how the guest of a launcher pod runs, which the pod shows by its image and by the devices that it has."""
    containers = spec.get("containers") or []
    if any(f"/{names.CONTAINER_LAUNCHER}:" in container.get("image", "") for container in containers):
        return Accelerator.CONTAINER
    limits = [(container.get("resources") or {}).get("limits") or {} for container in containers]
    return Accelerator.KVM if any(KVM_DEVICE in each for each in limits) else Accelerator.EMULATION
