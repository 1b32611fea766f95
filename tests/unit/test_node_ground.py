"""The three grounds that a guest may stand on: which one it finds, and what each gives to the scripts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kinky import paths
from tests.unit.guest_tree import SCRIPTS, GuestTree, read_part

GROUNDS = ("kvm", "emulation", "container")
COPY = read_part("node", "now=credentials", "now=clock")
RECORD = """
for program in modprobe udevadm mount umount mountpoint; do
    eval "$program() { echo \\"$program \\$*\\"; }"
done
"""
"""Programs that would touch this machine only tell how they were called."""


@pytest.fixture
def guest(tmp_path: Path) -> GuestTree:
    return GuestTree(tmp_path)


@pytest.mark.parametrize("ground", GROUNDS)
def test_a_guest_knows_its_ground(guest: GuestTree, ground: str) -> None:
    guest.stand_on(ground)
    assert guest.run('echo "$ground"').stdout == f"{ground}\n"


def test_a_machine_without_an_asset_tag_is_a_plain_one(guest: GuestTree) -> None:
    assert guest.run('echo "$ground"').stdout == "kvm\n"


def test_one_place_chooses_the_ground() -> None:
    chosen = {file.name for file in SCRIPTS.iterdir() if file.is_file() and "ground-$ground" in file.read_text()}
    assert chosen == {"stage.sh"}
    for name in ("node", "role-control-plane", "role-worker", "data", "etcd-member.sh"):
        text = (SCRIPTS / name).read_text()
        assert not re.search(r"\$\{?ground\b|\$emulated|chassis_asset_tag|kinky-container", text), name


@pytest.mark.parametrize("ground", GROUNDS)
def test_each_ground_has_all_that_the_scripts_call(guest: GuestTree, ground: str) -> None:
    guest.stand_on(ground)
    files = [SCRIPTS / "ground-vm", *(SCRIPTS / f"ground-{each}" for each in GROUNDS)]
    functions = {name for file in files for name in re.findall(r"^([a-z_]+)\(\)", file.read_text(), re.MULTILINE)}
    assert functions >= {
        "disk",
        "load_modules",
        "open_credentials",
        "prepare_processors",
        "check_clock",
        "add_patches",
        "may_start_controllers",
    }
    done = guest.run(f"for each in {' '.join(sorted(functions))}; do command -v $each; done")
    assert done.stdout.split() == sorted(functions)


@pytest.mark.parametrize("ground", ["kvm", "emulation"])
def test_a_virtual_machine_finds_its_disk_by_the_serial_in_sysfs(guest: GuestTree, ground: str) -> None:
    guest.stand_on(ground)
    guest.write("/sys/block/vda/serial", "kinky-data")
    guest.write("/sys/block/vdb/serial", "kinky-etcd")
    assert guest.run("disk kinky-etcd").stdout == f"{guest.root}/dev/vdb\n"
    assert guest.run("disk kinky-creds || echo absent").stdout == "absent\n"


def test_a_container_finds_its_disk_by_the_launcher_s_link(guest: GuestTree) -> None:
    guest.stand_on("container")
    device = guest.write("/dev/loop7")
    (guest.root / "run/kinky-container/disk/kinky-etcd").symlink_to(device)
    (guest.root / "run/kinky-container/disk/kinky-lost").symlink_to(guest.root / "dev/gone/loop8")
    assert guest.run("disk kinky-etcd").stdout == f"{device}\n"
    assert guest.run("disk kinky-data || echo absent").stdout == "absent\n"
    assert guest.run("disk kinky-lost || echo absent").stdout == "absent\n"


@pytest.mark.parametrize(("ground", "expected"), [("kvm", "modprobe overlay\n"), ("container", "")])
def test_a_container_loads_no_module(guest: GuestTree, ground: str, expected: str) -> None:
    guest.stand_on(ground)
    assert guest.run("load_modules", stubs=RECORD).stdout == expected


def copy_credentials(guest: GuestTree, where: str, stubs: str) -> tuple[str, list[Path]]:
    for name in ("ca.crt", "ca.key", "etcd-ca.key"):
        guest.write(f"{where}/{name}", name).chmod(0o400)
    done = guest.run(f"pki=/etc/kubernetes/pki\n{COPY}", stubs=stubs)
    assert (done.returncode, done.stderr) == (0, "")
    pki = guest.root / "etc/kubernetes/pki"
    return done.stdout.replace(str(guest.root), ""), [pki / "ca.crt", pki / "ca.key", pki / "etcd/ca.key"]


@pytest.mark.parametrize(
    ("ground", "where", "calls"),
    [
        (
            "kvm",
            "/run/kinky/credentials",
            "mount -t iso9660 -o ro,mode=0400 /dev/vdc /run/kinky/credentials\numount /run/kinky/credentials\n",
        ),
        (
            "container",
            "/run/kinky-container/credentials",
            "mountpoint -q /run/kinky-container/credentials\numount /run/kinky-container/credentials\n",
        ),
    ],
)
def test_credentials_are_copied_and_their_place_is_left(guest: GuestTree, ground: str, where: str, calls: str) -> None:
    guest.stand_on(ground)
    guest.write("/sys/block/vdc/serial", "kinky-creds")
    guest.write("/proc/uptime", "1.31 0.5\n")
    said, copies = copy_credentials(guest, where, RECORD)
    assert said == calls
    assert [file.read_text() for file in copies] == ["ca.crt", "ca.key", "etcd-ca.key"]
    assert {file.stat().st_mode & 0o777 for file in copies} == {0o600}
    assert guest.read("/dev/console") == "kinky: stage credentials 1.31\n"


@pytest.mark.parametrize(
    ("ground", "told"),
    [("kvm", "no disk with serial kinky-creds\n"), ("container", "no credentials are mounted at ")],
)
def test_a_node_without_credentials_stops(guest: GuestTree, ground: str, told: str) -> None:
    guest.stand_on(ground)
    guest.write("/sys/block/vda/serial", "kinky-data")
    done = guest.run(f"pki=/etc/kubernetes/pki\n{COPY}", stubs="mountpoint() { return 1; }\numount() { :; }")
    assert done.returncode == 1
    assert done.stderr.startswith(told)
    assert not (guest.root / "etc/kubernetes").exists()


@pytest.mark.parametrize("ground", GROUNDS)
def test_only_emulated_processors_are_prepared(guest: GuestTree, ground: str) -> None:
    guest.stand_on(ground)
    guest.write("/sys/devices/system/cpu/cpu1/online", "0")
    guest.write("/sys/kernel/debug/sched/features")
    done = guest.run("prepare_processors", stubs=RECORD)
    assert (done.returncode, done.stderr) == (0, "")
    emulated = ground == "emulation"
    assert done.stdout.startswith("udevadm settle") == emulated
    assert guest.read("/sys/devices/system/cpu/cpu1/online").strip() == ("1" if emulated else "0")
    arguments = "--housekeeping-interval=1m --node-status-update-frequency=10s"
    settings = f"KUBELET_GROUND_ARGS={arguments}\nGODEBUG=tlsmlkem=0,tlssecpmlkem=0\n"
    assert guest.read("/run/kinky/kubelet.env") == (settings if emulated else "")


@pytest.mark.parametrize("ground", GROUNDS)
def test_only_emulated_control_planes_get_more_patches(guest: GuestTree, ground: str) -> None:
    guest.stand_on(ground)
    patches = guest.root / "usr/lib/kinky/patches"
    before = {file.name for file in patches.iterdir()}
    more = {file.name for file in (SCRIPTS / "patches-emulated").iterdir()}
    assert guest.run("add_patches").returncode == 0
    assert {file.name for file in patches.iterdir()} == (before | more if ground == "emulation" else before)


def test_the_kubelet_gets_the_ground_s_flags() -> None:
    unit = (paths.project_root() / "node-image/files/etc/systemd/system/kubelet.service").read_text()
    assert "$KUBELET_GROUND_ARGS" in unit and "EnvironmentFile=-/run/kinky/kubelet.env" in unit
