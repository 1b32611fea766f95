"""A stack whose secrets store is a real server of Vault's API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe

import pytest

from tests import vault_real
from tests.e2e import store_server
from tests.e2e.person import Person
from tests.e2e.store_server import StoreServer
from tests.unit.vault.conftest import wait_for_engine

pytestmark = pytest.mark.soak

STACK = "local-vault-real"
"""Git knows no stack file of this name."""
VALUE = token_urlsafe(24)
"""Not in any file of the checkout: the scan would find it there."""


@pytest.fixture(scope="module")
def server(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """The server, reached from both sides, with the engine that an operator has enabled."""
    with store_server.serve(tmp_path_factory.mktemp("store"), program=(vault_real.build(),)) as running:
        enabled = running.operator.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        assert enabled.status == 204
        wait_for_engine(running.operator)
        yield running


@pytest.fixture(scope="module")
def owner(server: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The person of a stack with this store and a token for it."""
    with store_server.lend_stack(STACK, server, scratch=tmp_path_factory.mktemp(STACK)) as someone:
        yield someone


def test_the_gate_opens_on_evidence(owner: Person) -> None:
    owner.up()
    shown = owner.show_gate()
    assert shown.startswith("open since") and "CRITICAL" not in shown and shown.count("\nG") == 7
    owner.kinky("preview", "--stack", STACK, "--expect-no-changes", limit_seconds=300)


def test_a_value_goes_to_the_server(owner: Person, server: StoreServer, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text(VALUE)
    owner.kinky("secrets", "set", "kept", "--file", str(file), "--stack", STACK)
    assert server.operator.get(f"secret/data/kinky/{STACK}/kept").data["data"] == {"value": VALUE}


def test_destroy_leaves_nothing_on_the_server(owner: Person, server: StoreServer) -> None:
    owner.destroy()
    store_server.check_nothing_left(owner, server)
