"""The sets of figures besides `up`: what is read, counted and summed up, without a host."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinky.bench import clusters, commands, counts, guests, leases, loading, looking
from kinky.bench.counts import Counts
from kinky.bench.samples import summarise
from kinky.cli import bench
from kinky.cli.main import main
from kinky.embedded import host
from kinky.errors import CommandError, HostError, KinkyError, WaitError
from kinky.exit_codes import ExitCode
from kinky.images.archive import read_archive
from kinky.retry import Pending, wait_until
from kinky.stacks.file import read_stack_file

UID = "0a1b2c3d-0000-1111-2222-333344445555"
WATCHED = """\
2026-12-01T06:00:00Z api: OK (200 after 12 ms)
2026-12-01T06:00:00Z store: OK (fresh)
2026-12-01T06:00:07Z api: CRITICAL, DISAGREE since 2026-12-01T06:00:05Z
  why: nothing answers
2026-12-01T06:00:09Z host: DEGRADED
"""
PLUGIN = """\
from types import SimpleNamespace
import pytest

@pytest.fixture
def inner_cluster():
    config = SimpleNamespace(host=SimpleNamespace(namespace="kinky-tests"))
    return SimpleNamespace(name="t-1-0", stack_file=SimpleNamespace(config=config))
"""


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1))
def test_a_summary_lies_between_its_measurements(seconds: list[float]) -> None:
    found = summarise(seconds)
    assert found["runs"] == len(seconds)
    assert round(min(seconds), 2) <= found["median"] <= found["max"] == round(max(seconds), 2)
    assert sum(each > found["p95"] + 0.01 for each in seconds) <= 0.05 * len(seconds)


def test_of_twenty_measurements_the_percentile_leaves_one_out() -> None:
    assert summarise([1.0] * 19 + [60.0]) == {"runs": 20, "median": 1.0, "p95": 1.0, "max": 60.0}
    assert summarise([1.0] * 9 + [60.0])["p95"] == 60.0


@pytest.mark.parametrize(("text", "word"), [("", ""), (WATCHED[:40], "OK"), (WATCHED, "CRITICAL"), (WATCHED[-30:], "")])
def test_the_newest_verdict_of_a_watch_is_found(text: str, word: str) -> None:
    assert looking.find_word(text, "api") == word


def test_a_watch_says_its_lines_as_the_bench_reads_them() -> None:
    from datetime import UTC, datetime

    from kinky.status import table
    from kinky.status.judgement import judge
    from kinky.status.observation import State
    from tests.unit.status.seen import NOW, outside

    for state, word in ((State.OK, "OK"), (State.BAD, "CRITICAL")):
        (verdict,) = judge([outside(state)], now=NOW)
        lines = table.explain([verdict])[1:] or [f"{verdict.capability}: OK ({verdict.outside.detail})"]
        assert looking.find_word(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} " + "\n".join(lines), "api") == word


def test_a_word_is_awaited_after_a_place_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.write_text(WATCHED)
    looking._wait_word(log, "CRITICAL", since=0, limit_seconds=5)
    with pytest.raises(WaitError, match="nothing new"):
        looking._wait_word(log, "CRITICAL", since=len(WATCHED), limit_seconds=0.2)


def write_process(proc: Path, pid: int, *, comm: str, cgroup: str, command: str = "x") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "comm").write_text(comm + "\n")
    (folder / "cgroup").write_text(f"0::/{cgroup}\n")
    (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode())


def test_a_process_is_found_in_its_own_guest_only(tmp_path: Path) -> None:
    write_process(tmp_path, 10, comm="kube-apiserver", cgroup="kinky-ab/apiserver")
    write_process(tmp_path, 30, comm="kube-apiserver", cgroup=f"kubepods/pod{UID}/c1/kubepods/pod9/c2")
    write_process(tmp_path, 20, comm="kubelet", cgroup=f"kubepods-pod{UID.replace('-', '_')}.slice/c1")
    (tmp_path / "40").mkdir()
    assert guests.find_process(UID, "kube-apiserver", proc=tmp_path) == 30
    assert guests.find_process(UID, "kubelet", proc=tmp_path) == 20
    with pytest.raises(HostError, match="has no process etcd"):
        guests.find_process(UID, "etcd", proc=tmp_path)


def wait_stopped(pid: int) -> None:
    """Wait until a process stands still; on a busy machine a signal takes its time."""

    def look() -> bool | Pending:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        return state == "T" or Pending(state)

    wait_until(look, what=f"process {pid} stands still", deadline_seconds=30, every_seconds=0.1)


def test_an_api_stays_away_in_the_block_and_its_kubelet_ends_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = {}
    for name in (guests.KUBELET, guests.API_SERVER):
        started[name] = subprocess.Popen([shutil.copy("/bin/sleep", tmp_path / name), "60"])
    monkeypatch.setattr(guests, "find_process", lambda _uid, program: started[program].pid)
    with guests.without_api(UID) as killed_at:
        assert killed_at > 0
        assert started[guests.API_SERVER].wait(10) == -9
        assert started[guests.KUBELET].poll() is None
        wait_stopped(started[guests.KUBELET].pid)
    assert started[guests.KUBELET].wait(10) == -9


def test_files_mounts_and_processes_are_counted(tmp_path: Path) -> None:
    for name in ("state/a", "state/clusters/b", "state/host/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert counts.count_files(tmp_path / "state", without=tmp_path / "state/host") == 2
    proc = tmp_path / "proc"
    write_process(proc, 1, comm="python", cgroup="", command="python -m kinky.reach.forward_daemon spec.json")
    write_process(proc, 2, comm="grep", cgroup="", command="grep kinky.reach.forward_daemon2")
    (proc / "3").mkdir()
    assert counts.count_processes(counts.DAEMON_MODULE, proc=proc) == 1
    (proc / "1" / "mountinfo").write_text("1 / /\n2 / /proc\n")
    assert counts.count_mounts("1", proc=proc) == 2


def test_the_test_of_a_lease_notes_its_times_where_the_bench_reads_them(tmp_path: Path) -> None:
    assert leases.read_note(tmp_path / "note.json") == Pending("the test has not run")
    leases.write_project(tmp_path)
    (tmp_path / "conftest.py").write_text(PLUGIN)
    leases._run_pytest(tmp_path)
    note = leases.read_note(tmp_path / "note.json")
    assert isinstance(note, leases.Note)
    assert (note.cluster, note.namespace) == ("t-1-0", "kinky-tests") and 0 < note.end - note.begin < 10


def test_a_test_that_fails_ends_the_bench_with_its_last_lines(tmp_path: Path) -> None:
    leases.write_project(tmp_path)
    (tmp_path / "conftest.py").write_text(PLUGIN.replace("return", "raise ValueError('no host')\n    return"))
    with leases.ThreadPoolExecutor(max_workers=1) as pool, pytest.raises(CommandError) as caught:
        leases._wait_note(tmp_path / "note.json", pool.submit(leases._run_pytest, tmp_path))
    assert any("no host" in line for line in caught.value.details)


def test_leases_are_measured_after_one_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, times = iter(range(3)), iter([(99.0, 99.0), (40.0, 9.0), (50.0, 11.0)])
    monkeypatch.setattr(leases, "read_counts", lambda: Counts(next(numbers), 0, 0, 0, 0, 0, 0, 0))
    monkeypatch.setattr(leases, "_measure_run", lambda _title: next(times))
    found = leases.measure_leases(2)
    assert found["pytestToFirstTestSeconds"] == {"runs": 2, "median": 45.0, "p95": 50.0, "max": 50.0}
    assert found["lastTestToEmptySeconds"]["max"] == 11.0
    assert [found["left"][when]["processes"] for when in ("before", "afterOne", "afterAll")] == [0, 1, 2]


def test_an_image_of_the_bench_is_one_that_load_reads(tmp_path: Path) -> None:
    archive = loading.write_image(tmp_path, "kinky.internal/bench:1", size_mib=2)
    found = read_archive(archive)
    assert [image.name for image in found.images] == ["kinky.internal/bench:1"]
    assert 2 * loading.MIB <= found.content_bytes < 3 * loading.MIB


@contextlib.contextmanager
def made(stack_file: Any, _values: Any) -> Iterator[Any]:
    yield stack_file


def test_load_is_compared_with_one_import(monkeypatch: pytest.MonkeyPatch) -> None:
    imported, loaded = iter([2.0, 4.0, 3.0]), iter([5.0, 6.0, 7.0])
    monkeypatch.setattr(clusters, "made", made)
    monkeypatch.setattr(loading, "SIZE_MIB", 1)
    monkeypatch.setattr(loading, "_import", lambda archive, _reference: next(imported))
    monkeypatch.setattr(loading, "run_kinky", lambda *_: commands.Ended(0, next(loaded)))
    found = loading.measure_loading(read_stack_file("dev"), runs=3)
    assert (found["nodes"], found["ratio"]) == (2, 2.0)
    json.dumps(found)


def test_looks_are_measured_on_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter([0, 2, 0, 0])
    monkeypatch.setattr(clusters, "made", made)
    monkeypatch.setattr(looking, "_measure_killed", lambda _stack, runs: summarise([8.0] * runs))
    monkeypatch.setattr(looking, "look_once", lambda *_, **__: [])
    monkeypatch.setattr(
        looking,
        "run_kinky",
        lambda _stack, command, **_: commands.Ended(next(codes) if command == "status" else 0, 3.0),
    )
    found = looking.measure_looking(read_stack_file("dev"), lambda stack: SimpleNamespace(), runs=2, wide=True)  # type: ignore[arg-type,return-value]
    assert found["statusColdSeconds"] == {"runs": 2, "median": 3.0, "p95": 3.0, "max": 3.0, "ok": 1}
    assert found["apiKilledToCriticalSeconds"]["p95"] == 8.0
    assert found["wide"].keys() == {"nodes", "statusColdSeconds", "statusWarmSeconds", "whySeconds"}
    json.dumps(found)


def test_a_command_that_fails_is_told_with_its_last_lines() -> None:
    with pytest.raises(CommandError) as caught:
        commands.run_kinky(read_stack_file("dev"), "why", "nobody")
    assert "exit code 64" in caught.value.message and any("its nodes are" in line for line in caught.value.details)


def test_a_host_without_container_guests_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "status", lambda: SimpleNamespace(container_guests="no loops"))
    with pytest.raises(HostError, match="the host offers no container guests: no loops"):
        clusters.require_containers()


@pytest.mark.parametrize("runs", ["0", "-1", "1001", "many", ""])
def test_a_number_of_runs_that_cannot_be_is_wrong_usage(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--figures", "leases", "--runs", runs])
    assert ended.value.code == 64
    assert f"{runs!r} is not a number from 1 to 1000" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(bench.SETS))
def test_each_set_has_a_file_of_its_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack_file = read_stack_file("dev")
    monkeypatch.setattr("kinky.paths.project_root", lambda: tmp_path)
    monkeypatch.setattr(bench, "read_stack_file", lambda _name: stack_file)
    monkeypatch.setattr(bench, "_describe_machine", lambda: {"cores": 2})
    monkeypatch.setattr(bench, "_measure_set", lambda arguments, _stack: {arguments.figures: {"runs": arguments.runs}})
    assert main(["bench", "--stack", "dev", "--figures", name, "--runs", "3"]) == 0
    written = json.loads((tmp_path / "bench" / f"{name}.json").read_text())
    assert written == json.loads(capsys.readouterr().out) and written[name] == {"runs": 3}


def test_no_set_touches_a_stack_that_somebody_may_want_to_keep(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--stack", "prod", "--figures", "status"]) == ExitCode.USAGE
    assert "nothing was touched" in capsys.readouterr().err
    with pytest.raises(KinkyError):
        bench.run_bench(SimpleNamespace(stack="prod", figures="load"))  # type: ignore[arg-type]
