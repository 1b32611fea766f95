"""What a process of KinKy imports at its start: somebody waits for each one of them, in each command."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("aiohttp", "hvac", "jinja2", "jsonschema", "kubernetes", "pulumi_kubernetes.core.v1", "pydantic", "rich")


@pytest.mark.parametrize(
    ("modules", "allowed"),
    [
        # `kinky credential`, which kubectl and each provider of the inner cluster start.
        ("kinky.cli.access, kinky.reach.credential", ()),
        # The server of the live steps.
        ("kinky.components.steps", ()),
        # The program reads a configuration and renders templates.
        ("kinky.program", ("jinja2", "jsonschema", "pydantic")),
        # `kinky up` and `preview` read a configuration.
        ("kinky.cli.stack, kinky.stacks.engine", ("pydantic",)),
    ],
)
def test_a_process_imports_no_heavy_package_that_it_does_not_need(modules: str, allowed: tuple[str, ...]) -> None:
    program = f"import sys, {modules}; print(*(name for name in {HEAVY} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert set(found.split()) <= set(allowed)
