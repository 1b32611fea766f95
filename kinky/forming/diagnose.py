"""The evidence about a node that did not come up, in a few lines. Reading it never fails."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kinky import names
from kinky.errors import KinkyError
from kinky.forming.causes import fetch_launchers, fetch_telling_events
from kinky.forming.vm_states import describe_state
from kinky.kube.host import CONSOLE_CONTAINER, LAUNCHER_LABEL, HostApi

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STAGE = re.compile(r"kinky: (?P<failed>FAILED )?stage (?P<name>[\w./-]+)(?:[ :]+(?P<rest>.*))?")
_UPTIME = re.compile(r"(\d+(?:\.\d+)?)")
CONSOLE_LINES = 3
CONSOLE_TAIL = 2000
"""Lines of a console that are read: a boot has fewer."""
NOT_KEPT = "not kept, by virtualMachine.serialConsoleLog; virtctl console {node} shows what it prints from now on"


@dataclass(frozen=True)
class Stage:
    """One stage line of a node's serial console."""

    name: str
    uptime_seconds: float | None
    """Guest uptime when the stage was reached."""
    failed: bool
    text: str
    """The rest of the line, which for a failure is its reason."""
    earlier_seconds: float = 0.0
    """How long the guest ran before it booted again, as far as its stages tell."""


def parse_stages(console: str) -> tuple[Stage, ...]:
    """Parse the stage lines of a console log; a guest that booted again starts from the first."""
    stages: list[Stage] = []
    earlier = 0.0
    for line in _clean(console):
        match = _STAGE.search(line)
        if match is None:
            continue
        rest = (match["rest"] or "").strip()
        uptime = _UPTIME.match(rest)
        stage = Stage(
            name=match["name"],
            uptime_seconds=float(uptime[1]) if uptime else None,
            failed=match["failed"] is not None,
            text=rest,
        )
        if stages and _is_earlier(stage, stages[-1]):
            earlier += stages[-1].uptime_seconds or 0.0
            stages.clear()
        stages.append(replace(stage, earlier_seconds=earlier))
    return tuple(stages)


def fetch_stages(api: HostApi, node: str) -> tuple[Stage, ...]:
    """Read the stages that a node has reached; empty when its console is not logged."""
    return parse_stages(fetch_console(api, node))


def fetch_console(api: HostApi, node: str, *, tail_lines: int = CONSOLE_TAIL) -> str:
    """Read the end of a node's serial console from its launcher pod; empty without a console."""
    for pod in api.fetch_pods(f"{names.LABEL_NODE}={node},{LAUNCHER_LABEL}"):
        if CONSOLE_CONTAINER in pod.containers:
            return api.fetch_log(pod.name, CONSOLE_CONTAINER, tail_lines=tail_lines)
    return ""


def describe_nodes(api: HostApi, nodes: Sequence[str]) -> list[str]:
    """Describe the VMs of these nodes as far as they explain a failure."""
    lines: list[str] = []
    for node in nodes:
        try:
            lines += describe_node(api, node)
        except KinkyError as error:
            lines.append(f"{node}: not readable: {error.message}")
    return lines


def describe_node(api: HostApi, node: str) -> list[str]:
    """Describe one node: VM, VMI, launcher pod, events, console."""
    vm = api.fetch_vm(node)
    if vm is None:
        return [f"{node}: there is no VM"]
    vmi = api.fetch_vmi(node)
    lines = [f"{node}: VM {describe_state(vm)}" + (f", VMI {vmi.phase}" if vmi else ", no VMI")]
    lines += [f"{node}: {condition}" for condition in (vmi.conditions if vmi else ())]
    silent = "no launcher pod"
    launchers = fetch_launchers(api, node)
    for pod in launchers:
        silent = "empty" if CONSOLE_CONTAINER in pod.containers else NOT_KEPT.format(node=node)
        lines += [f"{node}: container {text}" for text in pod.waiting]
    lines += [f"{node}: event {text}" for text in fetch_telling_events(api, node, launchers)]
    console = select_console_lines(fetch_console(api, node)) or [silent]
    return lines + [f"{node}: console: {line}" for line in console]


def select_console_lines(console: str) -> list[str]:
    """Select what explains a stuck guest: its last stage lines, else its last lines at all."""
    lines = _clean(console)
    telling = [line for line in lines if "kinky: " in line or "[FAILED]" in line or "Kernel panic" in line]
    return (telling or lines)[-CONSOLE_LINES:]


def _clean(console: str) -> list[str]:
    """Split a console log into lines without terminal escapes."""
    stripped = _ESCAPES.sub("", console).replace("\r", "\n")
    return [line.strip() for line in stripped.split("\n") if line.strip()]


def _is_earlier(stage: Stage, before: Stage) -> bool:
    """Tell whether a stage's uptime is before the previous one's: the guest booted in between."""
    if stage.uptime_seconds is None or before.uptime_seconds is None:
        return False
    return stage.uptime_seconds < before.uptime_seconds
