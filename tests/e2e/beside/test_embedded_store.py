"""A stack that is thrown away, with its secrets store inside the cluster itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinky import names
from tests.e2e import leaks, values
from tests.e2e.person import DESTROY_SECONDS, Person
from tests.e2e.printed import check_once
from tests.e2e.rotation import rotate

pytestmark = pytest.mark.host

STACK = "local-embedded"
"""Git knows no stack file of this name."""
CHOICES = {
    "kinky:cluster": {"name": STACK, "ephemeral": True, "lease": {"ttl": "2h"}},
    "kinky:secretsStore": {"kind": "inCluster"},
}


def test_the_gate_opens_on_evidence_and_up_says_what_this_store_is_not(owner: Person) -> None:
    log = owner.scratch / "kinky.log"
    start = log.stat().st_size
    owner.up()
    printed = log.read_bytes()[start:].decode()
    assert "the store is lost with the cluster" in printed
    check_once(printed)
    shown = owner.show_gate()
    assert shown.startswith("open since") and "CRITICAL" not in shown and shown.count("\nG") == 7
    owner.kinky("preview", "--stack", STACK, "--expect-no-changes", limit_seconds=300)


def test_a_value_goes_inside_and_nothing_of_it_is_on_the_host(owner: Person, tmp_path: Path) -> None:
    before = owner.left_on_host()
    with values.seed(owner, "e2e", tmp_path):
        assert "e2e" in owner.kubectl("get", "secrets", "--namespace", names.NAMESPACE_STORE, "--output", "name")
        assert owner.left_on_host() == before
        leaks.check_scan(owner)
    assert not {name for name in before if "-store-" in name or "-token-" in name}


def test_external_secrets_has_no_token_that_lasts(owner: Person) -> None:
    assert "host-store-token" not in owner.kubectl("get", "secrets", "--all-namespaces", "--output", "name")
    rotate(owner, "store-credential")


def test_the_end_of_its_lease_leaves_nothing_on_the_host(owner: Person) -> None:
    owner.kinky("lease", "end", "--stack", STACK, limit_seconds=DESTROY_SECONDS)
    assert owner.left_on_host() == set()
    assert not owner.host("get", "jobs", "--output", "name")
