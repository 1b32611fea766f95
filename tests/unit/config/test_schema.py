"""The schema says what the model says, and the stack files keep to it."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from kinky import paths
from kinky.config import schema
from kinky.config.load import load_config, select_own
from kinky.config.model import KinkyConfig

ROOT = paths.project_root()
STACKS = sorted((ROOT / "stacks").glob("Pulumi.*.yaml"))
FILES = ROOT / "tests" / "config"


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.build_schema())


@pytest.mark.parametrize("path", [*STACKS, *sorted(FILES.glob("valid-*.yaml"))], ids=lambda path: path.stem)
def test_the_schema_accepts_what_we_accept(path: Path) -> None:
    jsonschema.validate(read(path), schema.build_schema(), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "name",
    [
        "unknown-key",
        "unknown-section",
        "workers-text",
        "two-control-planes",
        "bad-port",
        "bad-memory",
        "name-missing",
        "name-not-a-label",
        "store-unknown",
        "store-vault-server",
        "unknown-kubernetes-version",
        "negative-replicas",
        "wrong-types",
        "bad-label",
    ],
)
def test_an_editor_sees_what_single_values_tell(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read(FILES / f"invalid-{name}.yaml"), schema.build_schema())


def test_every_key_is_documented() -> None:
    def sections(found: Any) -> list[dict[str, Any]]:
        return [part for part in found["$defs"].values() if part.get("type") == "object"]

    undocumented = [
        f"{section['title']}.{key}"
        for section in sections(schema.build_schema())
        for key, field in section["properties"].items()
        if not field.get("description", "").endswith(".")
    ]
    assert not undocumented
    assert all(section["description"].endswith(".") for section in sections(schema.build_schema()))


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.stem)
def test_a_stack_file_is_valid_and_holds_only_config(path: Path) -> None:
    document = read(path)
    # Pulumi adds the salt of a stack's passphrase when the stack is first used in a checkout.
    assert set(document) - {"encryptionsalt"} == {"config"}
    load_config(select_own(document["config"]), source=path.name)
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")


def stack(name: str) -> KinkyConfig:
    return load_config(select_own(read(ROOT / "stacks" / f"Pulumi.{name}.yaml")["config"]), source=name)


def test_dev_states_every_key_with_its_default_but_for_the_embedded_host_and_the_console() -> None:
    written = select_own(read(ROOT / "stacks" / "Pulumi.dev.yaml")["config"])
    stated = stack("dev").model_dump(by_alias=True, mode="json")
    assert written == stated, "the commented reference leaves a key out"
    defaults = KinkyConfig.model_validate({"cluster": {"name": "dev"}}).model_dump(by_alias=True, mode="json")
    defaults["host"]["embedded"] = True
    # An emulated guest that hangs is only seen by its silent console, also when it was replaced later.
    defaults["virtualMachine"]["serialConsoleLog"] = "always"
    assert stated == defaults


def test_prod_has_nine_nodes_on_a_host_of_its_own() -> None:
    cfg = stack("prod")
    assert cfg.control_plane.replicas == 3
    assert [pool.replicas for pool in cfg.workers] == [3, 3]
    assert not cfg.host.embedded
    assert not cfg.host.create_namespace
    assert cfg.host.kubeconfig


def test_ci_is_the_smallest() -> None:
    ci, dev = stack("ci"), stack("dev")
    assert (ci.control_plane.replicas, [pool.replicas for pool in ci.workers]) == (1, [1])
    assert ci.control_plane.memory_mib < dev.control_plane.memory_mib
    assert ci.host.embedded


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.stem)
def test_a_stack_file_is_written_as_pulumi_writes_it(path: Path) -> None:
    # Pulumi rewrites the file when it adds a stack's salt; then it drops empty lines, and a user sees a changed file.
    assert "\n\n" not in path.read_text()
