"""What Pulumi may encrypt with: what only encodes is refused, in a stack's file and in its state."""

import json
from pathlib import Path

import pytest

from kinky.cli import main
from kinky.config.secrets_provider import check_secrets_provider
from kinky.errors import ConfigError
from kinky.stacks import file
from kinky.stacks.environment import PROJECT, build_environment
from kinky.stacks.file import read_stack_file

ENCODES = "only encodes, which anybody can undo; use passphrase or one of the key services that Pulumi knows"


@pytest.mark.parametrize("provider", [None, "default", "passphrase", "awskms://alias/a?region=b", "hashivault://key"])
def test_what_encrypts_is_taken(provider: str | None) -> None:
    assert check_secrets_provider(provider) == []


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("b64", ENCODES),
        ("base64key://", "must be one of: default, passphrase, awskms, azurekeyvault, gcpkms, hashivault"),
        (7, "must be one of: default, passphrase, awskms, azurekeyvault, gcpkms, hashivault"),
    ],
)
def test_what_only_encodes_is_not(provider: object, message: str) -> None:
    (problem,) = check_secrets_provider(provider)
    assert str(problem) == f"secretsprovider = {json.dumps(provider)}: {message}"


def test_every_command_refuses_a_stack_file_that_only_encodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "Pulumi.lab.yaml"
    monkeypatch.setattr(file, "stack_path", lambda _stack: path)
    monkeypatch.setattr(file.paths, "project_root", lambda: tmp_path)
    path.write_text("secretsprovider: b64\nconfig:\n  kinky:cluster: {name: lab}\n  kinky:host: {embedded: true}\n")
    for command in (["up"], ["preview"], ["destroy"], ["outputs"], ["secrets", "list"], ["rotate", "status"]):
        assert main.main([*command, "--stack", "lab"]) != 0
        told = capsys.readouterr().err
        assert f'Pulumi.lab.yaml: 1 problem\n  secretsprovider = "b64": {ENCODES}\n' in told
    path.write_text(path.read_text().replace("b64", "passphrase"))
    assert read_stack_file("lab").secrets_provider == "passphrase"


def write_state(folder: Path, provider: object) -> dict[str, str]:
    state = folder / ".pulumi" / "stacks" / PROJECT / "dev.json"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"secrets_providers": provider}}}))
    return {"PULUMI_BACKEND_URL": f"file://{folder}"}


def test_a_state_that_is_only_encoded_is_refused_before_anything_runs(tmp_path: Path) -> None:
    environ = write_state(tmp_path, {"type": "b64"})
    with pytest.raises(ConfigError) as error:
        build_environment(read_stack_file("dev"), environ=environ)
    assert f'secretsprovider = "b64": {ENCODES} (found in the stack\'s state)' in str(error.value)


@pytest.mark.parametrize("provider", [{"type": "passphrase", "state": {}}, None])
def test_a_state_that_is_encrypted_or_empty_is_not(tmp_path: Path, provider: object) -> None:
    environ = write_state(tmp_path, provider)
    assert build_environment(read_stack_file("dev"), environ=environ)["PULUMI_BACKEND_URL"] == f"file://{tmp_path}"
