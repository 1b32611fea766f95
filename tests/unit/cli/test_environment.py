"""The settings for Pulumi and kubectl: what is set, what of the operator's stays, when a passphrase is needed."""

from __future__ import annotations

import json
import os
import shlex
import stat
from pathlib import Path

import pytest

from kinky import paths, process
from kinky.cli import main
from kinky.errors import ConfigError
from kinky.stacks import passphrase
from kinky.stacks.environment import build_environment, build_search_path
from kinky.stacks.file import list_stacks, read_stack_file
from kinky.toolchain import tools as toolchain
from kinky.toolchain.tools import ResolvedTool


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two programs are there, the others are not made yet."""
    rows = [
        ResolvedTool(name=name, version="v1", source="build", path=Path("/tools", name, "bin", name))
        for name in ("pulumi", "kubectl")
    ]
    monkeypatch.setattr(toolchain, "list_tools", lambda: rows)


def ensure(**changes: object) -> dict[str, str]:
    arguments: dict[str, object] = {
        "embedded": True,
        "secrets_provider": None,
        "backend": "file:///state",
        "environ": {},
    }
    return passphrase.ensure_passphrase("dev", **{**arguments, **changes})  # type: ignore[arg-type]


def test_shell_text_sets_what_the_json_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["env", "--stack", "dev", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert main.main(["env", "--stack", "dev"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"export {name}={shlex.quote(value)}" for name, value in values.items()]


def test_stack_dev_needs_no_setting_of_the_operator(capsys: pytest.CaptureFixture[str]) -> None:
    main.main(["env", "--stack", "dev", "--json"])
    values = json.loads(capsys.readouterr().out)
    assert values["PULUMI_STACK"] == "dev"
    assert values["PULUMI_BACKEND_URL"] == f"file://{paths.pulumi_backend_dir()}"
    assert values["KUBECONFIG"] == str(paths.stack_dir("dev") / "kubeconfig.yaml")
    assert values["PULUMI_ERROR_OUTPUT_STRING"] == "1"
    folders = values["PATH"].split(":")
    assert folders[1:3] == ["/tools/pulumi/bin", "/tools/kubectl/bin"]


def test_pulumi_keeps_no_log_of_each_command() -> None:
    """It makes a folder of this name for them, or goes on without."""
    logs = paths.pulumi_home() / "logs"
    logs.mkdir(parents=True)
    (logs / "pulumi-20260101T000000-1.log").write_text("each property")
    values = build_environment(read_stack_file("dev"), environ={})
    assert values["PULUMI_HOME"] == str(logs.parent)
    assert logs.is_file()
    assert build_environment(read_stack_file("dev"), environ={"PULUMI_HOME": "/own"})["PULUMI_HOME"] == "/own"


def test_pulumi_finds_plugins_in_its_home_and_path_says_which_they_are(tmp_path: Path) -> None:
    """Pulumi warns of a plugin that it finds on PATH itself."""
    values = build_environment(read_stack_file("dev"), environ={})
    assert values["PULUMI_IGNORE_AMBIENT_PLUGINS"] == values["PULUMI_ENABLE_LEGACY_PLUGIN_SEARCH"] == "true"
    plugin = paths.pulumi_home() / "plugins/resource-kubernetes-v1000.0.0/pulumi-resource-kubernetes"
    (tmp_path / plugin.name).write_text('#!/bin/sh\necho "the one on PATH: $1"\n')
    (tmp_path / plugin.name).chmod(0o755)
    printed = process.run([plugin, "an argument"], reason="test", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert printed == "the one on PATH: an argument\n"
    plugin.write_text("")
    again = build_environment(read_stack_file("dev"), environ={"PULUMI_HOME": values["PULUMI_HOME"]})
    assert again == values
    assert plugin.read_text()


def test_a_home_of_the_admins_gets_no_plugins_and_pulumi_looks_on_path(tmp_path: Path) -> None:
    values = build_environment(read_stack_file("dev"), environ={"PULUMI_HOME": str(tmp_path)})
    assert values["PULUMI_HOME"] == str(tmp_path)
    assert not any("PLUGIN" in name and "AUTOMATIC" not in name for name in values)
    assert list(tmp_path.iterdir()) == []


def test_missing_tools_are_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    main.main(["env", "--stack", "dev"])
    assert "not made yet: pulumi-language-python" in capsys.readouterr().err


def test_program_does_not_see_the_inner_kubeconfig() -> None:
    assert "KUBECONFIG" not in build_environment(read_stack_file("dev"), environ={})


def test_backend_of_the_operator_stays() -> None:
    values = build_environment(read_stack_file("dev"), environ={"PULUMI_BACKEND_URL": "file:///mine"})
    assert values["PULUMI_BACKEND_URL"] == "file:///mine"


def test_search_path_names_each_folder_once() -> None:
    first = build_search_path([Path("/tools/bin/a"), Path("/tools/bin/b")], environ={"PATH": "/usr/bin:/bin"})
    assert build_search_path([Path("/tools/bin/a")], environ={"PATH": first}) == first
    assert first.endswith("/tools/bin:/usr/bin:/bin")


def test_passphrase_is_made_once_and_private() -> None:
    variables = ensure()
    path = Path(variables[passphrase.FILE])
    first = path.read_text()
    assert path == paths.passphrase_file()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first.strip()) >= 32
    assert ensure() == variables
    assert path.read_text() == first


def test_passphrase_of_another_stack_is_the_operators() -> None:
    with pytest.raises(ConfigError) as error:
        ensure(embedded=False)
    assert str(error.value) == (
        'stack "dev": no passphrase: PULUMI_CONFIG_PASSPHRASE_FILE is not set\n'
        "hint: write the passphrase into a file of mode 0600 and export PULUMI_CONFIG_PASSPHRASE_FILE=<that file>"
    )
    assert not paths.passphrase_file().exists()


def test_passphrase_of_the_embedded_host_does_not_serve_other_stacks() -> None:
    told = refuse(ensure(), embedded=False)
    assert told == (
        'stack "dev": PULUMI_CONFIG_PASSPHRASE_FILE names the file of the embedded host\'s stacks: '
        f"{paths.passphrase_file()}\n"
        "hint: write the passphrase into a file of mode 0600 and export PULUMI_CONFIG_PASSPHRASE_FILE=<that file>"
    )


def given(tmp_path: Path, content: str, *, mode: int = 0o600) -> dict[str, str]:
    path = tmp_path / "passphrase"
    path.write_text(content)
    path.chmod(mode)
    return {passphrase.FILE: str(path)}


def refuse(environ: dict[str, str], *, embedded: bool) -> str:
    with pytest.raises(ConfigError) as error:
        ensure(embedded=embedded, environ=environ)
    return str(error.value)


HINT = "hint: write the passphrase into a file of mode 0600 and export PULUMI_CONFIG_PASSPHRASE_FILE=<that file>"


def test_passphrase_file_of_the_operator_is_used(tmp_path: Path) -> None:
    assert ensure(embedded=False, environ=given(tmp_path, "a long one\n")) == {}


@pytest.mark.parametrize("embedded", [True, False])
def test_passphrase_file_that_is_missing_is_named(tmp_path: Path, embedded: bool) -> None:
    missing = str(tmp_path / "none")
    assert refuse({passphrase.FILE: missing}, embedded=embedded) == (
        f'stack "dev": PULUMI_CONFIG_PASSPHRASE_FILE names a file that does not exist: {missing}\n{HINT}'
    )


@pytest.mark.parametrize("content", ["", "\n", "  \n"])
def test_passphrase_file_that_is_empty_is_refused(tmp_path: Path, content: str) -> None:
    """Pulumi takes it, and encrypts with nothing."""
    environ = given(tmp_path, content)
    assert refuse(environ, embedded=False) == (
        f'stack "dev": PULUMI_CONFIG_PASSPHRASE_FILE names an empty file: {environ[passphrase.FILE]}\n{HINT}'
    )


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_passphrase_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    environ = given(tmp_path, "a long one", mode=mode)
    path = environ[passphrase.FILE]
    assert refuse(environ, embedded=False) == (
        f'stack "dev": PULUMI_CONFIG_PASSPHRASE_FILE names a file that others may use, mode {mode:04o}: {path}\n'
        f"hint: chmod 600 {path}; if others had access to the machine, make the stack again with another passphrase"
    )


@pytest.mark.parametrize("value", ["", " "])
def test_passphrase_in_the_environment_that_is_empty_is_refused(value: str) -> None:
    assert refuse({passphrase.VALUE: value}, embedded=True) == (
        f'stack "dev": PULUMI_CONFIG_PASSPHRASE is empty, which protects nothing\n{HINT}'
    )


def test_own_passphrase_file_is_checked_too() -> None:
    path = Path(ensure()[passphrase.FILE])
    path.chmod(0o644)
    assert "others may use" in refuse({}, embedded=True)
    path.chmod(0o600)
    path.write_text("")
    assert "names an empty file" in refuse({}, embedded=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"environ": {passphrase.VALUE: "given"}},
        {"secrets_provider": "gcpkms://key"},
        {"backend": "https://state.example"},
    ],
)
def test_no_passphrase_is_needed(changes: dict[str, object]) -> None:
    assert ensure(embedded=False, **changes) == {}


def test_salt_goes_and_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text("# reference\nencryptionsalt: v1:abc=:v1:def\nconfig:\n  kinky:cluster: {name: dev} # a\n")
    passphrase.forget_salt(path)
    assert path.read_text() == "# reference\nconfig:\n  kinky:cluster: {name: dev} # a\n"


def test_every_stack_file_is_readable() -> None:
    found = {name: read_stack_file(name) for name in list_stacks()}
    assert {"dev", "ci", "prod"} <= set(found)
    assert found["dev"].embedded and not found["prod"].embedded


def test_stack_may_be_qualified() -> None:
    assert read_stack_file("organization/kinky/dev") == read_stack_file("dev")


def test_stack_without_a_file_lists_those_with_one() -> None:
    with pytest.raises(ConfigError) as error:
        read_stack_file("lab")
    assert str(error.value).startswith('stack "lab": no file stacks/Pulumi.lab.yaml\n  stacks with a file: ')
