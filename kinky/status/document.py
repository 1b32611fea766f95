"""A status as JSON: the published schema, writing it, and reading it again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from kinky import paths
from kinky.errors import ConfigError
from kinky.keys.certificates import format_time
from kinky.status.judgement import Verdict
from kinky.status.observation import PROBE_VERSION, Observation, Side, State

VERSION: Final = "kinky.dev/status/v1"
SCHEMA_FILE: Final = "docs/status.schema.json"
_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "pattern": r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?$"}
_OBSERVATION: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": ["capability", "target", "side", "state", "reason", "detail", "at", "latency_ms", "vantage"],
    "properties": {
        "capability": _TEXT,
        "target": _TEXT,
        "side": {"enum": [each.value for each in Side]},
        "state": {"enum": [each.value for each in State]},
        "reason": {"type": "string", "pattern": "^[a-z0-9-]*$"},
        "detail": _TEXT,
        "hint": _TEXT,
        "latency_ms": {"type": ["number", "null"], "minimum": 0},
        "at": _TIME,
        "vantage": {"type": "string", "minLength": 1},
        "family": {"enum": ["", "IPv4", "IPv6"]},
        "facts": {"type": "object", "additionalProperties": _TEXT},
    },
}
SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": VERSION,
    "title": "The output of kinky status --json",
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "stack", "cluster", "at", "exit_code", "probe_version", "verdicts"],
    "properties": {
        "version": {"const": VERSION},
        "stack": _TEXT,
        "cluster": _TEXT,
        "at": _TIME,
        "exit_code": {"enum": [0, 1, 2, 3]},
        "probe_version": {"type": "integer", "minimum": 1},
        "verdicts": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["capability", "verdict", "outside", "inside", "disagree", "why", "next_step"],
                "properties": {
                    "capability": _TEXT,
                    "verdict": {"enum": ["OK", "DEGRADED", "PARTIAL", "UNKNOWN", "CRITICAL"]},
                    "outside": _OBSERVATION,
                    "inside": {"anyOf": [_OBSERVATION, {"type": "null"}]},
                    "disagree": {"type": "boolean"},
                    "disagree_since": _TIME,
                    "why": _TEXT,
                    "next_step": _TEXT,
                    "observations": {"type": "array", "items": _OBSERVATION},
                },
            },
        },
    },
}


def build_document(
    verdicts: Iterable[Verdict], *, stack: str, cluster: str, now: datetime, exit_code: int
) -> dict[str, Any]:
    """Build the document."""
    return {
        "version": VERSION,
        "stack": stack,
        "cluster": cluster,
        "at": format_time(now),
        "exit_code": exit_code,
        "probe_version": PROBE_VERSION,
        "verdicts": [_build_verdict(verdict) for verdict in verdicts],
    }


def render_schema() -> str:
    """Return the published schema as its file has it."""
    return json.dumps(SCHEMA, indent=2) + "\n"


def read_observations(path: Path) -> list[Observation]:
    """Read the observations of a document that `--json` printed.

    Raises:
        ConfigError: It cannot be read, or is no such document.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["version"] != VERSION:
            raise ValueError
        return [Observation.parse(each) for verdict in body["verdicts"] for each in verdict["observations"]]
    except OSError as error:
        raise ConfigError(f"--read: {paths.explain(error, path).message}") from None
    except (ValueError, KeyError, TypeError):
        hint = "kinky status --json writes such files"
        raise ConfigError(f"--read: {path} is not a document of version {VERSION}", hint=hint) from None


def _build_verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "capability": verdict.capability,
        "verdict": verdict.word.value,
        "outside": verdict.outside.build(),
        "inside": verdict.inside.build() if verdict.inside else None,
        "disagree": verdict.disagree,
        "disagree_since": verdict.disagree_since,
        "why": verdict.why,
        "next_step": verdict.next_step,
        "observations": [each.build() for each in verdict.observations],
    }
