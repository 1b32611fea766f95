"""`kinky secrets`: where a value may come from, what is printed, and what is never repeated."""

from __future__ import annotations

import hashlib
import io
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from kinky.cli import main, secrets
from kinky.errors import KinkyError
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.ownership import record
from kinky.stores import values
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="kinky-dev", cluster="dev")
SECRET = "/api/v1/namespaces/kinky-dev/secrets/dev-store-token"
VALUE = "hunter2hunter2"
FINGERPRINT = hashlib.sha256(VALUE.encode()).hexdigest()[:12]


class Terminal(io.BytesIO):
    """Standard input that is a terminal."""

    def isatty(self) -> bool:
        return True


def feed(monkeypatch: pytest.MonkeyPatch, stream: io.BytesIO) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    connection = FakeConnection()
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: connection)
    monkeypatch.setattr("kinky.reach.host.find_host", lambda _config: ACCESS)
    record.ensure_record(HostApi.connect(ACCESS), "organization/kinky/dev", {})
    return connection


def run(*arguments: str) -> int:
    return main.main(["secrets", *arguments, "--stack", "dev"])


def test_set_list_rm(
    host: FakeConnection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    feed(monkeypatch, io.BytesIO(VALUE.encode()))
    assert run("set", "token") == 0
    assert capsys.readouterr() == ("", f"Secret kinky-dev/dev-store-token, key value: set, fingerprint {FINGERPRINT}\n")

    assert run("list") == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "KEY", "AGE", "SHA-256", "MADE", "BY"]
    name, key, age, *rest = row.split()
    assert (name, key, *rest) == ("token", "value", FINGERPRINT, "admin")
    assert re.fullmatch(r"\d{1,2}s", age), "a slow machine may take a second"
    assert run("list", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry.pop("changedAt").endswith("+00:00")
    assert entry == {
        "name": "token",
        "place": "Secret kinky-dev/dev-store-token",
        "madeBy": "admin",
        "keys": {"value": FINGERPRINT},
    }

    file = tmp_path / "value"
    file.write_bytes(b"another\n")
    now = hashlib.sha256(b"another\n").hexdigest()[:12]
    assert run("set", "token", "--file", str(file)) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "the value ends with a newline, which is part of it; printf %s writes none"
    assert (
        said[1] == f"Secret kinky-dev/dev-store-token, key value: replaced, fingerprint {FINGERPRINT} before, {now} now"
    )
    run("set", "token", "--file", str(file))
    assert f"the same value as before, fingerprint {now}" in capsys.readouterr().err

    assert run("rm", "token") == 0
    assert SECRET not in host.objects
    assert "removed, and the right to read it" in capsys.readouterr().err


def test_a_terminal_is_asked_without_echo(host: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return VALUE

    feed(monkeypatch, Terminal())
    monkeypatch.setattr("getpass.getpass", answer)
    assert run("set", "token", "--key", "password") == 0
    assert asked == ["value of token (password): "]
    assert list(host.objects[SECRET]["data"]) == ["password"]


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\n"])
def test_an_empty_value_is_refused(
    host: FakeConnection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    feed(monkeypatch, io.BytesIO(content))
    assert run("set", "token") == 1
    assert capsys.readouterr().err == (
        "the value from standard input is empty; nothing was changed\nhint: kinky secrets rm removes one\n"
    )
    assert SECRET not in host.objects


def test_a_file_that_cannot_be_read_or_is_too_long_is_named(tmp_path: Path) -> None:
    def read(path: Path) -> bytes:
        return secrets.read_value(path, io.BytesIO(), prompt="")

    with pytest.raises(KinkyError, match=f"cannot read the value from {tmp_path}/none: No such file"):
        read(tmp_path / "none")
    with pytest.raises(KinkyError, match="Is a directory"):
        read(tmp_path)
    long = tmp_path / "long"
    long.write_bytes(b"x" * (values.VALUE_LIMIT_BYTES + 1))
    with pytest.raises(KinkyError, match="has more than 1000000 bytes, which no Secret holds"):
        read(long)


@pytest.mark.parametrize(
    "arguments", [("set", "token", VALUE), ("set", "token", "--value", VALUE), ("set", "token", "--key", "k", VALUE)]
)
def test_a_value_on_the_command_line_is_refused_and_not_repeated(
    host: FakeConnection, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as end:
        run(*arguments)
    printed = capsys.readouterr()
    assert end.value.code == 64
    assert "a value is not taken from the command line, where others can read it: use --file or a pipe" in printed.err
    assert VALUE not in printed.out + printed.err


def test_a_value_in_the_name_is_refused_before_the_host_is_asked(
    host: FakeConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    host.calls.clear()
    assert run("set", f"token={VALUE}") == 64
    assert VALUE not in capsys.readouterr().err
    assert host.calls == []


@pytest.mark.parametrize(
    ("age", "text"), [(-1, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (86399, "23h"), (864000, "10d")]
)
def test_ages_read_as_kubectl_writes_them(age: int, text: str) -> None:
    assert secrets.format_age(timedelta(seconds=age)) == text
