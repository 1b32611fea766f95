"""Each command in a block of README and docs is run by a test, or the page says that no test runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_documented_commands import BLOCK, PAGES, ROOT

NOT_RUN = "Our tests do not run"
"""Begins a sentence right above a block whose lines no test runs as they are."""
COMMAND = re.compile(r"(?:^|[\s;&|(\"])(?:\S*/)?(kinky|make|pulumi|kubectl|pip|python3?) ([^;&|)\"#\n]*)")
INSTALLED = "tests/e2e/beside/test_installed.py"
LEASES = "tests/e2e/beside/test_leases.py"
RUN = {
    "make up": ("tests/e2e/vm/test_main_path.py", '.make("up"'),
    "make down": ("tests/e2e/test_down.py", '.make("down"'),
    "make test": (".ci/run", "make test"),
    "kinky env": (INSTALLED, "kinky env --stack"),
    "kinky init": (INSTALLED, '"init"'),
    "pulumi stack init": (INSTALLED, "pulumi stack init"),
    "pulumi up": (INSTALLED, "pulumi up"),
    "pulumi preview": (INSTALLED, "pulumi preview"),
    "pulumi destroy": (INSTALLED, "pulumi destroy"),
    "kubectl get": (INSTALLED, "kubectl get nodes"),
    "python3 -m venv": ("tests/e2e/projects.py", '"-m", "venv"'),
    "pip install": ("tests/e2e/projects.py", '"install", "--quiet", wheel'),
    "python -m pytest": (INSTALLED, '"-m", "pytest"'),
    "kinky status": ("tests/e2e/beside/test_status.py", '"status"'),
    "kinky secrets set": (LEASES, "secrets set"),
    "kinky secrets list": ("tests/e2e/container/test_2_finished.py", '"secrets", "list"'),
    "kinky secrets rm": ("tests/e2e/beside/test_vault.py", '"secrets", "rm"'),
    "kinky up --stack mine --ttl": (LEASES, '"up", "--stack", STACK, "--ttl"'),
    "kinky lease list": (LEASES, '"lease", "list"'),
    "kinky lease renew": (LEASES, '"lease", "renew"'),
    "kinky lease hold": (LEASES, '"lease", "hold"'),
    "kinky lease end": ("tests/e2e/beside/test_embedded_store.py", '"lease", "end"'),
}
"""Command, the file that runs it, and words of that file."""


def commands(text: str) -> Iterator[str]:
    """Yield the commands of each block that is not marked, without comments."""
    for block in BLOCK.finditer(text):
        if NOT_RUN in text[: block.start()].rstrip("\n").rpartition("\n")[2]:
            continue
        for line in block[1].splitlines():
            for program, rest in COMMAND.findall(re.sub(r"(^|\s)#.*", "", line)):
                yield f"{program} {rest}".strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_of_a_block_is_run_or_marked(page: Path) -> None:
    found = commands(page.read_text())
    assert [command for command in found if not any(f"{command} ".startswith(f"{known} ") for known in RUN)] == []


@pytest.mark.parametrize("command", RUN)
def test_the_file_that_is_named_runs_it(command: str) -> None:
    file, words = RUN[command]
    assert words in (ROOT / file).read_text()
    assert any(f"{found} ".startswith(f"{command} ") for page in PAGES for found in commands(page.read_text()))


def test_a_command_that_nobody_runs_is_found() -> None:
    assert [*commands("```\nkinky up --stack x && make upp # make down\n```\n")] == ["kinky up --stack x", "make upp"]
    assert [*commands(f"{NOT_RUN} this:\n```\nkinky up\n```\n")] == []
