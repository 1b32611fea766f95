"""A planted secret for each kind of artefact that `kinky scan` searches, after the last scan that must find none.

A container guest has no disk with its credentials; `vm/test_main_path.py` plants on the disks of virtual machines.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kinky import process
from kinky.errors import CommandError
from kinky.scan.kind import Kind
from tests.e2e import leaks, plants
from tests.e2e.person import KINKY, ROOT, SCAN_SECONDS, VERBOSE, Person

pytestmark = pytest.mark.host


def test_s2_a_planted_secret_is_found_in_each_kind_of_artefact(finished: Person, tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.mkdir()
    finished.pulumi("up", "--yes", "--skip-preview", *VERBOSE, log=named / "up.log")
    value = plants.make_value()
    (tmp_path / "value").write_text(value)
    finished.kinky("secrets", "set", plants.NAME, "--file", str(tmp_path / "value"), "--stack", finished.stack.stack)
    with ExitStack() as planted:
        for file in plants.list_files(finished, named):
            planted.enter_context(plants.plant_file(file, value))
        planted.enter_context(plants.plant_output(finished, value))
        planted.enter_context(plants.plant_process(value))
        process.run(["git", "hash-object", "-w", "--stdin"], reason="plant", stdin=value.encode(), cwd=ROOT)
        plants.plant_objects(finished, value)
        plants.plant_in_guests(finished, value)
        report = json.loads(finished.ask("scan", "--json", str(named), limit_seconds=SCAN_SECONDS))
    leaks.keep_figures(finished, report)
    assert all(plants.NAME in hit["secret"] for hit in report["unexpectedHits"])
    found = {hit["kind"] for hit in report["unexpectedHits"]}
    assert found == {str(kind) for kind in set(Kind) - plants.ELSEWHERE - {Kind.CREDENTIALS_DISK}}
    assert report["kinds"][Kind.PASSPHRASE_FILE]["expectedHits"] == 1
    assert report["missingHits"] == []


def test_s2_a_staged_key_stops_a_commit(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for arguments in (["init", "-q"], ["add", "-A"]):
        (tmp_path / "notes.txt").write_bytes(b"keep this:\n" + key)
        process.run(["git", *arguments], reason="stage a key", cwd=tmp_path)
    with pytest.raises(CommandError, match=f"unexpected: .* in {Kind.STAGED} notes.txt"):
        process.run([KINKY, "scan", "--staged"], reason="test", cwd=tmp_path)


def test_what_was_planted_on_the_host_can_be_taken_away(finished: Person) -> None:
    """What is on the nodes goes with them."""
    for kind in ("event", "configmap", "secret"):
        finished.host("delete", kind, plants.NAME)
    finished.kinky("secrets", "rm", plants.NAME, "--stack", finished.stack.stack)
