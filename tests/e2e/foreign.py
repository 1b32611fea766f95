"""Objects, states and identities of others, which stay as they are; and changes of a cluster that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from kinky import names
from kinky.errors import CommandError
from kinky.kube.ownership import CLUSTER_ID_KEY
from tests.e2e.person import KINDS, Person

CHANGES: tuple[dict[str, dict[str, Any]], ...] = (
    {"controlPlane": {"replicas": 3}, "network": {"podCidrs": ["10.242.0.0/16"], "serviceCidrs": ["10.94.0.0/16"]}},
    {"cluster": {"ephemeral": True}},
)
"""Changes that need a new cluster, as far as one stack file may hold them together."""


def check_change_is_refused(person: Person) -> None:
    """Ask for what needs a new cluster: each key is told, and nothing is touched."""
    file = person.stack.path
    before, objects = file.read_text(), person.host("get", KINDS, "--output", "name")
    for change in CHANGES:
        document = yaml.safe_load(before)
        for section, keys in change.items():
            document["config"].setdefault(f"kinky:{section}", {}).update(keys)
        try:
            file.write_text(yaml.safe_dump(document, sort_keys=False))
            told = refuse(person, "up", "--stack", person.stack.stack)
        finally:
            file.write_text(before)
        for section, keys in change.items():
            for key, value in keys.items():
                assert f"{section}.{key} = {json.dumps(value)}: the cluster was made with " in told
    assert person.host("get", KINDS, "--output", "name") == objects


def check_objects_of_another_cluster(person: Person, folder: Path) -> None:
    """Try to write and to remove a value whose Secret belongs to a cluster of another name."""
    secret = names.store_secret(person.stack.cluster, "taken")
    person.host("create", "secret", "generic", secret, "--from-literal=value=theirs")
    try:
        person.host("label", "secret", secret, f"{names.LABEL_CLUSTER}=another")
        before = person.host("get", "secret", secret, "--output", "jsonpath={.data}")
        file = folder / "value"
        file.write_text("ours")
        for command in (("set", "taken", "--file", str(file)), ("rm", "taken")):
            told = refuse(person, "secrets", *command, "--stack", person.stack.stack)
            assert f"does not belong to inner cluster {person.stack.cluster}" in told
        assert person.host("get", "secret", secret, "--output", "jsonpath={.data}") == before
    finally:
        person.host("delete", "secret", secret)


def check_another_state(person: Person, folder: Path) -> None:
    """Preview the stack with an empty backend, as from a machine that lost the state."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULUMI_BACKEND_URL", f"file://{folder}")
        told = refuse(person, "preview", "--stack", person.stack.stack)
    assert f"already holds a cluster {person.stack.cluster} of another stack" in told
    assert "kinky up --take-over" in told


def check_another_identity(person: Person) -> None:
    """Destroy the stack, by kinky and by plain pulumi, while the host shows another cluster of its name."""
    with another_identity(person):
        before = person.host("get", KINDS, "--output", "name")
        refused = "holds another inner cluster"
        assert refused in refuse(person, "destroy", "--stack", person.stack.stack)
        log = person.scratch / "foreign.log"
        with pytest.raises(CommandError):
            person.pulumi("destroy", "--yes", "--skip-preview", log=log)
        assert refused in log.read_text()
        assert refused in refuse(person, "secrets", "list", "--stack", person.stack.stack)
        assert person.host("get", KINDS, "--output", "name") == before


@contextmanager
def another_identity(person: Person) -> Iterator[None]:
    """Have the cluster's record name another cluster while the block runs."""
    record = names.cluster_record(person.stack.cluster)
    own = person.host("get", "configmap", record, "--output", f"jsonpath={{.data.{CLUSTER_ID_KEY}}}")

    def write(identity: str) -> None:
        patch = json.dumps({"data": {CLUSTER_ID_KEY: identity}})
        person.host("patch", "configmap", record, "--type", "merge", "--patch", patch)

    write("another")
    try:
        yield
    finally:
        write(own)


def refuse(person: Person, *arguments: str) -> str:
    """Run kinky, which has to fail, and return what it printed."""
    log = person.scratch / "kinky.log"
    start = log.stat().st_size if log.exists() else 0
    with pytest.raises(CommandError):
        person.kinky(*arguments, limit_seconds=300)
    return log.read_bytes()[start:].decode(errors="replace")
