"""Debian packages as trees: the base of the node image, and programs newer than this machine's."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kinky import apt, paths, process
from kinky.errors import KinkyError
from kinky.file_lock import file_lock

SUITE = "trixie"
_KEYRINGS = Path("/usr/share/keyrings")
_EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
_HINT = "the mirror is the one that this machine's apt uses; try: apt-get update"


def parse_package_list(text: str) -> tuple[str, ...]:
    """Return the names of a package list: one a line, the reason after a #."""
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def ensure_base(packages: Sequence[str]) -> Path:
    """Return a folder with root.tar (these packages and what they need, installed) and versions.txt.

    The tree is kept in the cache, so the same list gives the same versions until the cache is deleted.
    """
    return _ensure("base", packages, variant="minbase", name="root.tar")


def ensure_programs(packages: Sequence[str]) -> Path:
    """Return a folder with the packages unpacked but not configured, for programs run by the tree's own loader."""
    return _ensure("programs", packages, variant="extract", name="root") / "root"


def _ensure(kind: str, packages: Sequence[str], *, variant: str, name: str) -> Path:
    key = hashlib.sha256("\n".join([SUITE, variant, *sorted(packages), *_EXCLUDED]).encode()).hexdigest()[:16]
    wanted = paths.cache_dir() / "debian" / f"{kind}-{key}"
    with file_lock(wanted.with_suffix(".lock")):
        if not wanted.exists():
            with rename_when_done(wanted) as folder:
                _run_mmdebstrap(packages, variant=variant, target=folder / name, log=wanted.with_suffix(".log"))
                versions = _versions(folder / name)
                (folder / "versions.txt").write_text(versions)
    return wanted


def _run_mmdebstrap(packages: Sequence[str], *, variant: str, target: Path, log: Path) -> None:
    keyring = _KEYRINGS / f"debian-archive-{SUITE}-stable.gpg"
    if not keyring.exists():
        raise KinkyError(
            f"no keyring to verify Debian {SUITE}: {keyring} is absent", hint="apt-get install debian-archive-keyring"
        )
    process.run(
        [
            "mmdebstrap",
            "--mode=root",
            f"--variant={variant}",
            f"--keyring={_KEYRINGS / 'debian-archive-keyring.gpg'}",
            f"--keyring={keyring}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED),
            f"--include={','.join(packages)}",
            SUITE,
            target,
            apt.fetch_mirror(),
        ],
        reason=f"unpack Debian {SUITE} packages",
        hint=_HINT,
        # Two minutes on two busy cores with a near mirror; the download is what varies.
        timeout_seconds=1800,
        log=log,
    )


def _versions(tree: Path) -> str:
    """Return `package version` lines from the tree's package database (a folder, or a tar of one)."""
    if tree.is_dir():
        status = (tree / "var/lib/dpkg/status").read_text()
    else:
        status = process.run(["tar", "-xOf", tree, "./var/lib/dpkg/status"], reason="read package versions")
    found = re.findall(r"^Package: (\S+)$.*?^Version: (\S+)$", status, re.MULTILINE | re.DOTALL)
    return "".join(f"{package} {version}\n" for package, version in sorted(found))


@contextmanager
def rename_when_done(wanted: Path) -> Iterator[Path]:
    """Yield a fresh folder that takes the wanted name only when the block ends well: a killed run leaves no half."""
    folder = wanted.with_name(f"{wanted.name}.partial")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    yield folder
    folder.replace(wanted)
