"""Around Pulumi itself: what a dead one left, what it refuses, and Ctrl-C while it works."""

from __future__ import annotations

import json
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.automation._cmd import CommandResult
from pulumi.automation.errors import CommandError

from kinky import paths
from kinky.components.live_step import StepInputs
from kinky.components.properties import describe
from kinky.errors import KinkyError
from kinky.kube.access import HostAccess
from kinky.stacks import engine as stack_engine
from kinky.stacks.file import read_stack_file
from kinky.stacks.interrupt import deferred_interrupts
from kinky.stacks.leftovers import remove_copies, remove_leftovers

NOBODY = 4_000_000
"""Above the largest process id that Linux gives by default."""


def write_lock(folder: Path, *, pid: int, hostname: str) -> Path:
    lock = folder / ".pulumi" / "locks" / "organization" / "kinky" / "dev" / f"{pid}.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps({"pid": pid, "hostname": hostname, "username": "root", "timestamp": "now"}))
    return lock


def write_state(backend: Path) -> tuple[list[Path], list[Path]]:
    """Write what Pulumi keeps of two stacks, and what it leaves when it is killed over the first one."""
    folder = backend / ".pulumi/stacks/kinky"
    folder.mkdir(parents=True)
    whole = [folder / name for name in ("dev.json", "dev.json.bak", "dev.json.bak.attrs", "devel.json")]
    for file in whole:
        file.write_text("{}")
    half_written = [folder / "dev.json.attrs", folder / "dev.json.187a.tmp"]
    half_written[0].touch()
    half_written[1].write_text('{"version')
    another = folder / "devel.json.attrs"
    another.touch()
    return [*whole, another], half_written


def test_what_a_dead_pulumi_left_is_removed_and_the_state_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = write_lock(tmp_path, pid=NOBODY, hostname=socket.gethostname())
    whole, half_written = write_state(tmp_path)
    remove_leftovers(f"file://{tmp_path}", project="kinky", stack="dev")
    assert not dead.exists()
    assert all(file.exists() for file in whole)
    assert not any(file.exists() for file in half_written)
    assert f"removed the lock of a pulumi that is gone (process {NOBODY})" in capsys.readouterr().err


def test_a_lock_of_another_machine_and_what_its_pulumi_may_be_writing_stay(tmp_path: Path) -> None:
    dead = write_lock(tmp_path, pid=NOBODY, hostname=socket.gethostname())
    elsewhere = write_lock(tmp_path, pid=NOBODY + 1, hostname="another-machine")
    whole, half_written = write_state(tmp_path)
    remove_leftovers(f"file://{tmp_path}", project="kinky", stack="dev")
    assert not dead.exists()
    assert all(file.exists() for file in (elsewhere, *whole, *half_written))


