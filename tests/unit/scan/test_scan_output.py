"""What Pulumi prints is searched in memory: each run, also one that fails, and nothing that changes anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kinky.cli import scan_output
from kinky.scan.kind import Kind
from kinky.scan.secret import KnownSecret, SecretClass
from kinky.stacks.file import read_stack_file
from tests.unit.scan.machine import Machine, make_machine

VALUE = KnownSecret(SecretClass.STORE_VALUE, "dev-store-message/message", b"the message of the store")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return make_machine(tmp_path, monkeypatch)


def test_no_run_can_change_anything() -> None:
    for arguments in scan_output.RUNS.values():
        assert arguments[0] == "preview" or "--preview-only" in arguments
        assert "--non-interactive" in arguments
        assert not {"--yes", "-y", "--show-secrets", "--show-secrets=true"} & set(arguments)


def test_both_levels_and_all_operations_are_asked(machine: Machine) -> None:
    machine.scan()
    asked = (machine.root.parent / "pulumi.log").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["preview", "preview", "refresh", "destroy"]
    assert asked[0] == "preview --diff --non-interactive --color=never --show-secrets=false --stack dev"
    # Without --logtostderr the engine's log would be a file below /tmp.
    assert all("-v=9" in line and "--logtostderr" in line for line in asked[1:])


def test_what_is_printed_lies_on_no_disk(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = machine.root.parent
    (folder / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder / "temporary"))
    machine.print_by_pulumi(VALUE.reveal() + b"\nResources:\n")
    before = set(folder.rglob("*"))
    source = scan_output.ask_pulumi(machine.stack)
    assert set(folder.rglob("*")) - before == {folder / "pulumi.log"}
    assert [VALUE.reveal() in b"".join(artefact.read()) for artefact in source.artefacts] == [True] * 4


def test_a_run_that_fails_is_searched_and_told_without_its_words(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.print_by_pulumi(b"error: " + VALUE.reveal() + b"\n", exit_code=255)
    report = machine.scan([VALUE])
    hits = [artefact.name for artefact, _ in report.unexpected if artefact.kind is Kind.PULUMI_OUTPUT]
    assert hits == list(scan_output.RUNS)
    assert report.unread[0] == (
        "Pulumi output preview, after its end: command failed with exit code 255; what it had printed was searched"
    )
    assert VALUE.reveal().decode() not in capsys.readouterr().err + "\n".join(report.to_lines())


def test_a_run_without_its_summary_shows_that_the_scanner_is_blind(machine: Machine) -> None:
    machine.print_by_pulumi(b"")
    assert [each.where for each in machine.scan().missing] == [f"in Pulumi output {name}" for name in scan_output.RUNS]


def test_pulumi_that_is_absent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    source = scan_output.ask_pulumi(read_stack_file("dev"))
    (text,) = source.unread
    assert text.startswith("Pulumi output: not made yet: pulumi")
    assert (list(source.artefacts), source.places) == ([], ())


def test_a_passphrase_that_protects_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools = [type("Row", (), {"name": name, "path": tmp_path / name})() for name in scan_output.PULUMI_PROGRAMS]
    monkeypatch.setattr("kinky.toolchain.tools.list_tools", lambda: tools)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    (text,) = scan_output.ask_pulumi(read_stack_file("dev")).unread
    assert text == 'Pulumi output: stack "dev": PULUMI_CONFIG_PASSPHRASE is empty, which protects nothing'
