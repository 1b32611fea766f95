"""Pulumi's backend by Pulumi's rules, and files of it that are damaged.

The folders in FORMS are where pulumi 3.250.0 was seen to write its state for these URLs.
"""

from __future__ import annotations

import gzip
import json
import os
import pwd
import socket
from pathlib import Path
from typing import Any

import pytest

from kinky import paths
from kinky.cli.scan_sources import _state_backend
from kinky.config.backend import choose_backend, parse_backend
from kinky.errors import ConfigError
from kinky.stacks.environment import PROJECT, build_environment
from kinky.stacks.file import read_stack_file
from kinky.stacks.leftovers import remove_leftovers

HOME = pwd.getpwuid(os.getuid()).pw_dir
NOBODY = 2**22 + 1
"""No process: pids end before."""
FORMS = {
    "file:///x": "/x",
    "file:///x?no_tmp_dir=true": "/x",
    "file:///x?no_tmp_dir=false&metadata=skip": "/x",
    "file:///a%20b": "/a b",
    "file:///a b": "/a b",
    "file:///u%C3%A9": "/ué",
    "file:///100%25": "/100%",
    "file:///x/": "/x",
    "file:///x/../y": "/y",
    "file:///frag#ment": "/frag",
    "file://~": HOME,
    "file://~/state": f"{HOME}/state",
    "file://~/state?no_tmp_dir=true": f"{HOME}/state",
    "file://./rel": "BASE/rel",
    "file://rel/sub": "BASE/rel/sub",
    "file://": "BASE",
    "file:/twice/x": "/twice/x/twice/x",
    "FILE:///twice/x": "/twice/x/twice/x",
}
REMOTE = (
    *("s3://bucket/x?region=eu-1", "gs://bucket", "azblob://container?storage_account=a", "postgres://u@h/db"),
    *("https://api.example", "HTTP://api.example", "", "/no/scheme"),
)


@pytest.mark.parametrize("url", FORMS)
def test_fault_08_a_folder_is_found_as_pulumi_finds_it(url: str, tmp_path: Path) -> None:
    found = parse_backend(url, base=tmp_path)
    assert str(found.folder) == FORMS[url].replace("BASE", str(tmp_path))
    assert not found.is_service
    # What is handed on names the same folder from anywhere.
    assert parse_backend(found.url, base=Path("/elsewhere")).folder == found.folder
    assert found.url.partition("?")[2] == url.partition("?")[2]


@pytest.mark.parametrize("url", REMOTE)
def test_fault_08_a_backend_elsewhere_has_no_folder(url: str) -> None:
    found = parse_backend(url)
    assert (found.folder, found.url) == (None, url)
    assert found.is_service == url.lower().startswith("http")


@pytest.mark.parametrize("url", ["file:///100%", "file:///a%zz", "file:///%2"])
def test_fault_08_a_wrong_escape_is_told(url: str) -> None:
    with pytest.raises(ConfigError, match="a % without an escape"):
        build_environment(read_stack_file("dev"), environ={"PULUMI_BACKEND_URL": url})


def test_fault_08_our_own_folder_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "100% of #1? ü"))
    url = build_environment(read_stack_file("dev"), environ={})["PULUMI_BACKEND_URL"]
    assert parse_backend(url).folder == paths.pulumi_backend_dir()


def write_login(home: Path, content: str) -> Path:
    home.mkdir(exist_ok=True)
    (home / "credentials.json").write_text(content)
    return home


def test_fault_08_the_operator_s_choice_goes_by_pulumi_s_order(tmp_path: Path) -> None:
    own, project = tmp_path / "own", tmp_path / "project"
    project.mkdir()
    home = write_login(tmp_path / "home", '{"current": "file://~", "accounts": {}}')
    other = write_login(tmp_path / "other", '{"current": "s3://bucket"}')
    environ = {"PULUMI_HOME": str(home)}
    assert choose_backend({}, own=own, project=project).folder == own
    assert choose_backend(environ, own=own, project=project).folder == Path(HOME)
    environ["PULUMI_CREDENTIALS_PATH"] = str(other)
    assert choose_backend(environ, own=own, project=project).url == "s3://bucket"
    (project / "Pulumi.yaml").write_text("name: kinky\nbackend: {url: 'file://./state'}\n")
    assert choose_backend(environ, own=own, project=project).folder == project / "state"
    environ["PULUMI_BACKEND_URL"] = "file:///x?no_tmp_dir=true"
    assert choose_backend(environ, own=own, project=project).folder == Path("/x")


