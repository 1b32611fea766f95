"""The proofs that a cluster has formed: its API answers from outside, and all of its nodes are Ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kinky.components.live_step import InnerInputs, LiveStep, Step, StepInputs
from kinky.components.properties import Limit
from kinky.forming import tables
from kinky.forming.tables import NodesRecord, OutsideRecord
from kinky.ownership import record
from kinky.reach import forward
from kinky.reach.exposure import PublishSpec


@dataclass(frozen=True, kw_only=True)
class OutsideReadyInputs(StepInputs):
    """The API that has to answer, and its address."""

    control_planes: tuple[str, ...]
    stack: str
    publish: PublishSpec
    kinky_command: str
    ca_file: str
    """Another user's files are elsewhere: the kubeconfig has to be written for them."""
    limit_seconds: Limit


@dataclass(frozen=True, kw_only=True)
class OutsideReadyOutputs(OutsideRecord):
    """The proof, and the kubeconfig as the providers of the inside need it."""

    kubeconfig_text: str


class OutsideReadyStep(Step[OutsideReadyInputs, OutsideReadyOutputs]):
    """Publish the inner API and wait until it answers from outside with an authenticated 200."""

    def _run(self, inputs: OutsideReadyInputs, previous: OutsideReadyOutputs | None) -> OutsideReadyOutputs:
        found = tables.prove_outside(
            inputs.reach,
            inputs.control_planes,
            inputs.publish,
            kinky_command=inputs.kinky_command,
            limit_seconds=inputs.limit_seconds,
        )
        record.keep_identity(inputs.access, inputs.stack)
        return OutsideReadyOutputs(**vars(found), kubeconfig_text=Path(found.kubeconfig).read_text(encoding="utf-8"))

    def _undo(self, inputs: OutsideReadyInputs, outputs: OutsideReadyOutputs) -> None:
        forward.stop_forward(inputs.access.cluster)


class OutsideReady(LiveStep[OutsideReadyInputs, OutsideReadyOutputs]):
    """Proof that users can reach the inner API, and the kubeconfig by which they do: it holds no key."""

    step = OutsideReadyStep


@dataclass(frozen=True, kw_only=True)
class NodesReadyInputs(InnerInputs):
    """Which nodes have to be Ready."""

    addresses: Mapping[str, str]
    """S-addresses by node."""
    limit_seconds: Limit


class NodesReadyStep(Step[NodesReadyInputs, NodesRecord]):
    """Wait until every declared node is Ready under its permanent address."""

    def _run(self, inputs: NodesReadyInputs, previous: NodesRecord | None) -> NodesRecord:
        return tables.prove_nodes_ready(inputs.reach, inputs.addresses, limit_seconds=inputs.limit_seconds)


class NodesReady(LiveStep[NodesReadyInputs, NodesRecord]):
    """Proof that every node is Ready."""

    step = NodesReadyStep
