"""The step of a worker's credentials as the engine calls it: renewed by age, made again when the Secret is gone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from kinky.components.properties import describe
from kinky.components.steps import keys
from kinky.components.steps.keys import NodeCredentialsInputs, NodeCredentialsOutputs
from kinky.keys.node_credentials import NodeCredentialRecord
from kinky.kube.host import HostApi
from tests.program.live_calls import ACCESS, kept

WORKER = NodeCredentialsInputs(access=ACCESS, node="dev-worker-0", address="10.96.0.2")
ISSUED = NodeCredentialsOutputs(
    secret_name="credentials-1",
    all_secret_names=("credentials-1",),
    not_after="2026-01-01T00:00:00Z",
    fingerprints={},
    generation=1,
)


def on_host(monkeypatch: pytest.MonkeyPatch, years: dict[int, str]) -> None:
    """Have the host hold certificates of these generations, valid until these years; 2026 is nearly over."""

    def ensure(*_: Any, generation: int) -> NodeCredentialRecord:
        return NodeCredentialRecord(f"credentials-{generation}", f"{years[generation]}-01-01T00:00:00Z")

    monkeypatch.setattr(keys.node_credentials, "is_renewal_due", lambda not_after: not_after.startswith("2026"))
    monkeypatch.setattr(keys.node_credentials, "ensure_node_credentials", ensure)
    hold_credentials(monkeypatch, {f"credentials-{generation}" for generation in years})


def hold_credentials(monkeypatch: pytest.MonkeyPatch, names: Collection[str]) -> None:
    """Have the host hold the Secrets of these names, and no other."""

    def fetch(_: HostApi, name: str) -> dict[str, bytes] | None:
        return {"kubelet-client.crt": b"x"} if name in names else None

    monkeypatch.setattr(HostApi, "fetch_secret_here", fetch)


def test_credentials_are_renewed_at_half_of_their_life(monkeypatch: pytest.MonkeyPatch) -> None:
    on_host(monkeypatch, {1: "2026", 2: "2028"})
    step = keys.NodeCredentialsStep()
    assert step.diff("id", kept(WORKER, ISSUED), describe(WORKER)).changes
    outs = step.update("id", kept(WORKER, ISSUED), describe(WORKER)).outs or {}
    assert outs["generation"] == 2
    assert outs["all_secret_names"] == ["credentials-1", "credentials-2"]
    assert not step.diff("id", outs, describe(WORKER)).changes


def test_credentials_that_a_rotation_has_replaced_keep_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the VM would be given a new Secret, and have to restart, for certificates that are new."""
    on_host(monkeypatch, {1: "2028"})
    outs = keys.NodeCredentialsStep().update("id", kept(WORKER, ISSUED), describe(WORKER)).outs or {}
    assert (outs["secret_name"], outs["generation"]) == ("credentials-1", 1)
    assert outs["all_secret_names"] == ["credentials-1"]
    assert not keys.NodeCredentialsStep().diff("id", outs, describe(WORKER)).changes


def test_credentials_whose_secret_was_deleted_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its Secret a node does not boot again."""
    issued = kept(WORKER, replace(ISSUED, not_after="2099-01-01T00:00:00Z"))
    hold_credentials(monkeypatch, ["credentials-1"])
    assert not keys.NodeCredentialsStep().diff("id", issued, describe(WORKER)).changes
    hold_credentials(monkeypatch, ["credentials-2"])
    assert keys.NodeCredentialsStep().diff("id", issued, describe(WORKER)).changes


def test_credentials_that_a_rotation_has_replaced_are_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their fingerprints and times are outputs; only what the step was asked for is compared."""
    hold_credentials(monkeypatch, ["credentials-1"])
    issued = replace(ISSUED, not_after="2099-01-01T00:00:00Z", fingerprints={"kubelet-client.crt": "before"})
    assert not keys.NodeCredentialsStep().diff("id", kept(WORKER, issued), describe(WORKER)).changes
