"""The facts about one node, as `reading` has collected them; nothing here decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kinky import names
from kinky.accelerator import Accelerator
from kinky.forming.boots import Boot
from kinky.forming.climbs import Climb, find_moments
from kinky.forming.diagnose import Stage
from kinky.kube.records import NodeStatus, PodStatus, VmiStatus, VmStatus

UNKNOWN = "unknown"
OPEN, REFUSED, SILENT = "open", "refused", "silent"


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """Facts that all nodes share."""

    cluster: str
    stack: str
    namespace: str
    kubernetes_version: str
    inner_fault: str = ""
    """Why the inner API did not answer; empty when it did."""
    gate_fault: str = ""
    """The missing parts of the gate's wall; empty when nothing is missing, or when the inner API is away."""
    foreign_policies: tuple[str, ...] = ()
    """NetworkPolicies of the namespace that KinKy has not made."""
    boots: tuple[Boot, ...] = ()
    """Boots that the host has shown before."""
    now: datetime | None = None
    """The time by the host's clock; None when nobody asks how long anything takes."""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """The facts about one node; None means that it is not there."""

    name: str
    is_control_plane: bool
    declared: bool = True
    vm: VmStatus | None = None
    vmi: VmiStatus | None = None
    pod: PodStatus | None = None
    """The newest launcher pod."""
    events: tuple[str, ...] = ()
    """Telling events, as `Reason: message`, the newest last."""
    image: str = ""
    cpu_model: str = ""
    memory: str = ""
    claim: str = ""
    """Name of etcd's claim, for a control plane that has one."""
    claim_phase: str = ""
    """Phase of the claim; empty without a claim."""
    service_address: str = ""
    """The declared address; empty when the node's Service is gone."""
    missing_secrets: tuple[str, ...] = ()
    """Secrets that the VM names and the host does not have."""
    damaged_secret: str = ""
    """The user-data Secret, if it does not hold user-data."""
    console_kept: bool = False
    stages: tuple[Stage, ...] = ()
    console_end: tuple[str, ...] = ()
    """The last telling lines of the console."""
    node: NodeStatus | None = None
    ready_unknown: bool = False
    """Whether the Node's Ready is Unknown: its kubelet does not report."""
    network_pod: str = ""
    """State of flannel's pod on the node, as `phase, Ready or not`; empty without a pod."""
    cordoned: bool = False
    taints: tuple[str, ...] = ()
    kubelet_port: str = UNKNOWN
    """State of the kubelet's port from outside: OPEN, REFUSED, SILENT, or UNKNOWN when it was not asked."""
    api_port: str = UNKNOWN
    """The same of a control plane's API server; asked when the inner API does not answer."""
    times: Mapping[str, str] = field(default_factory=dict)
    """When the node reached what (RFC 3339), by a word for it, for the report."""

    @property
    def reached(self) -> set[str]:
        """The guest's stages that were reached and did not fail."""
        return {stage.name for stage in self.stages if not stage.failed}

    @property
    def failed_stage(self) -> Stage | None:
        """The last stage, if it has failed."""
        last = self.stages[-1] if self.stages else None
        return last if last and last.failed else None

    @property
    def climb(self) -> Climb:
        """The moments of its boot."""
        return Climb(
            node=self.name,
            role=names.CONTROL_PLANE if self.is_control_plane else names.WORKER,
            boot=self.vmi.uid if self.vmi else "",
            accelerator=self.pod.accelerator if self.pod else Accelerator.UNKNOWN,
            moments=find_moments(self.times, self.stages),
            console_kept=self.console_kept,
        )

    @property
    def joined(self) -> bool:
        """Whether a Node of it reports, so that its guest must have come that far."""
        return self.node is not None and not self.ready_unknown and self.vmi is not None and self.vmi.phase == "Running"
