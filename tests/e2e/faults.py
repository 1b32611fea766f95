"""For tests of faults: the words of `kinky why`, its next step run as it is printed, and a changed stack file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import yaml

from kinky import names
from tests.e2e.person import ROOT, UP_SECONDS, Person, wait_for

NAMED_SECONDS = 150.0
HELPED_SECONDS = 180.0
LABEL = names.LABEL_CLUSTER
PRINTED = re.compile(
    r"pulumi refresh|kinky (?:up|destroy|gate open) --stack [\w-]+|kubectl delete (?:vmi|secret) [\w.-]+ -n [\w-]+"
)
"""The commands of next steps that change something."""


NAMED: list[str] = []
"""What `kinky why` said of each fault, for the end of the run."""


def explain(owner: Person, node: str) -> dict[str, Any]:
    """Return what `kinky why` says of a node."""
    found: dict[str, Any] = json.loads(owner.ask("why", node, "--json"))[0]
    return found


def wait_named(owner: Person, node: str, *words: str, limit_seconds: float = NAMED_SECONDS) -> dict[str, Any]:
    """Wait until `kinky why` says these words of a node in its sentence, and return all that it says."""
    seen: list[dict[str, Any]] = []

    def named() -> bool:
        # Nothing is printed before there is a host namespace to look at.
        with suppress(ValueError):
            seen.append(explain(owner, node))
        return bool(seen) and all(word in seen[-1]["sentence"] for word in words)

    wait_for(f"why {node}: {' ... '.join(words)}", named, limit_seconds=limit_seconds)
    assert seen[-1]["next_step"], seen[-1]
    NAMED.append(f"{seen[-1]['sentence']} -> {seen[-1]['next_step']}")
    return seen[-1]


def wait_up(owner: Person, node: str) -> None:
    """Wait until a node stands on the highest rung again."""

    def stands() -> bool:
        # Nothing is printed while the host does not answer.
        with suppress(ValueError):
            return not explain(owner, node)["missing"]
        return False

    wait_for(f"{node} is up", stands, limit_seconds=HELPED_SECONDS)


def run_printed(owner: Person, found: dict[str, Any]) -> None:
    """Run the commands of a next step, in their order."""
    commands = PRINTED.findall(found["next_step"])
    assert commands, found["next_step"]
    for command in commands:
        run_command(owner, command)


def run_command(owner: Person, command: str) -> None:
    """Run one command as it is printed; what it would ask, or wait for, is left out."""
    program, *arguments = command.split()
    if program == "kubectl":
        owner.host(*arguments, "--wait=false")
    elif program == "pulumi":
        owner.pulumi(*arguments, "--yes", "--skip-preview")
    else:
        owner.kinky(*arguments, limit_seconds=UP_SECONDS * owner.patience)


@contextmanager
def change_stack(owner: Person, **sections: Any) -> Iterator[None]:
    """Change the stack's file while the block runs."""
    file = ROOT / "stacks" / f"Pulumi.{owner.stack.stack}.yaml"
    before = file.read_text()
    content = yaml.safe_load(before)
    for section, value in sections.items():
        old = content["config"].get(f"kinky:{section}")
        content["config"][f"kinky:{section}"] = {**old, **value} if isinstance(old, dict) else value
    file.write_text(yaml.safe_dump(content))
    try:
        yield
    finally:
        file.write_text(before)
