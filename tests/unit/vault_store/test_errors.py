"""Each way in which a server can be of no use is one line that says which, and never a token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kinky.errors import KinkyError
from kinky.keys import certificates
from kinky.stores.vault import VaultStore
from kinky.vault import connection
from kinky.vault.token import read_token
from tests.unit.vault_store.conftest import Site
from tests.vault_server.faults import Fault
from tests.vault_server.server import SLOW_SECONDS


def refuse(store: VaultStore) -> str:
    """Return the message and the hint."""
    with pytest.raises(KinkyError) as caught:
        store.server.check()
    assert "\n" not in caught.value.message
    return f"{caught.value.message} | {caught.value.hint}"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.SEALED, "the server is sealed (503) | unseal it: bao operator unseal"),
        (Fault.UNREACHABLE, "it cannot be reached | check secretsStore.vault.address, and that it runs"),
        (Fault.FORBIDDEN, "your token is not valid, or has expired (403) | log in again: bao login, vault login"),
        (Fault.EXPIRED_TOKEN, "your token is not valid, or has expired (403) | log in again: bao login, vault login"),
    ],
)
def test_a_fault_is_told(site: Site, fault: Fault, expected: str) -> None:
    with site.faults.during(fault):
        told = refuse(site.store)
    assert expected in told
    assert told.startswith(f"secrets store {site.server.address}: cannot look at the engine secret: ")
    assert site.token_file.read_text() not in told


def test_a_slow_server_is_not_waited_for_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection.ANSWER_SECONDS < SLOW_SECONDS == 30
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 1.0)
    with site.faults.during(Fault.SLOW):
        told = refuse(site.store)
    name = f"secrets store {site.server.address}"
    assert told == f"{name}: cannot look at the engine secret: no answer in 1 s | look at the server's load"


def test_nobody_listens(site: Site) -> None:
    store = VaultStore(replace(site.target, address="https://127.0.0.1:1"))
    assert "it cannot be reached" in refuse(store)


def test_a_certificate_of_another_ca(site: Site) -> None:
    other = certificates.make_ca("another").certificate.decode()
    store = VaultStore(replace(site.target, ca=other))
    assert "its TLS certificate is not verified | secretsStore.vault.caFile must hold the CA" in refuse(store)


def test_a_public_ca_is_asked_for_when_none_is_given(site: Site) -> None:
    assert "its TLS certificate is not verified" in refuse(VaultStore(replace(site.target, ca="")))


def test_a_name_that_the_certificate_does_not_have(site: Site) -> None:
    port = site.server.address.rpartition(":")[2]
    store = VaultStore(replace(site.target, address=f"https://localhost:{port}"))
    assert "its TLS certificate is not verified" in refuse(store)


def test_a_mount_that_is_not_there(site: Site) -> None:
    told = refuse(VaultStore(replace(site.target, mount="nowhere")))
    assert "cannot look at the engine nowhere: your token is not allowed to do this (403)" in told


def test_an_engine_of_another_kind(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, expected in (({"version": "1"}, "kv version 1"), (None, "kv version 1")):
        answer = {"data": {"type": "kv", "options": options}}
        monkeypatch.setattr(connection.VaultApi, "read", lambda *_args, answer=answer, **_named: answer)
        with pytest.raises(KinkyError) as caught:
            site.store.server.check()
        assert f"the engine at secret is {expected}" in caught.value.message
        assert caught.value.details == ("needed: kv version 2",)


def test_a_token_is_read_from_a_file_the_environment_or_the_home(tmp_path: Path) -> None:
    file, home = tmp_path / "file", tmp_path / "home"
    home.mkdir()
    for path, text in ((file, "from-file\n"), (home / ".vault-token", "from-home")):
        path.touch(mode=0o600)
        path.write_text(text)
    both = {"VAULT_TOKEN_FILE": str(file), "VAULT_TOKEN": "from-environment"}
    assert read_token(environ=both, home=home) == "from-file"
    assert read_token(environ={"VAULT_TOKEN": "from-environment"}, home=home) == "from-environment"
    assert read_token(environ={}, home=home) == "from-home"
    with pytest.raises(KinkyError, match="there is no token of yours"):
        read_token(environ={}, home=tmp_path / "nobody")
    with pytest.raises(KinkyError, match="cannot read the token from"):
        read_token(environ={"VAULT_TOKEN_FILE": str(tmp_path / "none")}, home=home)
    file.chmod(0o644)
    with pytest.raises(KinkyError, match="can be read by others, mode 0644") as caught:
        read_token(environ=both, home=home)
    assert "from-file" not in str(caught.value)
    file.chmod(0o600)
    file.write_text("\n")
    with pytest.raises(KinkyError, match="is empty"):
        read_token(environ=both, home=home)


def test_a_token_is_in_no_repr(site: Site) -> None:
    assert site.token_file.read_text() not in repr(vars(site.target.open()))
