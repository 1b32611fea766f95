"""A status in Prometheus' text format, for the node exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from kinky.keys.certificates import parse_time
from kinky.status.judgement import Verdict, find_exit_code
from kinky.status.observation import Observation, Side, State
from kinky.status.probes.certificates import NOT_AFTER

HELPS: Final = {
    "kinky_probe_success": "Whether the last look from outside found it at work; absent when nobody could look.",
    "kinky_probe_duration_seconds": "How long the last look from outside took.",
    "kinky_verdict": "The verdict: 0 OK, 1 DEGRADED, 2 CRITICAL or PARTIAL, 3 UNKNOWN.",
    "kinky_disagree": "Whether outside and inside say different things.",
    "kinky_cert_not_after_seconds": "When a certificate ends, in seconds since 1970.",
    "kinky_status_last_run_timestamp_seconds": "When this file was written; it stops when a prober hangs.",
}


def render(verdicts: Iterable[Verdict], *, cluster: str, now: datetime) -> str:
    """Return the metrics; UNKNOWN is verdict 3 and no success, never 0 or 1."""
    rows: dict[str, dict[tuple[tuple[str, str], ...], float]] = {name: {} for name in HELPS}

    def add(metric: str, value: float, labels: Mapping[str, str]) -> None:
        rows[metric][tuple(({"cluster": cluster} | dict(labels)).items())] = value

    for verdict in verdicts:
        add("kinky_verdict", int(find_exit_code([verdict])), {"capability": verdict.capability})
        add("kinky_disagree", float(verdict.disagree), {"capability": verdict.capability})
        for each in _select(verdict.observations):
            labels = {"probe": each.capability, "target": each.target, "vantage": each.vantage}
            labels |= {"family": each.family} if each.family else {}
            add("kinky_probe_success", float(each.state is not State.BAD), labels)
            add("kinky_probe_duration_seconds", (each.latency_ms or 0.0) / 1000, labels)
            if NOT_AFTER in each.facts:
                ends = parse_time(each.facts[NOT_AFTER]).timestamp()
                add("kinky_cert_not_after_seconds", ends, {"subject": each.target})
    add("kinky_status_last_run_timestamp_seconds", now.timestamp(), {})
    return "".join(_render_metric(name, found) for name, found in rows.items() if found)


def _select(observations: Sequence[Observation]) -> list[Observation]:
    """Return the observations from outside, the worst of each target last, so that it stays."""
    seen = [each for each in observations if each.side is Side.OUTSIDE and each.state is not State.UNKNOWN]
    return sorted(seen, key=lambda each: each.state is State.BAD)


def _render_metric(name: str, found: Mapping[tuple[tuple[str, str], ...], float]) -> str:
    lines = [f"# HELP {name} {HELPS[name]}", f"# TYPE {name} gauge"]
    for labels, value in found.items():
        text = ",".join(f'{key}="{_escape(label)}"' for key, label in labels)
        lines.append(f"{name}{{{text}}} {value!r}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
