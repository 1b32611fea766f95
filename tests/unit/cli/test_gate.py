"""`kinky gate show`: what it prints, and what it tells by its exit code."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from kinky.cli import main
from kinky.gate.proof import EvidenceItem, StoreRecord
from kinky.keys.certificates import format_time
from kinky.stacks.file import read_stack_file
from kinky.stores.secrets_store import EXPIRES_ANNOTATION, TOKEN_SECRET
from tests.unit.fake_api import FakeConnection
from tests.unit.fake_reach import FakeReach
from tests.unit.fake_wall import ACCESS, GRANT, STATE, add_wall

WARNING = "WARNING: the store's token is past half of its life; the next kinky up renews it"


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """A cluster whose gate is open on evidence, and a store that works."""
    connection = FakeConnection()
    item = EvidenceItem(item="G1", what="the store", seen_at="2026-01-01T00:00:00Z")
    record = StoreRecord(store="kinky", first_seconds=1, second_seconds=2, proved_at="x", items=(item,))
    data = {"state": "open", "since": "x", "reason": "proved", "evidence": json.dumps(asdict(record))}
    for path, fields in ((STATE, {"data": data}), (GRANT, {})):
        connection.add(path.rpartition("/")[0], "kinky-gate", **fields)
    add_wall(connection)
    monkeypatch.setattr("kinky.cli.gate.find_reach", lambda _stack: FakeReach(ACCESS, connection))
    monkeypatch.setattr("kinky.cli.gate.find_store", lambda _stack, _access: None)
    monkeypatch.setattr("kinky.gate.proof.check_proved", lambda *_arguments: [])
    return connection


@pytest.mark.parametrize(("more", "warned"), [(1, False), (-1, True)])
def test_a_token_past_half_of_its_life_is_a_warning_and_no_failure(
    inner: FakeConnection, capsys: pytest.CaptureFixture[str], more: int, warned: bool
) -> None:
    half = read_stack_file("dev").config.secrets_store.token_hours / 2
    expires = format_time(datetime.now(UTC) + timedelta(hours=half + more))
    metadata = {"annotations": {EXPIRES_ANNOTATION: expires}}
    inner.add("/api/v1/namespaces/kinky-system/secrets", TOKEN_SECRET, metadata=metadata)
    assert main.main(["gate", "show", "--stack", "dev"]) == int(warned)
    assert (WARNING in capsys.readouterr().out.splitlines()) == warned
    assert main.main(["gate", "show", "--stack", "dev", "--json"]) == int(warned)
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [each["code"] for each in found] == (["store.token-due"] if warned else [])


def test_a_wall_that_was_changed_is_a_failure(inner: FakeConnection, capsys: pytest.CaptureFixture[str]) -> None:
    binding = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/kinky-gate"
    inner.objects[binding]["spec"]["validationActions"] = ["Audit"]
    assert main.main(["gate", "show", "--stack", "dev"]) == 2
    assert 'CRITICAL: ValidatingAdmissionPolicyBinding kinky-gate, spec.validationActions[0] is "Audit"' in (
        capsys.readouterr().out
    )
