"""The end of the consoles' logs, once a cluster is formed."""

from __future__ import annotations

from dataclasses import dataclass

from kinky.components.live_step import LiveStep, NoOutputs, Step, StepInputs
from kinky.forming import console


@dataclass(frozen=True, kw_only=True)
class ConsoleLogsStoppedInputs(StepInputs):
    """Whose logs end."""

    nodes: tuple[str, ...]


class ConsoleLogsStoppedStep(Step[ConsoleLogsStoppedInputs, NoOutputs]):
    """Have the host keep no console of these VMs from their next start on; none is restarted for it."""

    def _run(self, inputs: ConsoleLogsStoppedInputs, previous: NoOutputs | None) -> NoOutputs:
        console.stop_console_logs(inputs.reach.host(), inputs.nodes)
        return NoOutputs()


class ConsoleLogsStopped(LiveStep[ConsoleLogsStoppedInputs, NoOutputs]):
    """The VMs are declared without this field, so the program has nothing to undo and a preview nothing to show."""

    step = ConsoleLogsStoppedStep
