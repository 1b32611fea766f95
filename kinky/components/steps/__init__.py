"""The live steps of `pulumi up`: what each is given and tells, what it does, and the resource that stands for it.

Inputs are names and numbers; outputs are names, fingerprints and times. No secret passes through here, because what
does is in Pulumi's state. Pulumi stores a step's class by reference, so renaming one breaks `destroy` of older stacks.
"""

from typing import Any, Final

from kinky.components.live_step import LiveStep
from kinky.components.steps.applied import ConfigurationApplied
from kinky.components.steps.console import ConsoleLogsStopped
from kinky.components.steps.forming import NodesReady, OutsideReady
from kinky.components.steps.gate import Gate, GateOpened
from kinky.components.steps.identity import ClusterIdentity, HostGuard
from kinky.components.steps.keys import ClusterKeys, NodeCredentials
from kinky.components.steps.record import ClusterRecord
from kinky.components.steps.store import StoreCredential, StoreServed, StoreValue
from kinky.components.steps.workload import WorkloadAnswered

LIVE_STEPS: Final[tuple[type[LiveStep[Any, Any]], ...]] = (
    ClusterIdentity,
    ClusterRecord,
    ClusterKeys,
    NodeCredentials,
    StoreServed,
    StoreValue,
    HostGuard,
    OutsideReady,
    ConfigurationApplied,
    Gate,
    NodesReady,
    StoreCredential,
    GateOpened,
    ConsoleLogsStopped,
    WorkloadAnswered,
)
"""All of them, in the order of `up`."""
