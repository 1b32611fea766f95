"""`kinky status` and `kinky report` as commands on a healthy cluster of loopback: what they print, write and return."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kinky.cli import main
from kinky.cli.looking import Prober
from kinky.errors import HostError
from kinky.status import document
from kinky.status.memory import read_memory
from kinky.status.watch import Board
from tests.unit.status.healthy import VMIS, Healthy, answer_dns, serve_healthy


@pytest.fixture
def healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Healthy]:
    answer_dns(monkeypatch)
    with serve_healthy(tmp_path) as made:
        for module in ("status", "looking"):
            prober = Prober(made.target(), "id-1", "here")
            monkeypatch.setattr(f"kinky.cli.{module}.open_prober", lambda *_, prober=prober, **__: prober)
        yield made


def test_a_healthy_cluster_is_0_with_every_output(
    healthy: Healthy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, metrics = tmp_path / "page.html", tmp_path / "kinky.prom"
    files = ["--page", str(page), "--prometheus", str(metrics)]
    assert main.main(["status", "--stack", "dev", "--json", *files]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["version"], body["exit_code"]) == (document.VERSION, 0)
    assert 'kinky_verdict{cluster="dev",capability="api"} 0' in metrics.read_text()
    assert "Timeline" in page.read_text() and str(page) not in body
    assert read_memory("dev", "id-1").cluster_id == "id-1"
    assert main.main(["status", "--stack", "dev"]) == 0
    assert "✓  api" in capsys.readouterr().out


def test_a_degraded_cluster_is_1_and_strict_2(healthy: Healthy, capsys: pytest.CaptureFixture[str]) -> None:
    healthy.host.objects[f"{VMIS}/dev-control-plane-0"]["status"]["conditions"] = []
    assert main.main(["status", "--stack", "dev", "-c", "api"]) == 1
    shown = capsys.readouterr().out
    assert "api: DEGRADED, DISAGREE since" in shown and "next step: kinky why dev-control-plane-0 --stack dev" in shown
    assert main.main(["status", "--stack", "dev", "-c", "api", "--strict"]) == 2


def test_a_report_is_written(healthy: Healthy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main.main(["report", str(page), "--stack", "dev"]) == 0
    text = page.read_text()
    assert "✓ OK" in text and "dev-worker-0" in text and "G1" in text
    assert "kinky rotate ca --stack dev" in text


def test_watch_prints_changes_only_and_ends_with_its_verdict(
    healthy: Healthy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from datetime import UTC, datetime

    from kinky.status.judgement import judge
    from kinky.status.observation import State
    from tests.unit.status.seen import inside, outside

    now = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)

    def run(_target: object, _probes: object, _board: Board, tell: Callable[..., None], **_: Any) -> None:
        good, bad = (judge([outside(state), inside(State.OK)], now=now) for state in (State.OK, State.BAD))
        tell(good, good, now)
        tell(good, [], now)
        tell(bad, bad, now)
        raise KeyboardInterrupt

    monkeypatch.setattr("kinky.status.watch.run_watch", run)
    page = tmp_path / "page.html"
    assert main.main(["status", "--stack", "dev", "--watch", "--page", str(page)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("2026")] == [
        "2026-11-30T12:00:00Z api: OK (something was seen)",
        "2026-11-30T12:00:00Z api: CRITICAL, DISAGREE since 2026-11-30T12:00:00Z",
    ]
    assert "CRITICAL" in page.read_text()


@pytest.mark.parametrize("error", [HostError("something"), RuntimeError("a-secret")])
def test_a_failure_of_our_own_is_3_and_never_a_verdict(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("kinky.cli.status.look", fail)
    assert main.main(["status", "--stack", "dev"]) == 3
    assert "a-secret" not in capsys.readouterr().err
