"""The part of the guest's boot that looks for a clock which was measured wrong, run by a real shell over files."""

import subprocess
import time
from pathlib import Path

import pytest

from kinky import paths

SCRIPT = paths.project_root() / "node-image/files/usr/lib/kinky/node"


def run_check(folder: Path, *, rtc: int, emulated: str) -> tuple[str, str]:
    """Run the check with this RTC; return what it wrote to the console and to the kernel."""
    text = SCRIPT.read_text()
    check = text[text.index("now=clock\n") : text.index('. "/usr/lib/kinky/role-$role"')]
    for name, path in (
        ("rtc", "/sys/class/rtc/rtc0/since_epoch"),
        ("console", "/dev/console"),
        ("kernel", "/proc/sysrq-trigger"),
    ):
        assert path in check
        check = check.replace(path, str(folder / name))
        (folder / name).write_text("")
    (folder / "rtc").write_text(f"{rtc}\n")
    subprocess.run(["sh", "-eu"], input=f"emulated={emulated}\n{check}", text=True, check=True)
    return (folder / "console").read_text(), (folder / "kernel").read_text()


@pytest.mark.parametrize("ahead", [5, 100])
def test_a_clock_that_runs_ahead_resets_the_guest(tmp_path: Path, ahead: int) -> None:
    console, kernel = run_check(tmp_path, rtc=int(time.time()) - ahead, emulated="yes")
    assert console.startswith((f"kinky: stage clock: {ahead} s off", f"kinky: stage clock: {ahead + 1} s off"))
    assert kernel == "b\n"


def test_a_clock_that_lags_resets_the_guest(tmp_path: Path) -> None:
    assert run_check(tmp_path, rtc=int(time.time()) + 100, emulated="yes")[1] == "b\n"


def test_a_right_clock_passes(tmp_path: Path) -> None:
    assert run_check(tmp_path, rtc=int(time.time()), emulated="yes") == ("", "")


def test_elsewhere_the_clock_is_not_looked_at(tmp_path: Path) -> None:
    assert run_check(tmp_path, rtc=0, emulated="") == ("", "")
