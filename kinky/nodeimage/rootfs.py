"""The node's root file system: Debian's packages, our programs and files, minus what no node needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from kinky import process
from kinky.nodeimage import recipe
from kinky.releases import Release

_EMPTIED = (
    "boot", "tmp", "var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/info",
    "usr/share/locale", "usr/lib/locale/C.utf8/unused", "usr/share/bash-completion", "usr/share/zoneinfo/right",
    "usr/share/perl5", "usr/include", "var/cache/debconf", "etc/netplan", "etc/motd.d", "usr/share/initramfs-tools",
)  # fmt: skip
_REMOVED = (
    "etc/machine-id", "var/lib/dbus/machine-id", "etc/hostname", "initrd.img", "initrd.img.old", "vmlinuz",
    "vmlinuz.old",     "usr/lib/systemd/system-environment-generators", "etc/cloud/cloud.cfg.d", "etc/resolv.conf",
)  # fmt: skip
# cloud-init imports these when they are there, which takes a third of its start. User-data is checked against the
# schema before it is sent, and a disk needs no HTTP (node-image/files has a stand-in for requests).
_PYTHON_REMOVED = (
    "jsonschema", "jsonschema_specifications", "referencing", "rpds", "attr", "attrs", "requests",
    "urllib3", "chardet", "charset_normalizer", "idna", "certifi",
)  # fmt: skip
PAUSE_MARK = "@PAUSE@"
"""In containerd's configuration, for the reference that the release gives."""
_GENERATORS_KEPT = ("systemd-fstab-generator",)
_RULES_KEPT = (
    "50-udev-default.rules", "60-block.rules", "60-persistent-storage.rules", "60-serial.rules",
    "60-qemu-guest-agent.rules", "75-net-description.rules", "80-drivers.rules",
    "80-net-setup-link.rules", "99-systemd.rules",
)  # fmt: skip
_FOLDERS = (
    ".image", "etc/cni/net.d", "etc/kubernetes/manifests", "etc/kinky", "var/lib/containerd", "var/lib/kubelet",
    "var/lib/etcd", "var/lib/kinky/data", "var/lib/kinky/snapshots", "var/log/pods", "var/log/containers",
    "opt/cni/bin",
)  # fmt: skip


def build_rootfs(root: Path, release: Release, *, base: Path, tools: recipe.Tools, added: Path | None) -> None:
    """Unpack the base into `root` and make it a node: programs, guest files, units, unpacked kernel modules.

    The files below `added` come last, so that an admin's file replaces one of ours.
    """
    root.mkdir(parents=True)
    process.run(["tar", "-C", root, "--xattrs", "--numeric-owner", "-xpf", base], reason="unpack the base system")
    kernel = kernel_release(root)
    boot = root / "boot"
    (root / "usr/lib/kinky").mkdir(parents=True)
    shutil.copy(boot / f"vmlinuz-{kernel}", root / "usr/lib/kinky/vmlinuz")
    _trim(root)
    _unpack_modules(root, kernel)
    for program in recipe.NODE_PROGRAMS:
        shutil.copy(tools(program), root / "usr/bin" / program)
        (root / "usr/bin" / program).chmod(0o755)
    copy_files(recipe.recipe_dir() / "files", root)
    _write_versions(root, release)
    _set_units(root)
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    if added is not None:
        copy_files(added, root)
    _settle(root)


def _write_versions(root: Path, release: Release) -> None:
    """Tell containerd the image of each pod's sandbox, and the guest scripts the version of Kubernetes."""
    config = root / "etc/containerd/config.toml"
    config.write_text(config.read_text().replace(PAUSE_MARK, release.system_images["pause"]))
    (root / "usr/lib/kinky/kubernetes-version").write_text(f"{release.kubernetes_version}\n")


def kernel_release(root: Path) -> str:
    """Return the release of the tree's only kernel."""
    (release,) = (path.name for path in (root / "usr/lib/modules").iterdir())
    return release


def _trim(root: Path) -> None:
    for name in _EMPTIED:
        if (root / name).is_dir():
            shutil.rmtree(root / name)
            (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    for name in _PYTHON_REMOVED:
        shutil.rmtree(root / "usr/lib/python3/dist-packages" / name, ignore_errors=True)
    for name in _REMOVED:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for folder, kept in (("systemd/system-generators", _GENERATORS_KEPT), ("udev/rules.d", _RULES_KEPT)):
        for path in (root / "usr/lib" / folder).iterdir():
            if path.name not in kept:
                path.unlink()


def _unpack_modules(root: Path, kernel: str) -> None:
    """Unpack the modules: unpacking them at every boot costs CPU, and the disk is compressed anyway."""
    folder = root / "usr/lib/modules" / kernel
    packed = sorted(folder.rglob("*.ko.xz"))
    process.run(["xz", "-d", "-T2", *packed], reason="unpack kernel modules")
    process.run(["depmod", "-b", root, kernel], reason="index kernel modules")


def copy_files(source: Path, root: Path) -> None:
    """Copy all files and symbolic links below `source` into the root file system, over what is there.

    Programs and scripts become 0755 and everything else 0644, whatever umask they were checked out with.
    """
    for path in sorted(source.rglob("*")):
        target = root / path.relative_to(source)
        if path.is_dir() and not path.is_symlink():
            target.mkdir(exist_ok=True)
            continue
        target.unlink(missing_ok=True)
        shutil.copy(path, target, follow_symlinks=False)
        if not path.is_symlink():
            target.chmod(0o755 if path.stat().st_mode & 0o100 or path.read_bytes()[:2] == b"#!" else 0o644)


def _set_units(root: Path) -> None:
    """Enable and mask units as listed; masked, because a first boot presets what is only disabled."""
    system = root / "etc/systemd/system"
    for wants in system.glob("*.wants"):
        shutil.rmtree(wants)
    for line in _listed("units-masked.txt"):
        (system / line).unlink(missing_ok=True)
        (system / line).symlink_to("/dev/null")
    for line in _listed("units-enabled.txt"):
        target, unit = line.split()
        wants = system / f"{target}.wants"
        wants.mkdir(exist_ok=True)
        own = (system / unit).exists()
        (wants / unit).symlink_to(f"{'/etc' if own else '/usr/lib'}/systemd/system/{unit}")
    default = system / "default.target"
    default.unlink(missing_ok=True)
    default.symlink_to("/usr/lib/systemd/system/multi-user.target")


def _listed(name: str) -> list[str]:
    lines = (line.split("#", 1)[0].strip() for line in (recipe.recipe_dir() / name).read_text().splitlines())
    return [line for line in lines if line]


def _settle(root: Path) -> None:
    """Leave nothing for systemd to bring up to date at boot."""
    (root / "etc/fstab").write_text("# The initrd mounts the root; kinky-data mounts the rest.\n")
    (root / "etc/resolv.conf").write_text("")
    for name in ("etc/.updated", "var/.updated"):
        (root / name).touch()
    newest = (root / "usr").stat().st_mtime
    for name in ("etc/.updated", "var/.updated"):
        os.utime(root / name, (newest, newest))
