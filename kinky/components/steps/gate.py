"""The live steps of the gate: the wall before anything is inside, and the opening on evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kinky.components.live_step import InnerInputs, LiveStep, Step, StoreInputs
from kinky.components.properties import Limit
from kinky.gate import drift, gate
from kinky.gate.proof import EvidenceItem, ProofSpec


@dataclass(frozen=True, kw_only=True)
class GateInputs(InnerInputs):
    """Where the gate is, and which."""

    kubeconfig_text: str
    wall: str
    """Hash of the policy: another policy is another gate, which has to be written."""
    limit_seconds: Limit


@dataclass(frozen=True, kw_only=True)
class GateOutputs:
    """Outputs that only a closed gate yields."""

    inner_kubeconfig: str


class GateStep(Step[GateInputs, GateOutputs]):
    """Write the closed gate, before anything else is written inside; an open gate stays open."""

    def _run(self, inputs: GateInputs, previous: GateOutputs | None) -> GateOutputs:
        gate.raise_wall(inputs.reach, limit_seconds=inputs.limit_seconds)
        return GateOutputs(inner_kubeconfig=inputs.kubeconfig_text)

    def _is_due(self, inputs: GateInputs, outputs: GateOutputs) -> bool:
        return drift.has_broken_wall(inputs.reach)


class Gate(LiveStep[GateInputs, GateOutputs]):
    """The inner API refuses workloads; only this resolves the kubeconfig by which anything is declared inside."""

    step = GateStep


@dataclass(frozen=True, kw_only=True)
class GateOpenedInputs(StoreInputs):
    """Inputs of the proof that opens the gate."""

    kubeconfig_text: str
    store_name: str
    """Name of the ClusterSecretStore."""
    probes: tuple[Mapping[str, Any], ...]
    """The reads that must be refused, as in `ProofSpec`."""
    workers: tuple[str, ...]
    """Another worker has to be let in."""
    limit_seconds: Limit


@dataclass(frozen=True, kw_only=True)
class GateOpenedOutputs:
    """The evidence, and what only an open gate yields."""

    first_seconds: float
    second_seconds: float
    proved_at: str
    opened_at: str
    items: tuple[EvidenceItem, ...]
    workloads_kubeconfig: str


class GateOpenedStep(Step[GateOpenedInputs, GateOpenedOutputs]):
    """Prove the secrets store, then open the gate; a worker that came later is let in."""

    def _run(self, inputs: GateOpenedInputs, previous: GateOpenedOutputs | None) -> GateOpenedOutputs:
        proof = ProofSpec(
            store=inputs.store_name, source=inputs.open_store(), probes=[dict(probe) for probe in inputs.probes]
        )
        state = gate.open_gate(inputs.reach, proof, limit_seconds=inputs.limit_seconds)
        evidence = state.get_evidence()
        return GateOpenedOutputs(
            first_seconds=evidence.first_seconds,
            second_seconds=evidence.second_seconds,
            proved_at=evidence.proved_at,
            opened_at=state.since,
            items=tuple(evidence.items),
            workloads_kubeconfig=inputs.kubeconfig_text,
        )

    def _is_due(self, inputs: GateOpenedInputs, outputs: GateOpenedOutputs) -> bool:
        return drift.holds_workloads_back(inputs.reach)


class GateOpened(LiveStep[GateOpenedInputs, GateOpenedOutputs]):
    """The gate is open on evidence; only this resolves the kubeconfig that workloads need."""

    step = GateOpenedStep
