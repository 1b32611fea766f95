"""The command line's frame: exit codes, help, errors, and how fast it starts."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

import pytest

from kinky import paths
from kinky.cli import main, options
from kinky.errors import KinkyError
from kinky.exit_codes import ExitCode


@pytest.mark.parametrize("command", main.COMMANDS)
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main.main([command, "--help"])
    assert end.value.code == 0
    assert f"kinky {command}" in capsys.readouterr().out


def test_overview_names_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--help"]) == 0
    printed = capsys.readouterr()
    assert all(f"  {name} " in printed.out for name in main.COMMANDS)
    assert printed.err == ""


def test_no_arguments_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 64
    assert "usage: kinky" in capsys.readouterr().err


def test_unknown_command_suggests_a_known_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["destory"]) == 64
    assert capsys.readouterr().err == "unknown command: destory\nhint: did you mean destroy?\n"


def test_unknown_option_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as end:
        main.main(["up", "--fast"])
    assert end.value.code == 64


def test_version_is_the_newest_of_the_changelog(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--version"]) == 0
    version = capsys.readouterr().out.split()[1]
    assert f"## {version}" in (paths.project_root() / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("raised", "code", "printed"),
    [
        (KinkyError("it broke", details=["because"], hint="mend it"), 1, "it broke\n  because\nhint: mend it\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_errors_become_exit_codes(
    raised: BaseException,
    code: int,
    printed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(arguments: argparse.Namespace) -> int:
        raise raised

    monkeypatch.setattr("kinky.cli.tools.run_tools", fail)
    assert main.main(["tools"]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", printed)


def test_credential_loads_nothing_heavy_before_it_works() -> None:
    """Kubectl waits for it at every call."""
    program = (
        "import sys; import kinky.cli.main, kinky.cli.access; "
        "print([name for name in ('pulumi', 'pydantic', 'yaml', 'kubernetes', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=paths.project_root(), capture_output=True, check=True)
    assert done.stdout == b"[]\n"


def test_table_is_aligned() -> None:
    assert options.to_table([("A", "B"), ("longer", "x")]) == "A       B\nlonger  x"


@pytest.mark.parametrize("command", [*main.COMMANDS])
def test_wrong_usage_of_each_command_and_action_has_one_exit_code(command: str) -> None:
    parser = importlib.import_module(main.COMMANDS[command].module).build_parser(command)
    actions = next((each for each in parser._actions if isinstance(each, argparse._SubParsersAction)), None)
    for words in [[], *([name] for name in (actions.choices if actions else ()))]:
        with pytest.raises(SystemExit) as ended:
            main.main([command, *words, "--no-such-option"])
        assert ended.value.code == ExitCode.USAGE