def test_a_state_that_was_never_cut_off_is_left_alone_silently(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remove_leftovers(f"file://{tmp_path}", project="kinky", stack="dev")
    remove_leftovers("https://state.example", project="kinky", stack="dev")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("operation", ["up", "preview", "destroy"])
def test_passphrase_of_another_stack_is_told_as_that(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    said = "error: getting stack configuration: get stack secrets manager: incorrect passphrase"

    class WrongPassphrase:
        def __getattr__(self, name: str) -> Any:
            return fail

    def fail(**_: Any) -> None:
        raise CommandError(CommandResult(stdout="", stderr=said, code=255))

    monkeypatch.setattr(stack_engine, "OwnStack", lambda *_: WrongPassphrase())
    workspace: Any = SimpleNamespace(env_vars={"PULUMI_BACKEND_URL": "https://state.example"})
    engine = stack_engine.StackEngine(read_stack_file("dev"), workspace=workspace)
    options = {"expect_no_changes": False} if operation == "preview" else {}
    with pytest.raises(KinkyError) as error:
        getattr(engine, operation)(**options)
    assert str(error.value) == (
        'stack "dev": the passphrase is not the one that the stack was made with\n'
        "  encryptionsalt in stacks/Pulumi.dev.yaml belongs to another one; nothing was touched\n"
        "hint: give the first passphrase again; if the stack's state is gone, remove the line encryptionsalt"
    )


@pytest.mark.parametrize("operation", ["exists", "destroy", "outputs"])
def test_a_state_that_pulumi_cannot_read_is_told_as_that(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    def select(*_: Any) -> Any:
        raise CommandError(CommandResult(stdout="", stderr="error: failed to load checkpoint: EOF", code=255))

    monkeypatch.setattr(stack_engine, "OwnStack", select)
    workspace: Any = SimpleNamespace(env_vars={"PULUMI_BACKEND_URL": "https://state.example"})
    engine = stack_engine.StackEngine(read_stack_file("dev"), workspace=workspace)
    with pytest.raises(
        KinkyError, match=r'^stack "dev": pulumi stack select failed\n(.|\n)*failed to load checkpoint: EOF'
    ):
        getattr(engine, operation)()


def test_pulumi_is_not_started_to_ask_for_what_is_known(tmp_path: Path) -> None:
    """The version is that of the package, and a stack that the folder holds needs no selection."""
    (tmp_path / ".pulumi/stacks/kinky").mkdir(parents=True)
    (tmp_path / ".pulumi/meta.yaml").write_text("version: 1\n")
    (tmp_path / ".pulumi/stacks/kinky/dev.json").write_text("{}")
    command = stack_engine.OwnCommand(tmp_path / "absent" / "pulumi")
    assert command.command == str(tmp_path / "absent" / "pulumi")
    workspace = stack_engine.OwnWorkspace(
        work_dir=str(tmp_path), env_vars={"PULUMI_BACKEND_URL": f"file://{tmp_path}"}, pulumi_command=command
    )
    assert workspace.pulumi_version == pins()["pulumi"]
    workspace.select_stack("dev")
    with pytest.raises(FileNotFoundError):
        workspace.select_stack("other")


def pins() -> dict[str, str]:
    lines = (paths.project_root() / "requirements.txt").read_text().splitlines()
    return dict(line.removesuffix(" \\").split("==") for line in lines if "==" in line)


def test_ctrl_c_waits_for_the_work_and_then_counts(capsys: pytest.CaptureFixture[str]) -> None:
    done = []
    # A shell starts what runs in its background with the signal ignored.
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("work")
    assert done == ["work"]
    assert "interrupted: pulumi finishes" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_failure_after_ctrl_c_is_an_interruption() -> None:
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        raise KinkyError("pulumi up failed")


def test_failure_without_ctrl_c_stays() -> None:
    with pytest.raises(KinkyError), deferred_interrupts():
        raise KinkyError("pulumi up failed")


@pytest.mark.parametrize("made", [True, False])
def test_cluster_and_host_of_a_state_are_found(monkeypatch: pytest.MonkeyPatch, made: bool) -> None:
    """Commands that run no program ask the state which cluster it made, and on which host."""
    access = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
    outputs = describe(StepInputs(access=access)) | {"host_uid": "h", "cluster_id": "c", "__provider": "x"}
    resources = [{"type": "pulumi:pulumi:Stack"}] + [
        {"type": "pulumi-python:dynamic/kinky:ClusterIdentity", "outputs": outputs}
    ] * made
    stack = SimpleNamespace(export_stack=lambda: SimpleNamespace(deployment={"resources": resources}))
    monkeypatch.setattr(stack_engine, "OwnStack", lambda *_: stack)
    workspace: Any = SimpleNamespace(env_vars={"PULUMI_BACKEND_URL": "https://state.example"})
    engine = stack_engine.StackEngine(read_stack_file("dev"), workspace=workspace)
    found = replace(access, host_uid="h", cluster_id="c") if made else None
    assert engine.find_made() == found


def test_copies_of_a_removed_stack_s_state_go_and_those_of_others_stay(tmp_path: Path) -> None:
    pulumi = tmp_path / ".pulumi"
    own = [
        "stacks/kinky/t-1.json.bak",
        "stacks/kinky/t-1.json.bak.attrs",
        "stacks/kinky/t-1.json.gz.bak",
        "backups/kinky/t-1/t-1.9.json",
    ]
    others = ["stacks/kinky/t-10.json.bak", "stacks/kinky/t-1.json", "backups/kinky/t-10/t-10.9.json", "meta.yaml"]
    for name in (*own, *others):
        (pulumi / name).parent.mkdir(parents=True, exist_ok=True)
        (pulumi / name).write_text("version: 1")
    remove_copies(f"file://{tmp_path}", project="kinky", stack="t-1")
    left = {str(path.relative_to(pulumi)) for path in pulumi.rglob("*") if path.is_file()}
    assert left == set(others)
    assert not (pulumi / "backups/kinky/t-1").exists()
