"""What a root shell of a container guest cannot touch of the machine, each tried.

Against accidents, not against malice: docs/intruders.md says what an escape can do. What is tried would do no harm.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kinky import process
from kinky.errors import CommandError
from tests.e2e import guests
from tests.e2e.person import Person

pytestmark = pytest.mark.host

CALL = """\
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if {call} < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
"""
READ = """\
import os, sys
path = '/dev/tried-{major}-{minor}'
os.mknod(path, 0o600 | {kind}, os.makedev({major}, {minor}))
try:
    with open(path, 'rb', buffering=0) as device:
        print(len(device.read(512)))
except OSError as error:
    sys.exit(error.strerror)
finally:
    os.unlink(path)
"""
BLOCK, CHARACTER = "0o060000", "0o020000"
REFUSED = ("Operation not permitted", "Permission denied", "Read-only file system")
SETTINGS = ("kernel/panic", "vm/overcommit_memory", "vm/swappiness", "fs/inotify/max_user_instances")
MEMORY, LOG = (1, 1), (1, 11)
MACHINES = {"SYS_MODULE": 16, "SYS_RAWIO": 17, "SYS_TIME": 25, "MAC_OVERRIDE": 32, "MAC_ADMIN": 33, "SYSLOG": 34}
"""Capabilities over the machine and not over the guest, by their numbers (linux/capability.h)."""


def refuse(person: Person, script: str, *, others: tuple[str, ...] = ()) -> None:
    """Assert that a script in the worker's guest is refused.

    Args:
        others: What else may be said, besides the usual words.
    """
    with pytest.raises(CommandError) as caught:
        guests.run(person, person.worker, script)
    told = "\n".join(caught.value.details)
    assert any(text in told for text in (*REFUSED, *others)), told


def read_device(kind: str, major: int, minor: int) -> str:
    """Return the command that makes a node of a device and reads from it."""
    return guests.python(READ.format(kind=kind, major=major, minor=minor))


def call(text: str) -> str:
    """Return the command that makes a system call."""
    return guests.python(CALL.format(call=text))


def read_machine_log() -> list[str]:
    """Return what the machine's kernel has said about sysrq."""
    log = process.run(["dmesg"], reason="test", timeout_seconds=20)
    return [line for line in log.splitlines() if "sysrq" in line.lower()]


def list_disks() -> list[tuple[int, int]]:
    """Return the numbers of the machine's disks."""
    entries = [entry for entry in Path("/sys/block").iterdir() if not entry.name.startswith("loop")]
    numbers = [(entry / "dev").read_text().strip().split(":") for entry in entries]
    return [(int(major), int(minor)) for major, minor in numbers]


def test_no_disk_of_the_machine_can_be_read_and_the_guests_own_can(finished: Person) -> None:
    own = guests.run(finished, finished.worker, "stat --dereference --format '%Hr %Lr' /run/kinky-container/disk/*")
    major, minor = own.splitlines()[0].split()
    assert guests.run(finished, finished.worker, read_device(BLOCK, int(major), int(minor))).strip() == "512"
    disks = list_disks()
    assert disks
    for numbers in disks:
        refuse(finished, read_device(BLOCK, *numbers))


def test_the_memory_of_the_machine_cannot_be_read(finished: Person) -> None:
    refuse(finished, read_device(CHARACTER, *MEMORY))


def test_sysrq_cannot_be_triggered(finished: Person) -> None:
    """The letter asks for help, which the kernel gives in its log; what is there in the file's place takes anything.

    A kernel without sysrq has neither file.
    """
    trigger, setting = "/proc/sysrq-trigger", "/proc/sys/kernel/sysrq"
    before = read_machine_log()
    guests.run(finished, finished.worker, f"test ! -e {trigger} || {{ test -c {trigger} && echo h >{trigger}; }}")
    assert read_machine_log() == before
    if Path(setting).exists():
        refuse(finished, f"value=$(cat {setting}) && echo $value >{setting}")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_the_whole_kernel_cannot_be_written(finished: Person, name: str) -> None:
    refuse(finished, f"value=$(cat /proc/sys/{name}) && echo $value >/proc/sys/{name}")


def test_a_setting_of_its_network_can_be_written(finished: Person) -> None:
    file = "/proc/sys/net/ipv4/ip_default_ttl"
    before = Path(file).read_text()
    other = int(before) - 1
    try:
        assert guests.run(finished, finished.worker, f"echo {other} >{file} && cat {file}").strip() == str(other)
        assert Path(file).read_text() == before, "it is the machine's too"
    finally:
        guests.run(finished, finished.worker, f"echo {before.strip()} >{file}")


@pytest.mark.parametrize("number", ["175", "313"], ids=["init_module", "finit_module"])
def test_no_module_can_be_loaded(finished: Person, number: str) -> None:
    """Who has the right would be told that this is no module; a kernel without modules refuses everybody."""
    arguments = {"175": "0, 0, b''", "313": "0, b'', 0"}[number]
    others = () if Path("/proc/modules").exists() else ("Function not implemented",)
    refuse(finished, call(f"libc.syscall({number}, {arguments})"), others=others)


def test_a_root_shell_has_no_capability_that_changes_the_machine(finished: Person) -> None:
    shown = guests.run(finished, finished.worker, "grep CapBnd: /proc/self/status")
    assert [name for name, bit in MACHINES.items() if int(shown.split()[1], 16) >> bit & 1] == []


def test_the_kernels_log_cannot_be_read(finished: Person) -> None:
    refuse(finished, call("libc.klogctl(3, ctypes.create_string_buffer(512), 512)"))
    refuse(finished, read_device(CHARACTER, *LOG))
    # What is there in the place of the two files is empty.
    assert guests.run(finished, finished.worker, "timeout 5 cat /dev/kmsg /proc/kmsg") == ""


def test_no_swap_can_be_switched_on(finished: Person) -> None:
    """Who has the right would be told that there is no such file."""
    refuse(finished, call("libc.swapon(b'/no/such/file', 0)"))


def test_the_clock_cannot_be_set(finished: Person) -> None:
    """To the time that it is."""
    refuse(finished, guests.python("import time; time.clock_settime(time.CLOCK_REALTIME, time.time())"))
