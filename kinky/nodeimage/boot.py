"""The start of the node: initrd, GRUB for BIOS, and a unified kernel image for UEFI."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from kinky import process
from kinky.nodeimage.recipe import recipe_dir
from kinky.nodeimage.rootfs import kernel_release

GRUB = Path("/usr/lib/grub/i386-pc")
_GRUB_MODULES = ("biosdisk", "part_gpt", "ext2", "linux", "normal", "minicmd", "smbios", "test")
_INITRD_MODULES = ("virtio_blk", "overlay")
_PAGE = 4096


def build_initrd(root: Path, *, scratch: Path) -> Path:
    """Put the initrd (busybox, init script, modules to find and mount the root) into the root; return its path."""
    tree = scratch / "initrd"
    for name in ("bin", "dev", "proc", "sys", "image", "ram", "root", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(root / "usr/bin/busybox", tree / "bin/busybox")
    shutil.copy(recipe_dir() / "initrd-init", tree / "init")
    (tree / "init").chmod(0o755)
    folder = root / "usr/lib/modules" / kernel_release(root)
    order = load_order((folder / "modules.dep").read_text(), _INITRD_MODULES)
    for name in order:
        shutil.copy(folder / name, tree / "modules" / Path(name).name)
    (tree / "modules/order").write_text("".join(f"{Path(name).name}\n" for name in order))
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    target = root / "usr/lib/kinky/initrd"
    process.run(
        ["cpio", "--quiet", "--reproducible", "-o", "-H", "newc", "-R", "0:0", "-F", target],
        reason="write the initrd",
        cwd=tree,
        stdin="\n".join(names).encode(),
    )
    return target


def load_order(dependencies: str, wanted: tuple[str, ...]) -> list[str]:
    """Return module paths in load order: what a module needs comes first (modules.dep lists it last)."""
    table = {}
    for line in dependencies.splitlines():
        module, _, needed = line.partition(":")
        table[module] = needed.split()
    order: list[str] = []
    for name in wanted:
        # A driver that the kernel has built in has no file.
        found = next((path for path in table if re.search(rf"/{name}\.ko$", path)), None)
        chain = [*reversed(table[found]), found] if found else []
        order += [path for path in chain if path not in order]
    return order


def command_line() -> str:
    """Return the kernel command line that holds everywhere."""
    return (recipe_dir() / "cmdline.txt").read_text().strip()


def build_grub_core(root: Path, *, scratch: Path) -> bytes:
    """Put GRUB's configuration into the root and return the core image that goes on reading it there.

    A parser without conditions reads the text inside the core, hence two files.
    """
    text = (recipe_dir() / "grub.cfg").read_text()
    text = text.replace("@CMDLINE@", command_line())
    text = text.replace("@CMDLINE_EMULATED@", (recipe_dir() / "cmdline-emulated.txt").read_text().strip())
    (root / "usr/lib/kinky/grub.cfg").write_text(text)
    early = recipe_dir() / "grub-early.cfg"
    target = scratch / "core.img"
    process.run(
        ["grub-mkimage", "-O", "i386-pc", "-p", "/", "-c", early, "-o", target, *_GRUB_MODULES],
        reason="make GRUB's core image",
        hint="apt-get install grub-common grub-pc-bin",
    )
    return target.read_bytes()


def build_esp(root: Path, *, target: Path, size: int, scratch: Path) -> None:
    """Write a FAT file system image that holds the unified kernel image where firmware looks by default."""
    kernel_image = _build_unified_kernel(root, scratch=scratch)
    with target.open("wb") as handle:
        handle.truncate(size)
    # A fixed serial number; -h, -s and -t fix a geometry, because mformat would ask the device for one.
    heads, track = 64, 32
    sectors = size // 512
    process.run(
        [
            *("mformat", "-i", target, "-v", "KINKY-ESP", "-N", "4b494e4b"),
            *("-h", str(heads), "-s", str(track), "-T", str(sectors), "::"),
        ],
        reason="format the EFI system partition",
        hint="apt-get install mtools",
    )
    process.run(["mmd", "-i", target, "::EFI", "::EFI/BOOT"], reason="make folders in the EFI system partition")
    process.run(["mcopy", "-i", target, kernel_image, "::EFI/BOOT/BOOTX64.EFI"], reason="copy the unified kernel image")


def _build_unified_kernel(root: Path, *, scratch: Path) -> Path:
    stub = root / "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
    (scratch / "cmdline").write_text(command_line())
    sections = {
        ".osrel": root / "usr/lib/os-release",
        ".cmdline": scratch / "cmdline",
        ".initrd": root / "usr/lib/kinky/initrd",
        ".linux": root / "usr/lib/kinky/vmlinuz",
    }
    listed = process.run(["objdump", "-h", "-w", stub], reason="read the EFI stub's sections")
    ranges = re.findall(r"^\s*\d+ \S+\s+(\S+)\s+(\S+)", listed, re.MULTILINE)
    last = max(int(size, 16) + int(start, 16) for size, start in ranges)
    argv: list[str | Path] = ["objcopy"]
    address = -(-last // _PAGE) * _PAGE
    for name, path in sections.items():
        argv += ["--add-section", f"{name}={path}", "--change-section-vma", f"{name}={address:#x}"]
        address += -(-path.stat().st_size // _PAGE) * _PAGE
    target = scratch / "BOOTX64.EFI"
    process.run([*argv, stub, target], reason="make the unified kernel image", hint="apt-get install binutils")
    return target
