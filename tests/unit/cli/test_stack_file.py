"""Which files of stacks/ are stacks, and what is said of those that are none."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kinky.errors import ConfigError
from kinky.stacks import file


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder of stack files."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    monkeypatch.setattr("kinky.paths.project_root", lambda: tmp_path)
    return folder


def test_a_stack_has_the_whole_name_of_its_file(stacks: Path) -> None:
    for name in ("Pulumi.dev.yaml", "Pulumi.eu.west.yaml", "schema.json"):
        (stacks / name).touch()
    assert file.list_stacks() == ["dev", "eu.west"]
    assert all(file.stack_path(name).is_file() for name in file.list_stacks())


def test_the_only_stack_needs_no_name(stacks: Path) -> None:
    (stacks / "Pulumi.shop.yaml").write_text("config: {kinky:cluster: {name: shop}, kinky:host: {embedded: true}}\n")
    assert file.read_stack_file(None).stack == "shop"


def test_one_of_several_stacks_is_never_guessed(stacks: Path) -> None:
    for name in ("dev", "prod"):
        (stacks / f"Pulumi.{name}.yaml").write_text("config: {}\n")
    with pytest.raises(ConfigError) as caught:
        file.read_stack_file(None)
    assert str(caught.value) == (
        "no stack was given, and 2 have a file: dev, prod\n"
        'hint: choose one: --stack dev, or for this shell: eval "$(kinky env --stack dev)"'
    )


def test_a_project_without_a_stack_is_told_as_that(stacks: Path) -> None:
    with pytest.raises(ConfigError, match=r"no stack has a file in .*/stacks\n"):
        file.read_stack_file(None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"config: [kinky:cluster]\n", 'Pulumi.bad.yaml: 1 problem\n  config = ["kinky:cluster"]: must be a mapping'),
        (b"config: dev\n", 'Pulumi.bad.yaml: 1 problem\n  config = "dev": must be a mapping'),
        (b"config:\n  5: x\n", "\n  cluster: is missing\n"),
        (b"config: {kinky:cluster: {5: x}}\n", '\n  cluster["5"]: unknown key'),
        (b"# caf\xe9\nconfig: {}\n", "Pulumi.bad.yaml: not YAML\n  byte 6 is not UTF-8"),
        (b"config: {since: 2026-13-01}\n", "\n  line 1, column 17: 2026-13-01 is a date"),
        (b"[config]\n", "Pulumi.bad.yaml: must be a mapping with the key config"),
    ],
)
def test_a_file_that_is_no_configuration_is_told_as_that(stacks: Path, content: bytes, message: str) -> None:
    (stacks / "Pulumi.bad.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        file.read_stack_file("bad")
    assert str(caught.value).startswith("stacks/Pulumi.bad.yaml: ")
    assert message in str(caught.value)


def test_a_file_that_may_not_be_read_is_told_as_that(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (stacks / "Pulumi.bad.yaml").touch()

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ConfigError, match=r"^stacks/Pulumi.bad.yaml: cannot be read: Permission denied$"):
        file.read_stack_file("bad")


@pytest.mark.parametrize(
    "host", ["", "  kinky:host: {embedded: true, accelerator: kvm}\n", "  host: {embedded: true}\n"]
)
def test_an_accelerator_can_stand_in_for_the_files(stacks: Path, host: str) -> None:
    image = "" if host else "  kinky:image: {reference: example.test/node:1}\n"
    text = f"config:\n  kinky:cluster: {{name: dev, ephemeral: true}}\n{host}{image}"
    (stacks / "Pulumi.dev.yaml").write_text(text)
    found = file.read_stack_file("dev", given={"host.accelerator": "emulation"}).config.host
    assert (found.accelerator, found.embedded) == ("emulation", bool(host))
    assert (stacks / "Pulumi.dev.yaml").read_text() == text
