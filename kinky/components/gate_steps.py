"""The live steps of the gate: the wall before anything is inside, and the opening on evidence."""

from __future__ import annotations

from dataclasses import asdict

from pulumi import Output

from kinky.bootstrap import drift, gate, store_proof
from kinky.components.live_step import LiveStep, Properties, Step, parse_reach, parse_store


class GateStep(Step):
    """Write the closed gate, before anything else is written inside; one that is open stays open."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        gate.raise_wall(parse_reach(inputs), limit_seconds=float(inputs["limit_seconds"]))
        return {"inner_kubeconfig": inputs["kubeconfig_text"]}

    def _is_due(self, properties: Properties) -> bool:
        return drift.has_broken_wall(parse_reach(properties))


class Gate(LiveStep, module="kinky", name="Gate"):
    """The inner API refuses workloads; only this resolves the kubeconfig by which anything is declared inside."""

    inner_kubeconfig: Output[str]


class GateOpenedStep(Step):
    """Prove the secrets store, then open the gate; a worker that came later is let in."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        state = gate.open_gate(
            parse_reach(inputs),
            store_proof.ProofSpec(
                store=inputs["store_name"], source=parse_store(inputs), probes=list(inputs["probes"])
            ),
            limit_seconds=float(inputs["limit_seconds"]),
        )
        evidence = state.get_evidence()
        return {
            "first_seconds": evidence.first_seconds,
            "second_seconds": evidence.second_seconds,
            "proved_at": evidence.proved_at,
            "opened_at": state.since,
            "items": [asdict(item) for item in evidence.items],
            "workloads_kubeconfig": inputs["kubeconfig_text"],
        }

    def _is_due(self, properties: Properties) -> bool:
        return drift.holds_workloads_back(parse_reach(properties))


class GateOpened(LiveStep, module="kinky", name="GateOpened"):
    """The gate is open on evidence; only this resolves the kubeconfig that workloads need."""

    first_seconds: Output[float]
    second_seconds: Output[float]
    proved_at: Output[str]
    opened_at: Output[str]
    items: Output[list[dict[str, str]]]
    workloads_kubeconfig: Output[str]
