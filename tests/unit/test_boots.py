"""The file with the boots of a host: bounded, whole or not there, and never an error."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinky import names, paths
from kinky.forming import boots as boots_of
from kinky.forming.boots import KEPT, add_boots, note_boots, read_boots
from kinky.kube.access import HostAccess
from tests.unit.climbs_of import climb

HOST = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev", host_uid="0a1b-host")
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["boot", "role", "seconds", "x"]), inner),
)


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(paths.STATE_VARIABLE, str(tmp_path / "state"))


def file() -> Path:
    return paths.boots_dir() / f"{HOST.host_uid}.json"


def test_what_is_noted_is_read_again() -> None:
    assert read_boots(HOST) == ()
    note_boots(HOST, [climb(boot="a"), climb(boot="b", role=names.CONTROL_PLANE)])
    note_boots(HOST, [climb(boot="c")])
    found = read_boots(HOST)
    assert [boot.boot for boot in found] == ["a", "b", "c"]
    assert found[0].seconds == climb().seconds and found[0].accelerator == "container"
    assert read_boots(replace(HOST, host_uid="another")) == ()
    assert stat.S_IMODE(file().stat().st_mode) == 0o600


def test_a_host_without_an_identity_and_a_boot_without_seconds_are_not_kept() -> None:
    note_boots(replace(HOST, host_uid=""), [climb()])
    assert list(paths.boots_dir().iterdir()) == []
    note_boots(HOST, [climb(height=0), climb(boot="")])
    assert read_boots(HOST) == ()


def test_the_embedded_host_is_this_machine_also_when_it_is_made_again() -> None:
    own = replace(HOST, kubeconfig=str(paths.host_kubeconfig()))
    note_boots(own, [climb(boot="a")])
    assert [boot.boot for boot in read_boots(replace(own, host_uid="made-again"))] == ["a"]
    assert read_boots(HOST) == ()


@given(st.lists(st.tuples(st.sampled_from(names.ROLES), st.integers(min_value=0, max_value=60)), max_size=120))
def test_only_the_newest_stay_and_each_boot_counts_once(done: list[tuple[str, int]]) -> None:
    known: tuple[boots_of.Boot, ...] = ()
    for role, number in done:
        known = add_boots(known, [climb(role=role, boot=f"{role}-{number}")])
    for role in names.ROLES:
        newest = list(dict.fromkeys(f"{role}-{number}" for kind, number in reversed(done) if kind == role))
        assert [boot.boot for boot in reversed(known) if boot.role == role] == newest[:KEPT]


@given(st.binary() | JSON.map(lambda body: json.dumps(body).encode()))
def test_a_damaged_file_is_no_knowledge(content: bytes) -> None:
    file().write_bytes(content)
    assert isinstance(read_boots(HOST), tuple)
    note_boots(HOST, [climb(boot="new")])
    assert "new" in [boot.boot for boot in read_boots(HOST)]


@pytest.mark.parametrize(
    "damage",
    [
        {"role": "nobody"},
        {"seconds": {"gate": -1}},
        {"seconds": {"gate": "4"}},
        {"seconds": {"gate": 1e999}},
        {"seconds": [4]},
        {"boot": 4},
        {"more": 1},
    ],
)
def test_what_no_boot_can_be_is_refused(damage: dict[str, object]) -> None:
    note_boots(HOST, [climb()])
    (known,) = json.loads(file().read_text())
    file().write_text(json.dumps([{**known, **damage}]))
    assert read_boots(HOST) == ()


def test_a_file_that_is_nested_too_deep_is_damaged_too() -> None:
    file().write_text("[" * 100_000)
    assert read_boots(HOST) == ()


def test_a_state_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(boots_of, "write_private", refuse)
    note_boots(HOST, [climb()])
    assert read_boots(HOST) == ()


def test_two_clusters_that_come_up_at_the_same_time_both_are_kept() -> None:
    script = (
        "import sys; from kinky.forming.boots import note_boots; from kinky.kube.access import HostAccess\n"
        "from tests.unit.climbs_of import climb\n"
        f"for number in range(8): note_boots({HOST!r}, [climb(boot=sys.argv[1] + str(number))])"
    )
    started = [subprocess.Popen([sys.executable, "-c", script, name], env=dict(os.environ)) for name in ("a", "b")]
    assert [each.wait(60) for each in started] == [0, 0]
    assert {boot.boot for boot in read_boots(HOST)} == {f"{name}{number}" for name in "ab" for number in range(8)}


def test_the_longest_file_is_small() -> None:
    for number in range(KEPT * 2):
        note_boots(HOST, [climb(role=role, boot=f"{role}-{number}") for role in names.ROLES])
    assert len(read_boots(HOST)) == KEPT * len(names.ROLES)
    assert file().stat().st_size < 32_768
