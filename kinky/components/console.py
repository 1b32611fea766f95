"""The end of the consoles' logs, once a cluster is formed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from kinky.bootstrap import console
from kinky.components.live_step import LiveStep, Properties, Step, parse_reach


class ConsoleLogsStoppedStep(Step):
    """Have the host keep no console of these VMs from their next start on; none is restarted for it."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        console.stop_console_logs(parse_reach(inputs).host(), list(inputs["nodes"]))
        return {}


class ConsoleLogsStopped(LiveStep, module="kinky", name="ConsoleLogsStopped"):
    """The VMs are declared without this field, so the program has nothing to undo and a preview nothing to show."""

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        """Register the step for the VMs of these nodes."""
        super().__init__(ConsoleLogsStoppedStep(), name, inputs, opts)
