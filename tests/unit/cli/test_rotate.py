"""`kinky rotate` as a person calls it: refusals before anything is touched, the plan, the status."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kinky.cli import main, rotate
from kinky.operations.journal import Progress
from kinky.rotation.item import KeyState
from kinky.rotation.items import ITEMS
from kinky.rotation.status import ItemStatus
from kinky.stores import secrets_store
from tests.unit.fake_cluster import FakeCluster, start_cluster

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCluster:
    made = start_cluster(monkeypatch, tmp_path)
    monkeypatch.setattr(rotate, "_find_site", lambda _arguments: made.site)
    secrets_store.issue_store_token(made.site.reach, hours=24)
    return made


def run(*arguments: str) -> int:
    return main.main(["rotate", *arguments])


def test_an_unknown_stack_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("store-credential", "--stack", "nowhere") == 64
    assert 'stack "nowhere": no file stacks/Pulumi.nowhere.yaml' in capsys.readouterr().err


def test_an_unknown_item_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run("everything")
    assert end.value.code == 64
    assert "store-credential" in capsys.readouterr().err


@pytest.mark.parametrize("item", ITEMS)
def test_a_dry_run_is_data_and_touches_nothing(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], item: str
) -> None:
    before = json.dumps(cluster.host.objects), json.dumps(cluster.inner.objects)
    assert run(item, "--dry-run") == 0
    assert "restarts" in capsys.readouterr().out.splitlines()[-1]
    assert (json.dumps(cluster.host.objects), json.dumps(cluster.inner.objects)) == before


def test_the_status_is_readable_while_the_inner_api_is_away(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.inner.down = True
    assert run("status", "--json") == 0
    rows = {row["item"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == set(ITEMS)
    assert "connection refused" in rows["store-credential"]["unknown"]
    assert rows["store-credential"]["inProgress"] is False


def test_the_table_tells_how_far_each_rotation_is() -> None:
    key = KeyState(subject="dev-pki", fingerprint="0123456789ab", made_at=NOW - timedelta(days=3))
    states = [
        Progress(),
        Progress(started_at="2026-05-01T00:00:00Z", step="first"),
        Progress(started_at="2026-05-01T00:00:00Z", step="drop", waits_until="2027-05-01T00:00:00Z"),
        Progress(finished_at="2026-05-02T00:00:00Z"),
    ]
    found = [ItemStatus(item=f"item-{n}", keys=(key,), unknown="", progress=each) for n, each in enumerate(states)]
    lines = rotate.describe(found, now=NOW).splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        [f"item-{n}", "dev-pki", "3d", "0123456789ab"] for n in range(4)
    ]
    for line, end in zip(
        lines[1:], ("never rotated", "at sub-step first", "with sub-step drop", "2026-05-02T00:00:00Z"), strict=True
    ):
        assert line.endswith(end)


def test_what_cannot_be_read_is_a_line_too() -> None:
    status = ItemStatus(item="x", keys=(), unknown="the inner API is away", progress=Progress())
    assert "the inner API is away" in rotate.describe([status], now=NOW)
    assert rotate.build_row(status)["unknown"] == "the inner API is away"


def test_a_finished_rotation_says_so(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(rotate, "note", told.append)
    monkeypatch.setattr("kinky.stores.host_namespace.check_token_life", lambda _inner, hours: f"{hours} h")
    assert rotate.run_rotate(Namespace(item="store-credential", dry_run=False, json=False, stack="dev")) == 0
    assert told == ["store-credential of dev is rotated; kinky rotate status --stack dev shows the keys"]
