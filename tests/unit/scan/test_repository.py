"""Git: what it holds, what it held, and what it is about to hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinky.cli import main
from kinky.errors import CommandError
from kinky.scan.repository import find_objects, find_staged, find_work_tree
from tests.unit.scan.plants import PEM, RAW, git, make_repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_repository(tmp_path / "root", {"kept": b"kept", "gone": RAW, ".gitignore": b"ignored\n"})
    return tmp_path / "root"


def contents(artefacts: object) -> dict[str, bytes]:
    assert hasattr(artefacts, "__iter__")
    return {artefact.name: b"".join(artefact.read()) for artefact in artefacts}


def test_work_tree_is_what_git_would_take(root: Path) -> None:
    for name in ("ignored", "new", "with space\nand line"):
        (root / name).write_bytes(name.encode())
    (root / "gone").unlink()
    (root / "link").symlink_to("/etc")
    assert set(contents(find_work_tree(root))) == {".gitignore", "kept", "new", "with space\nand line"}


def test_objects_keep_what_was_deleted_and_what_was_never_committed(root: Path) -> None:
    git(root, "rm", "-q", "gone")
    git(root, "commit", "-qm", "remove")
    (root / "staged once").write_bytes(b"line\n\0end")
    git(root, "add", ".")
    git(root, "rm", "-q", "--cached", "staged once")
    found = contents(find_objects(root))
    assert RAW in found.values()
    assert b"line\n\0end" in found.values()
    assert {name.split()[0] for name in found} == {"blob", "tree", "commit"}


def test_staged_is_the_index_and_not_the_file(root: Path) -> None:
    (root / "kept").write_bytes(b"staged")
    (root / "new\nfile").write_bytes(b"also staged")
    git(root, "mv", "gone", "moved")
    git(root, "add", "kept", "new\nfile")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},submodule")
    (root / "kept").write_bytes(b"later")
    assert contents(find_staged(root)) == {"kept": b"staged", "new\nfile": b"also staged", "moved": RAW}


def test_nothing_is_staged(root: Path) -> None:
    assert contents(find_staged(root)) == {}


def test_the_first_commit_can_be_scanned(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "first").write_bytes(b"first")
    git(tmp_path, "add", ".")
    assert contents(find_staged(tmp_path)) == {"first": b"first"}


def test_no_repository_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(CommandError, match=r"(?s)git.*look for secrets in git.*not a git repository"):
        list(find_work_tree(tmp_path))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"plain", 0),
        (b"key: |\n" + b"".join(b"  " + line + b"\n" for line in PEM.splitlines()), 2),
        (b"assert '-----BEGIN PRIVATE KEY-----' not in text", 0),
    ],
    ids=["plain", "private key", "only its name"],
)
def test_the_hook_stops_a_private_key(
    content: bytes, code: int, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "new.yaml").write_bytes(content)
    git(root, "add", "new.yaml")
    monkeypatch.chdir(root)
    assert main.main(["scan", "--staged"]) == code
    out = capsys.readouterr().out
    assert ("unexpected: private key in PEM, of unknown origin" in out) is bool(code)
    assert PEM.decode().splitlines()[1] not in out


def test_the_hook_stops_the_passphrase_of_this_machine(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kinky import paths

    paths.passphrase_file().write_bytes(b"the passphrase of the stacks\n")
    (root / "notes").write_bytes(b"do not forget: the passphrase of the stacks")
    git(root, "add", "notes")
    monkeypatch.chdir(root)
    assert main.main(["scan", "--staged"]) == 2
    out = capsys.readouterr().out
    assert "in staged file notes" in out
    assert "do not forget" not in out and "of the stacks" not in out
    git(root, "rm", "-q", "--cached", "notes")
    assert main.main(["scan", "--staged"]) == 0
