"""The images of the suite, made here: each stands for the upstream image of its name and version.

The suite names them; a list of ours would be a second place for versions. What upstream builds on Alpine is on Debian
here, with the same programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kinky import names, process
from kinky.artefacts import images
from kinky.artefacts import layers as rootfs
from kinky.artefacts.images import Entry, Image
from kinky.toolchain import tools
from tests.conformance.programs import Programs

RECIPE: Final = 1
"""Raise it when the images must be made again although no program changed."""
PREFIX: Final = f"{names.IMAGE_PREFIX}/e2e/"
REGISTRIES: Final = {
    "promoterE2eRegistry": f"{names.IMAGE_PREFIX}/e2e",
    "gcEtcdRegistry": f"{names.IMAGE_PREFIX}/e2e",
    # Only the image of the pause program, which each node has.
    "gcRegistry": names.IMAGE_PREFIX,
}
"""Where the suite looks for its images, by its own words for registries; none of these is on any network."""
PACKAGES: Final = (
    "bash-static",
    "bind9-dnsutils",
    "busybox-static",
    "curl",
    "iperf",
    "iproute2",
    "netcat-openbsd",
    "nginx-light",
)
BASH: Final = "usr/bin/bash-static"
BUSYBOX: Final = "usr/bin/busybox"


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """One image: its layers by name, how it is started, and how it differs from upstream's."""

    layers: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    differs: str


STAND_INS: Final = {
    "agnhost": StandIn(
        layers=("debian", "agnhost"),
        entrypoint=("/agnhost",),
        command=("pause",),
        differs="on Debian; no CoreDNS, no image registry inside",
    ),
    "busybox": StandIn(layers=("busybox",), command=("sh",), differs="Debian's build; its sh is bash"),
    "etcd": StandIn(layers=("etcd",), command=("etcd",), differs="etcd alone"),
    "glibc-dns-testing": StandIn(layers=("debian",), command=("bash",), differs="no CoreDNS inside"),
    "ipc-utils": StandIn(layers=("debian",), command=("bash",), differs="on Debian"),
    "kitten": StandIn(
        layers=("debian", "agnhost", "kitten"),
        entrypoint=("/agnhost",),
        command=("test-webserver",),
        differs="on Debian",
    ),
    "nautilus": StandIn(
        layers=("debian", "agnhost", "nautilus"),
        entrypoint=("/agnhost",),
        command=("test-webserver",),
        differs="on Debian",
    ),
    "nginx": StandIn(
        layers=("debian",), command=("nginx", "-g", "daemon off;"), differs="Debian's release under each version"
    ),
    "nonewprivs": StandIn(layers=("busybox", "nonewprivs"), command=("nnp",), differs="on busybox"),
    "nonroot": StandIn(layers=("busybox",), command=("sh",), user="1234", differs="on busybox"),
    "regression-issue-74839": StandIn(
        layers=("regression",), entrypoint=("/regression-issue-74839",), differs="the program alone"
    ),
    "sample-apiserver": StandIn(
        layers=("sample-apiserver",), entrypoint=("/sample-apiserver",), differs="the sample of this release"
    ),
}


def ensure_archive(programs: Programs, references: tuple[str, ...]) -> Path:
    """Return an archive with those of the references that have a stand-in, made first if need be.

    Raises:
        CommandError: mmdebstrap failed.
    """
    base = rootfs.ensure_layer("conformance", PACKAGES)
    wanted = tuple(each for each in references if _name(each) in STAND_INS)
    stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(programs.folder.iterdir())]
    key = rootfs.key_of(RECIPE, wanted, STAND_INS, stamps, base.relative_to(rootfs.images_dir()))

    def write(work: Path) -> None:
        layers = {"debian": base, **_write_layers(work, programs, base)}
        images.write_archive(work / rootfs.ARCHIVE, [_build_image(each, layers) for each in wanted])

    # Not the name of the layer: its archives go when there is a newer one.
    return rootfs.ensure_archive("conformance-images", key, title="the conformance suite", write=write)


def _name(reference: str) -> str:
    """Return the name of an image of the suite's own registry; empty for any other."""
    return reference.removeprefix(PREFIX).partition(":")[0] if reference.startswith(PREFIX) else ""


def _build_image(reference: str, layers: Mapping[str, Path]) -> Image:
    made = STAND_INS[_name(reference)]
    return Image(
        reference,
        tuple(layers[name] for name in made.layers),
        entrypoint=made.entrypoint,
        command=made.command,
        user=made.user,
    )


def _write_layers(work: Path, programs: Programs, base: Path) -> dict[str, Path]:
    sources, folder = programs.sources, programs.folder
    entries = {
        "agnhost": [
            Entry("agnhost", folder / "agnhost"),
            Entry("agnhost-2", link="agnhost"),
            Entry("uploads"),
            *(
                Entry(name, sources / "agnhost/porter" / name, mode=0o644)
                for name in ("localhost.crt", "localhost.key")
            ),
            *_accounts(base),
        ],
        "busybox": _busybox(work, base),
        "etcd": [Entry("usr/local/bin/etcd", tools.tool_path("etcd"))],
        "nonewprivs": [Entry("usr/local/bin/nnp", folder / "nnp", mode=0o6755)],
        "regression": [Entry("regression-issue-74839", folder / "regression-issue-74839")],
        "sample-apiserver": [Entry("sample-apiserver", folder / "sample-apiserver")],
    }
    for pet in ("kitten", "nautilus"):
        html = sources / pet / "html"
        entries[pet] = [Entry(page.name, page, mode=0o644) for page in sorted(html.iterdir())]
    for name, found in entries.items():
        images.write_tar(work / f"{name}.tar", found)
    return {name: work / f"{name}.tar" for name in entries}


def _accounts(base: Path) -> list[Entry]:
    """Return the user and the group that a test about groups in an image expects."""
    return images.add_accounts(
        base,
        passwd="user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n",
        group="user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n",
    )


def _busybox(work: Path, base: Path) -> list[Entry]:
    """Return a root of busybox alone, whose shell keeps variables that have a hyphen in their name."""
    for name in (BUSYBOX, BASH):
        (work / Path(name).name).write_bytes(images.read_file(base, name))
    program = work / Path(BUSYBOX).name
    program.chmod(0o755)
    applets = process.run([program, "--list"], reason="list the commands of busybox").split()
    return [
        *(Entry(folder) for folder in ("bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "usr/bin", "var")),
        Entry("tmp", mode=0o1777),
        Entry("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", mode=0o644),
        Entry("etc/group", b"root:x:0:\nnobody:x:65534:\n", mode=0o644),
        Entry("bin/busybox", program),
        Entry("bin/sh", work / Path(BASH).name),
        *(Entry(f"bin/{name}", link="busybox") for name in applets if name not in ("busybox", "sh")),
    ]
