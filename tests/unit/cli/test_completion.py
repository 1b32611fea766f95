"""Shell completion: what kinky answers when the shell asks at Tab."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kinky import paths
from kinky.cli import main
from kinky.stacks.file import list_stacks


def ask(line: str, tmp_path: Path) -> set[str]:
    """Ask as the scripts of all three shells do."""
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    place = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    command = [sys.executable, "-m", "kinky.cli.main"]
    subprocess.run(command, cwd=paths.project_root(), env={**os.environ, **asked, **place}, check=True, timeout=60)
    return {word.strip() for word in answer.read_text().splitlines()}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kinky ", set(main.COMMANDS)),
        ("kinky de", {"destroy"}),
        ("kinky gate ", {"show", "open", "close"}),
        ("kinky status --self", {"--selftest"}),
        ("kinky up --stack ", set(list_stacks())),
        ("kinky gate show --stack pr", {"prod"}),
        ("kinky completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_words_that_fit(line: str, words: set[str], tmp_path: Path) -> None:
    found = ask(line, tmp_path)
    assert words <= found
    # A word that does not begin as the user began is no help.
    assert all(word.startswith(line.rpartition(" ")[2]) for word in found)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_can_read(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "kinky" in script
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=script, text=True, check=True, timeout=60)


def test_another_shell_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as end:
        main.main(["completion", "csh"])
    assert end.value.code == 64
