"""The trial of container guests: its steps, its reasons; nothing of the machine is changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from kinky import process
from kinky.embedded import cgroups, container_trial, kernel_settings
from kinky.embedded.cgroups import Hierarchy
from kinky.embedded.layout import Layout
from kinky.errors import CommandError

SEPARATE = ("cpu,cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "name=systemd")


def version_1(folder: Path, *, without: str = "") -> tuple[Hierarchy, ...]:
    return tuple(
        Hierarchy(folder / options, unified=False, controllers=frozenset(options.split(",")))
        for options in SEPARATE
        if options != without
    )


def version_2(folder: Path, controllers: str) -> tuple[Hierarchy, ...]:
    (folder / "cgroup.controllers").write_text(controllers)
    return (Hierarchy(folder, unified=True, controllers=frozenset()),)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Layout:
    """A machine on which everything works."""
    place = Layout(tmp_path / "host")
    place.root.mkdir()
    found = version_2(tmp_path, "cpu memory pids")
    (tmp_path / place.cgroup).mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(cgroups, "hierarchies", lambda: found)
    monkeypatch.setattr(kernel_settings, "load_modules", lambda: None)
    monkeypatch.setattr(kernel_settings, "ensure", lambda _place: "")
    monkeypatch.setattr(process, "run", lambda *_arguments, **_options: "")
    return place


def test_a_machine_where_all_works_carries_them_and_is_left_as_it_was(place: Layout, tmp_path: Path) -> None:
    assert container_trial.find_obstacle(place) == ""
    assert list(place.root.iterdir()) == []
    assert list((tmp_path / place.cgroup).iterdir()) == []


def test_only_root_can_carry_them(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert container_trial.find_obstacle(place) == "not root: user id 1000"


def test_a_setting_that_cannot_be_raised_is_the_reason(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_settings, "ensure", lambda _place: "kernel.panic cannot be set to 10: Read-only")
    assert container_trial.find_obstacle(place) == "kernel.panic cannot be set to 10: Read-only"


def test_a_step_that_fails_is_the_reason_in_one_line(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "run", lambda *_arguments, **_options: "a loop device with ext4: no\t free one\n")
    assert container_trial.find_obstacle(place) == "a loop device with ext4: no free one"


def test_a_trial_that_cannot_run_is_the_reason(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_command: Sequence[object], **_: object) -> str:
        raise CommandError("command failed", details=["needed to: try", "last output: unshare failed"])

    monkeypatch.setattr(process, "run", fail)
    assert container_trial.find_obstacle(place) == "last output: unshare failed"


def test_a_control_group_that_cannot_be_made_is_the_reason(place: Layout, tmp_path: Path) -> None:
    (tmp_path / place.cgroup).rmdir()
    assert container_trial.find_obstacle(place) == (
        f"no control group can be made in {tmp_path}: No such file or directory"
    )


def test_both_versions_of_control_groups_are_known(tmp_path: Path) -> None:
    assert container_trial.find_missing_groups(version_1(tmp_path)) == ""
    beside = (*version_1(tmp_path), *version_2(tmp_path, ""))
    assert container_trial.find_missing_groups(beside) == ""
    lacking = container_trial.find_missing_groups(version_1(tmp_path, without="devices"))
    assert lacking == "control groups of version 1 lack devices"
    assert container_trial.find_missing_groups(version_2(tmp_path, "cpuset cpu io memory pids")) == ""
    lacking = container_trial.find_missing_groups(version_2(tmp_path, "cpu pids"))
    assert lacking == "control groups of version 2 lack memory"


@pytest.mark.parametrize("failing", range(len(container_trial.STEPS)))
def test_the_script_tells_the_first_step_that_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failing: int
) -> None:
    steps = [
        (feature, "{ echo first; echo It is missing >&2; false; }" if number >= failing else "true")
        for number, (feature, _) in enumerate(container_trial.STEPS)
    ]
    monkeypatch.setattr(container_trial, "STEPS", steps)
    script = container_trial.build_script()
    ended = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == f"{container_trial.STEPS[failing][0]}: It is missing\n"


def test_the_real_script_is_a_shells(tmp_path: Path) -> None:
    subprocess.run(["sh", "-n", "-c", container_trial.build_script()], cwd=tmp_path, check=True)
