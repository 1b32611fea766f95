"""The proof that the demonstration's workload answers."""

from __future__ import annotations

from dataclasses import dataclass

from kinky.components.live_step import LiveStep, Step, StoreInputs
from kinky.components.properties import Limit
from kinky.gate import workload
from kinky.gate.workload import WorkloadRecord


@dataclass(frozen=True, kw_only=True)
class WorkloadAnsweredInputs(StoreInputs):
    """The answer that the workload has to give."""

    greeting: str
    value: str
    key: str
    limit_seconds: Limit


class WorkloadAnsweredStep(Step[WorkloadAnsweredInputs, WorkloadRecord]):
    """Ask the workload from outside, and compare the secret that it read with the store's."""

    def _run(self, inputs: WorkloadAnsweredInputs, previous: WorkloadRecord | None) -> WorkloadRecord:
        return workload.prove_workload(
            inputs.reach,
            store=inputs.open_store(),
            greeting=inputs.greeting,
            value=inputs.value,
            key=inputs.key,
            limit_seconds=inputs.limit_seconds,
        )


class WorkloadAnswered(LiveStep[WorkloadAnsweredInputs, WorkloadRecord]):
    """Proof that the workload answers with the store's secret."""

    step = WorkloadAnsweredStep
