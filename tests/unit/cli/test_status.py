"""`kinky status` at the command line: exit codes, bad input, and what is not asked."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kinky import paths
from kinky.cli import main
from kinky.config.load import load_config
from kinky.errors import ConfigError, HostError
from kinky.keys.certificates import format_time
from kinky.kube.access import HostAccess
from kinky.status import document, vantage
from kinky.status.judgement import judge
from kinky.status.memory import Memory, read_memory, write_memory
from kinky.status.observation import State
from tests.unit.status.seen import NOW, inside, outside


def run(*arguments: str) -> int:
    try:
        return main.main(["status", "--stack", "dev", *arguments])
    except SystemExit as end:
        return int(str(end.code))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--capability", "weather"), "--capability weather"),
        (("--interval", "-1"), "--interval -1"),
        (("--interval", "0.5"), "--interval 0.5"),
        (("--interval", "nan"), "--interval nan"),
        (("--interval", "soon"), "--interval"),
        (("--timeout", "0"), "--timeout 0"),
        (("--timeout", "5", "--interval", "2"), "--timeout 5"),
        (("--vantage", " "), "--vantage"),
        (("--page", "/no/such/folder/page.html"), "--page"),
        (("--prometheus", "/"), "--prometheus"),
        (("--read", "/no/such/file"), "--read"),
        (("--nonsense",), "--nonsense"),
    ],
)
def test_t21_bad_input_is_64_with_the_field_and_no_probe_is_sent(
    arguments: tuple[str, ...], field: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was asked")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("kinky.status.rounds.look_once", refuse)
    assert run(*arguments) == 64
    assert field in capsys.readouterr().err


def test_t21_an_unknown_stack_is_64(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["status", "--stack", "no-such-stack"]) == 64
    assert 'stack "no-such-stack": no file' in capsys.readouterr().err


def test_t21_an_empty_ca_is_64(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from kinky.status import target

    folder = paths.stack_dir("dev")
    (folder / "ca.crt").write_text("")
    with pytest.raises(ConfigError, match=r"CA: .*ca\.crt is empty"):
        target._read_ca("dev")
    (folder / "kubeconfig.yaml").write_text(json.dumps({"clusters": [{"cluster": {"server": "https://127.0.0.1:1"}}]}))
    access = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
    monkeypatch.setattr("kinky.reach.host.find_host", lambda _config: access)
    monkeypatch.setattr("kinky.reach.reach.HostApi.connect", lambda _access: None)
    monkeypatch.setattr("kinky.stacks.inner.find_store", lambda *_arguments: None)
    assert run() == 64
    assert "is empty" in capsys.readouterr().err


def test_no_host_is_unknown_and_never_critical(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    access = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")
    monkeypatch.setattr("kinky.reach.host.find_host", lambda _config: access)
    assert run("--json") == 3
    body = json.loads(capsys.readouterr().out)
    assert {verdict["verdict"] for verdict in body["verdicts"]} == {"UNKNOWN"}
    assert "no kubeconfig yet" in body["verdicts"][0]["why"]


def test_t19_a_file_of_ten_minutes_ago_is_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "status.json"
    for at, code in ((NOW, 3), (datetime.now(UTC), 0)):
        seen = judge([outside(State.OK, at=format_time(at))], now=at)
        body = document.build_document(seen, stack="dev", cluster="dev", now=at, exit_code=0)
        file.write_text(json.dumps(body))
        assert run("--read", str(file)) == code
    assert "UNKNOWN" in capsys.readouterr().out


def test_two_vantages_are_judged_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for place, state in (("office", State.OK), ("ci", State.BAD)):
        now = datetime.now(UTC)
        seen = judge([outside(state, at=format_time(now), vantage=place)], now=now)
        files.append(tmp_path / f"{place}.json")
        body = document.build_document(seen, stack="dev", cluster="dev", now=now, exit_code=0)
        files[-1].write_text(json.dumps(body))
    assert run(*(part for file in files for part in ("--read", str(file)))) == 2
    assert "PARTIAL" in capsys.readouterr().out


def test_the_selftest_says_which_faults_were_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["status", "--selftest"]) == 0
    assert "probes that fail: none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("address", "inside"), [("10.243.4.7", True), ("10.95.0.9", True), ("192.0.2.1", False), ("fe80::1%eth0", False)]
)
def test_t25_a_vantage_inside_the_cluster_is_refused_unless_allowed(address: str, inside: bool) -> None:
    host = {"namespace": "ns", "encryptionAtRest": "attested"}
    raw = {"cluster": {"name": "dev"}, "host": host, "image": {"reference": "example.test/node:1"}}
    config = load_config(raw, source="test")
    if inside:
        with pytest.raises(ConfigError, match="inside the cluster that it would judge"):
            vantage.check_vantage(config, [address], allowed=False)
        assert vantage.check_vantage(config, [address], allowed=True) == f"inside:{address}"
    else:
        assert vantage.check_vantage(config, [address], allowed=False) == ""
        with pytest.raises(ConfigError, match="inside the cluster that it would judge"):
            vantage.check_vantage(config, [address], allowed=False, nodes=[address])


def test_what_is_remembered_belongs_to_one_identity_of_the_cluster() -> None:
    differs = judge([outside(State.BAD), inside(State.OK)], now=NOW)
    write_memory("dev", Memory(cluster_id="one").learn(differs))
    assert read_memory("dev", "one").disagree_since == {"api": format_time(NOW)}
    assert read_memory("dev", "two") == Memory(cluster_id="two")
    (paths.stack_dir("dev") / "status.json").write_text("{")
    assert read_memory("dev", "one") == Memory(cluster_id="one")


def test_an_error_that_is_no_refusal_is_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise HostError("the embedded host was not started", hint="kinky host up")

    monkeypatch.setattr("kinky.cli.status.open_prober", fail)
    assert run("--capability", "api") == 3
    shown = capsys.readouterr().out
    assert "next step: kinky host up" in shown and replace is not None
