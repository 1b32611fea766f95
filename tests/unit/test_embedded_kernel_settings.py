"""Settings of the kernel: raised for guests, never lowered, put back when the host goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinky.embedded import kernel_settings, machine
from kinky.embedded.layout import Layout

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "fs.inotify.max_user_instances": "128",
    "fs.inotify.max_user_watches": "600000",
    "kernel.keys.root_maxbytes": "25000000",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.panic": "0",
    "kernel.panic_on_oops": "1",
    "vm.overcommit_memory": "0",
    "vm.panic_on_oom": "0",
}


class Kernel:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "kernel/random").mkdir(parents=True)
        self.boot("first")
        for name, value in SMALL.items():
            self.path(name).parent.mkdir(parents=True, exist_ok=True)
            self.path(name).write_text(f"{value}\n")

    def boot(self, boot: str) -> None:
        (self.folder / "kernel/random/boot_id").write_text(f"{boot}\n")

    def path(self, name: str) -> Path:
        return self.folder / name.replace(".", "/")

    def read(self) -> dict[str, str]:
        return {name: self.path(name).read_text().strip() for name in SMALL}


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kernel:
    monkeypatch.setattr(kernel_settings, "SYSTEM", tmp_path / "sys")
    return Kernel(tmp_path / "sys")


RAISED = SMALL | {"fs.inotify.max_user_instances": "8192", "kernel.panic": "10", "vm.overcommit_memory": "1"}


def test_settings_are_raised_and_put_back(kernel: Kernel, tmp_path: Path) -> None:
    place = Layout(tmp_path)
    assert kernel_settings.ensure(place) == ""
    assert kernel.read() == RAISED
    kernel_settings.restore(place)
    assert kernel.read() == SMALL
    assert not place.kernel_settings.exists()


def test_a_host_that_was_killed_keeps_the_values_from_before_its_first_start(kernel: Kernel, tmp_path: Path) -> None:
    for _ in range(2):
        assert kernel_settings.ensure(Layout(tmp_path)) == ""
    kernel_settings.restore(Layout(tmp_path))
    assert kernel.read() == SMALL


def test_values_of_an_earlier_boot_are_forgotten(kernel: Kernel, tmp_path: Path) -> None:
    kernel_settings.ensure(Layout(tmp_path))
    kernel.boot("second")
    kernel_settings.restore(Layout(tmp_path))
    assert kernel.read() == RAISED


def test_what_somebody_has_set_meanwhile_stays(kernel: Kernel, tmp_path: Path) -> None:
    kernel_settings.ensure(Layout(tmp_path))
    kernel.path("fs.inotify.max_user_instances").write_text("9000\n")
    kernel_settings.restore(Layout(tmp_path))
    assert kernel.read() == SMALL | {"fs.inotify.max_user_instances": "9000"}


def test_a_setting_that_cannot_be_set_is_told(kernel: Kernel, tmp_path: Path) -> None:
    kernel.path("vm.overcommit_memory").unlink()
    told = kernel_settings.ensure(Layout(tmp_path))
    assert told == "vm.overcommit_memory cannot be set to 1: No such file or directory"
    assert kernel.path("kernel.panic").read_text() == "10\n"


def test_they_are_those_that_a_virtual_machine_sets_for_itself() -> None:
    """Those of a guest's own network are its own, also in a container."""
    text = (ROOT / "node-image/files/etc/sysctl.d/90-kinky.conf").read_text()
    lines = [line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#")]
    wanted = {name.strip(): int(value) for name, _, value in lines if not name.startswith("net.")}
    assert wanted == kernel_settings.LEAST | kernel_settings.EXACT


def test_a_stopped_host_puts_them_back_unless_another_one_runs(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    others = [4711]
    monkeypatch.setattr(machine, "find_sandboxes", lambda _marker: others)
    monkeypatch.setattr(machine, "remove_leftovers", lambda _place: None)
    kernel_settings.ensure(Layout(tmp_path))
    machine.stop(Layout(tmp_path))
    assert kernel.read() == RAISED
    others.clear()
    machine.stop(Layout(tmp_path))
    assert kernel.read() == SMALL
