"""What is printed and written: a document with a schema, metrics that Prometheus reads, a table, whole files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from kinky import paths
from kinky.cli import options
from kinky.errors import ConfigError
from kinky.report.page import render as render_page
from kinky.report.story import fetch_story
from kinky.scan.clean import clean
from kinky.status import document, prometheus, table
from kinky.status.files import check_writable, write_whole
from kinky.status.judgement import find_exit_code, judge
from kinky.status.observation import State
from tests.unit.status.healthy import CANARY, SECRET, Healthy
from tests.unit.status.seen import NOW, inside, judge_all, outside

SEEN = [
    outside(State.BAD, reason="silent", detail="it answers nothing", hint="kinky why x", facts={"path": "a, b"}),
    inside(State.OK),
    outside(State.UNKNOWN, "etcd", detail='quote " and \\ and\nline'),
    outside(State.OK, "dns"),
    outside(State.OK, "certificates", target="ca", facts={"not_after": "2036-01-01T00:00:00Z", "command": "c"}),
]
VERDICTS = judge(SEEN, now=NOW)


def build() -> dict[str, object]:
    code = find_exit_code(VERDICTS)
    return json.loads(json.dumps(document.build_document(VERDICTS, stack="s", cluster="dev", now=NOW, exit_code=code)))


def test_t1_the_document_is_of_the_published_schema() -> None:
    published = json.loads((paths.project_root() / document.SCHEMA_FILE).read_text())
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.validate(build(), published)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**build(), "exit_code": 64}, published)


def test_a_document_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    file.write_text(json.dumps(build()))
    assert judge(document.read_observations(file), now=NOW) == VERDICTS


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": "other"}', '{"version": "kinky.dev/status/v1"}'])
def test_another_file_is_refused_with_its_field(tmp_path: Path, content: str) -> None:
    file = tmp_path / "status.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match="--read"):
        document.read_observations(file)


def test_t1_the_metrics_are_read_by_prometheus_own_parser() -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus_client is not installed: make venv")
    text = prometheus.render(VERDICTS, cluster="dev", now=NOW)
    families = {family.name: family.samples for family in parser.text_string_to_metric_families(text)}
    verdicts = {sample.labels["capability"]: sample.value for sample in families["kinky_verdict"]}
    assert verdicts == {"api": 2, "etcd": 3, "dns": 0, "certificates": 0}
    success = {sample.labels["probe"]: sample.value for sample in families["kinky_probe_success"]}
    assert success == {"api": 0, "dns": 1, "certificates": 1}, "UNKNOWN is absent, and neither 0 nor 1"
    assert families["kinky_disagree"][0].value == 1
    assert families["kinky_status_last_run_timestamp_seconds"][0].value == NOW.timestamp()
    assert families["kinky_cert_not_after_seconds"][0].labels["subject"] == "ca"


def test_the_metrics_in_full() -> None:
    lines = prometheus.render(VERDICTS, cluster="dev", now=NOW).splitlines()
    assert 'kinky_verdict{cluster="dev",capability="api"} 2' in lines
    assert 'kinky_probe_success{cluster="dev",probe="api",target="the endpoint",vantage="here"} 0.0' in lines
    assert 'kinky_probe_duration_seconds{cluster="dev",probe="dns",target="the endpoint",vantage="here"} 0.012' in lines
    assert not any('probe="etcd"' in line for line in lines)


def test_the_table_has_the_worst_first_and_a_sign_beside_each_word() -> None:
    rows = table.render(VERDICTS, now=NOW)
    assert [row[1] for row in rows[1:]] == ["api", "etcd", "certificates", "dns"]
    assert rows[1][:5] == ["✗", "api", "CRITICAL DISAGREE", "bad 12 ms", "ok"]
    told = "\n".join(table.explain(VERDICTS))
    assert "api: CRITICAL, DISAGREE since 2026-11-30T12:00:00Z" in told
    assert "next step: kinky why x" in told and "look at the path between them, a, b" in told
    assert "dns" not in told and options.to_table(rows)


def test_t20_a_writer_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    file.write_text("a" * 3_000_000)
    program = (
        "import sys; from pathlib import Path; from kinky.status.files import write_whole\n"
        "for letter in 'bcdefghijk' * 1000: write_whole(Path(sys.argv[1]), letter * 3_000_000)"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(file)], cwd=paths.project_root())
    deadline = time.monotonic() + 30
    while file.read_text()[0] == "a" and time.monotonic() < deadline:
        time.sleep(0.01)
    for _ in range(5):
        content = file.read_text()
        assert len(content) == 3_000_000 and len({*content}) == 1
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    content = file.read_text()
    assert len(content) == 3_000_000 and len({*content}) == 1


def test_a_file_that_cannot_be_written_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(target, "x")
    assert [*tmp_path.iterdir()] == [target]
    with pytest.raises(ConfigError, match=r"--page: .*is a folder"):
        check_writable("--page", target)
    with pytest.raises(ConfigError, match="there is no folder"):
        check_writable("--page", tmp_path / "no" / "page.html")


def test_t24_no_output_holds_a_secret(healthy: Healthy) -> None:
    target = healthy.target()
    verdicts = [*judge_all(target).values()]
    code = find_exit_code(verdicts)
    outputs = [
        json.dumps(document.build_document(verdicts, stack="dev", cluster="dev", now=NOW, exit_code=code)),
        prometheus.render(verdicts, cluster="dev", now=NOW),
        options.to_table(table.render(verdicts, now=NOW)) + "\n".join(table.explain(verdicts)),
        render_page(verdicts, fetch_story(target), stack="dev", now=NOW),
    ]
    private = [value for name, value in target.fetch_keys().items() if name.endswith(".key")]
    needles = [SECRET, CANARY, *private]
    for text in outputs:
        assert not [needle for needle in needles if needle.decode(errors="replace").strip() in text]
        assert "PRIVATE KEY" not in text and clean(text) == text
