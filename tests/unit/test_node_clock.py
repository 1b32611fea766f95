"""The part of the guest's boot that looks for a clock which was measured wrong, run by a real shell over files."""

import time
from pathlib import Path

import pytest

from tests.unit.guest_tree import GuestTree, read_part

CHECK = read_part("node", "now=clock", ". ")


def run_check(folder: Path, *, rtc: int, ground: str) -> tuple[str, str]:
    """Run the check with this RTC; return what it wrote to the console and to the kernel."""
    guest = GuestTree(folder)
    guest.stand_on(ground)
    guest.write("/sys/class/rtc/rtc0/since_epoch", f"{rtc}\n")
    done = guest.run(CHECK)
    assert (done.returncode, done.stderr) == (0, "")
    return guest.read("/dev/console"), guest.read("/proc/sysrq-trigger")


@pytest.mark.parametrize("ahead", [5, 100])
def test_a_clock_that_runs_ahead_resets_the_guest(tmp_path: Path, ahead: int) -> None:
    console, kernel = run_check(tmp_path, rtc=int(time.time()) - ahead, ground="emulation")
    assert console.startswith((f"kinky: stage clock: {ahead} s off", f"kinky: stage clock: {ahead + 1} s off"))
    assert kernel == "b\n"


def test_a_clock_that_lags_resets_the_guest(tmp_path: Path) -> None:
    assert run_check(tmp_path, rtc=int(time.time()) + 100, ground="emulation")[1] == "b\n"


def test_a_right_clock_passes(tmp_path: Path) -> None:
    assert run_check(tmp_path, rtc=int(time.time()), ground="emulation") == ("", "")


@pytest.mark.parametrize("ground", ["kvm", "container"])
def test_elsewhere_the_clock_is_not_looked_at(tmp_path: Path, ground: str) -> None:
    assert run_check(tmp_path, rtc=0, ground=ground) == ("", "")
