"""`kinky secrets` goes to the server, and tells names, ages and fingerprints."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest

from kinky.cli import main
from kinky.kube.host import HostApi
from kinky.ownership import record
from kinky.stacks.file import StackFile
from tests.unit.fake_api import FakeConnection
from tests.unit.vault_store.conftest import ACCESS, Site
from tests.vault_server.faults import Fault

VALUE = b"hunter2hunter2"
FINGERPRINT = hashlib.sha256(VALUE).hexdigest()[:12]


@pytest.fixture
def stack(site: Site, host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> Site:
    found = StackFile(stack="dev", path=Path("x"), config=site.config, secrets_provider=None)
    monkeypatch.setattr("kinky.cli.secrets.read_stack_file", lambda _stack: found)
    monkeypatch.setattr("kinky.reach.host.find_host", lambda _config: ACCESS)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(VALUE)))
    record.ensure_record(HostApi.connect(ACCESS), "organization/kinky/dev", {})
    host.calls.clear()
    return site


def test_set_list_rm(stack: Site, host: FakeConnection, capsys: pytest.CaptureFixture[str]) -> None:
    place = f"secret/kinky/dev/token of {stack.server.address}"
    assert main.main(["secrets", "set", "token", "--stack", "dev"]) == 0
    assert capsys.readouterr().err == f"{place}, key value: set, fingerprint {FINGERPRINT}\n"
    assert main.main(["secrets", "list", "--stack", "dev", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry.pop("changedAt").endswith("+00:00")
    assert entry == {"name": "token", "place": place, "madeBy": "admin", "keys": {"value": FINGERPRINT}}
    assert main.main(["secrets", "rm", "token", "--stack", "dev"]) == 0
    assert f"{place}: removed" in capsys.readouterr().err
    assert stack.root.get("secret/metadata/kinky/dev/token").status == 404
    assert {verb for verb, _ in host.calls} == {"GET"}, "the host is asked for the cluster and told nothing"


def test_a_server_that_is_away_is_one_line_and_a_hint(stack: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with stack.faults.during(Fault.SEALED):
        assert main.main(["secrets", "list", "--stack", "dev"]) == 1
    assert capsys.readouterr().err == (
        f"secrets store {stack.server.address}: cannot list secret/metadata/kinky/dev: the server is sealed (503)\n"
        "hint: unseal it: bao operator unseal\n"
    )
