"""A stack whose secrets store is a server with Vault's API, on the embedded host.

The server is the one of `tests/vault_server`, which verifies signatures and enforces policies; it is not Vault.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe

import pytest

from kinky.errors import CommandError
from tests.e2e import leaks, store_server
from tests.e2e.person import Person, wait_for
from tests.e2e.rotation import ROTATION_SECONDS
from tests.e2e.store_server import StoreServer
from tests.vault_server.faults import Fault

pytestmark = pytest.mark.host

STACK = "local-vault"
"""Git knows no stack file of this name."""
VALUE = token_urlsafe(24)
"""Not in any file of the checkout: the scan would find it there."""


@pytest.fixture(scope="module")
def server(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """A server that both sides reach, with the engine that an operator has enabled; it needs the running host."""
    with store_server.serve(tmp_path_factory.mktemp("store")) as running:
        enabled = running.operator.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        assert enabled.status == 204
        yield running


@pytest.fixture(scope="module")
def owner(server: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The person of a stack like the one of the other tests, with this store and a token for it."""
    with store_server.lend_stack(STACK, server, scratch=tmp_path_factory.mktemp(STACK)) as someone:
        yield someone


def test_a_server_that_is_sealed_is_named_before_anything_is_touched(owner: Person, server: StoreServer) -> None:
    with server.faults.during(Fault.SEALED), pytest.raises(CommandError):
        owner.up()
    assert "the server is sealed (503)" in (owner.scratch / "kinky.log").read_text()
    assert owner.left_on_host() == set()


def test_the_gate_opens_on_evidence_and_nothing_lasting_is_inside(owner: Person) -> None:
    owner.up()
    shown = owner.show_gate()
    assert shown.startswith("open since") and "CRITICAL" not in shown and shown.count("\nG") == 7
    assert "host-store-token" not in owner.kubectl("get", "secrets", "--all-namespaces", "--output", "name")
    assert not {name for name in owner.left_on_host() if "-store-" in name}
    owner.kinky("preview", "--stack", STACK, "--expect-no-changes", limit_seconds=300)


def test_a_value_goes_to_the_server_and_is_taken_back(owner: Person, server: StoreServer, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text(VALUE)
    owner.kinky("secrets", "set", "e2e", "--file", str(file), "--stack", STACK)
    assert "e2e" in owner.kinky("secrets", "list", "--stack", STACK)
    kept = server.operator.get(f"secret/data/kinky/{STACK}/e2e")
    assert kept.data["data"] == {"value": VALUE}
    owner.kinky("secrets", "rm", "e2e", "--stack", STACK)
    assert server.operator.get(f"secret/data/kinky/{STACK}/e2e").status == 404
    owner.kinky("secrets", "set", "kept", "--file", str(file), "--stack", STACK)


def test_s18_a_rotation_of_which_the_server_cannot_be_told_touches_nothing(owner: Person, server: StoreServer) -> None:
    with server.faults.during(Fault.SEALED):
        with pytest.raises(CommandError, match="nothing was touched"):
            owner.kinky("rotate", "service-account-key", "--stack", STACK)
        wait_for("the gate to tell", lambda: "CRITICAL: the secrets store" in owner.show_gate(), limit_seconds=180)
    wait_for("the store to work again", lambda: "CRITICAL" not in owner.show_gate(), limit_seconds=180)


def test_s18_the_server_learns_the_new_key_before_anything_signs_with_it(owner: Person, server: StoreServer) -> None:
    path = f"auth/kinky-{STACK}/config"
    (before,) = server.operator.get(path).data["jwt_validation_pubkeys"]
    owner.kinky("rotate", "service-account-key", "--drop-now", "--stack", STACK, limit_seconds=ROTATION_SECONDS)
    (after,) = server.operator.get(path).data["jwt_validation_pubkeys"]
    assert after != before
    owner.open_gate()


def test_no_value_of_the_server_and_no_token_for_it_is_where_it_may_not_be(owner: Person) -> None:
    report = leaks.check_scan(owner)
    assert not [text for text in report["unread"] if text.startswith("the values of the store")]


def test_destroy_leaves_nothing_on_the_server(owner: Person, server: StoreServer) -> None:
    owner.destroy()
    store_server.check_nothing_left(owner, server)