@pytest.mark.parametrize("content", ["", "{}", '{"current": ""}', '{"current": null}'])
def test_fault_08_a_home_without_a_login_leaves_our_own(content: str, tmp_path: Path) -> None:
    home = write_login(tmp_path / "home", content)
    assert choose_backend({"PULUMI_HOME": str(home)}, own=tmp_path, project=tmp_path).folder == tmp_path
    assert choose_backend({"PULUMI_HOME": str(tmp_path / "absent")}, own=tmp_path, project=tmp_path).folder == tmp_path


@pytest.mark.parametrize("content", ['{"current": "s3', "[]", "7", "\x00"])
def test_fault_08_a_damaged_login_is_told(content: str, tmp_path: Path) -> None:
    home = write_login(tmp_path / "home", content)
    with pytest.raises(ConfigError, match="Pulumi's credentials cannot be read"):
        choose_backend({"PULUMI_HOME": str(home)}, own=tmp_path, project=tmp_path)


@pytest.mark.parametrize("content", ["", "backend:\n", "backend: 7\n", "- a\n", "backend: {url: null}\n", "a: [\n"])
def test_fault_08_a_project_file_without_a_backend_leaves_our_own(content: str, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(content)
    assert choose_backend({}, own=tmp_path, project=tmp_path).folder == tmp_path


STATE = {"version": 3, "checkpoint": {"latest": {"secrets_providers": {"type": "b64"}}}}
LAYOUTS = {
    "projects": f"stacks/{PROJECT}/dev.json",
    "gzip": f"stacks/{PROJECT}/dev.json.gz",
    "no projects": "stacks/dev.json",
    "no projects, gzip": "stacks/dev.json.gz",
}


def write_state(folder: Path, layout: str, content: bytes | None = None) -> Path:
    file = folder / ".pulumi" / LAYOUTS[layout]
    file.parent.mkdir(parents=True, exist_ok=True)
    plain = json.dumps(STATE).encode() if content is None else content
    file.write_bytes(gzip.compress(plain) if "gzip" in layout else plain)
    return file


@pytest.mark.parametrize("query", ["", "?no_tmp_dir=true"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_fault_08_a_state_that_is_only_encoded_is_refused_in_each_layout(
    layout: str, query: str, tmp_path: Path
) -> None:
    write_state(tmp_path, layout)
    with pytest.raises(ConfigError, match=r"secretsprovider = .b64.*found in the stack's state"):
        build_environment(read_stack_file("dev"), environ={"PULUMI_BACKEND_URL": f"file://{tmp_path}{query}"})


def test_fault_08_only_the_state_that_pulumi_takes_counts(tmp_path: Path) -> None:
    environ = {"PULUMI_BACKEND_URL": f"file://{tmp_path}"}
    stale = write_state(tmp_path, "projects")
    os.utime(stale, (1, 1))
    write_state(tmp_path, "gzip", b'{"checkpoint": {"latest": {"secrets_providers": {"type": "passphrase"}}}}')
    stale.with_name("dev.json.bak").write_text(json.dumps(STATE))
    write_state(tmp_path, "no projects")
    (tmp_path / ".pulumi/meta.yaml").write_text("version: 1\n")
    assert build_environment(read_stack_file("dev"), environ=environ)["PULUMI_BACKEND_URL"] == f"file://{tmp_path}"


DAMAGE: dict[str, bytes] = {
    "empty": b"",
    "half": b'{"checkpoint": {"la',
    "no text": b"\xff\xfe\x00",
    "a list": b"[]",
    "wrong types": b'{"checkpoint": {"latest": {"secrets_providers": [1]}}}',
    "a number": b'{"checkpoint": 7}',
    "deep": b"[" * 100_000,
    "cut gzip": gzip.compress(json.dumps(STATE).encode())[:-9],
    "zstandard": b"\x28\xb5\x2f\xfd____",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("layout", ["projects", "no projects"])
def test_fault_08_a_damaged_state_is_told_and_left_to_pulumi(
    layout: str, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_state(tmp_path, layout, DAMAGE[damage])
    build_environment(read_stack_file("dev"), environ={"PULUMI_BACKEND_URL": f"file://{tmp_path}"})
    assert f"cannot read how the state of this stack is encrypted: {file}: " in capsys.readouterr().err


def test_fault_08_a_folder_in_the_place_of_a_state_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".pulumi" / LAYOUTS["projects"]).mkdir(parents=True)
    build_environment(read_stack_file("dev"), environ={"PULUMI_BACKEND_URL": f"file://{tmp_path}"})
    assert "Is a directory" in capsys.readouterr().err


def write_lock(folder: Path, content: str, *, name: str = "lock.json", projects: bool = True) -> Path:
    locks = folder / ".pulumi/locks" / (f"organization/{PROJECT}/dev" if projects else "dev")
    locks.mkdir(parents=True, exist_ok=True)
    (locks / name).write_text(content)
    return locks / name


def owned(pid: Any = NOBODY, hostname: Any = None) -> str:
    return json.dumps({"pid": pid, "hostname": socket.gethostname() if hostname is None else hostname})


@pytest.mark.parametrize("query", ["", "?no_tmp_dir=true"])
@pytest.mark.parametrize("projects", [True, False])
def test_fault_08_a_stale_lock_is_removed_in_each_layout(projects: bool, query: str, tmp_path: Path) -> None:
    lock = write_lock(tmp_path, owned(), projects=projects)
    torn = write_state(tmp_path, "projects" if projects else "no projects").with_name("dev.json.attrs")
    torn.touch()
    remove_leftovers(f"file://{tmp_path}{query}", project=PROJECT, stack="dev")
    assert not lock.exists() and not torn.exists()


@pytest.mark.parametrize(
    "content",
    [
        *("", '{"pid": 1', "[]", "7", "null", "{}"),
        *(owned(pid="7"), owned(pid=-1), owned(pid=0), owned(pid=True), owned(pid=1.5), owned(hostname=7)),
    ],
)
def test_fault_08_a_damaged_lock_is_told_and_stays(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = write_lock(tmp_path, content)
    stale = write_lock(tmp_path, owned(), name="stale.json")
    remove_leftovers(f"file://{tmp_path}", project=PROJECT, stack="dev")
    told = capsys.readouterr().err
    assert f"a lock of the stack cannot be read or removed: {lock}: " in told and "pulumi cancel" in told
    assert lock.exists() and not stale.exists()


def test_fault_08_a_folder_in_the_place_of_a_lock_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lock(tmp_path, owned(hostname="elsewhere"), name="a.json").with_name("b.json").mkdir()
    remove_leftovers(f"file://{tmp_path}", project=PROJECT, stack="dev")
    assert "b.json: Is a directory" in capsys.readouterr().err


def test_fault_08_a_file_that_another_pulumi_removes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lock(tmp_path, owned()).unlink()
    (tmp_path / f".pulumi/locks/organization/{PROJECT}/dev/gone.json").symlink_to("nowhere")
    remove_leftovers(f"file://{tmp_path}", project=PROJECT, stack="dev")


def test_fault_08_the_scanner_reads_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/a%20b?no_tmp_dir=true")
    assert _state_backend() == tmp_path / "a b"
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    assert _state_backend() == paths.pulumi_backend_dir()


def test_fault_08_a_service_needs_no_passphrase_however_it_is_written() -> None:
    values = build_environment(read_stack_file("dev"), environ={"PULUMI_BACKEND_URL": "HTTPS://api.example"})
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in values
