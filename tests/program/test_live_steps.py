"""The live steps as the engine calls them, with the functions behind them replaced."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dill
import pytest
from pulumi.dynamic.dynamic import serialize_provider

from kinky.bootstrap import certificates
from kinky.components import identity, steps, store_steps
from kinky.components.live_step import PROVIDER_KEY, Step, describe_access, is_unexpected, parse_access
from kinky.errors import HostError, KinkyError
from tests.program.live_calls import ACCESS, COMMON, Calls

STEPS = {
    found
    for module in (identity, steps, store_steps)
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, Step) and found is not Step
}


@dataclass
class Credentials:
    secret_name: str
    not_after: str


def test_access_survives_the_way_to_the_other_process() -> None:
    assert parse_access(describe_access(ACCESS)) == ACCESS


@pytest.mark.parametrize("step", sorted(STEPS, key=str), ids=lambda step: step.__name__)
def test_a_step_is_stored_by_reference(step: type[Step]) -> None:
    pickled = base64.b64decode(serialize_provider(step()))
    assert step.__module__.encode() in pickled
    modules = ("identity", "steps", "gate_steps", "store_steps")
    assert step.__module__ in {f"kinky.components.{module}" for module in modules}
    assert len(pickled) < 200
    assert type(dill.loads(pickled)) is step  # noqa: S301 - our own bytes
    assert step.serialize_as_secret_always


def test_the_same_inputs_are_no_change() -> None:
    step = steps.ClusterKeysStep()
    olds = {**COMMON, "secret_name": "dev-pki", "fingerprints": {}, PROVIDER_KEY: "old"}
    assert not step.diff("id", olds, {**COMMON, PROVIDER_KEY: "new"}).changes


def test_another_limit_is_no_change() -> None:
    olds = {**COMMON, "limit_seconds": 900.0, "server": "https://127.0.0.1:1"}
    assert not steps.NodesReadyStep().diff("id", olds, {**olds, "limit_seconds": 90.0}).changes


def test_another_node_runs_the_step_again() -> None:
    olds = {**COMMON, "addresses": {"dev-worker-0": "10.96.0.2"}}
    result = steps.NodesReadyStep().diff("id", olds, {**olds, "addresses": {}})
    assert result.changes
    assert result.replaces == []


def test_another_namespace_is_another_thing() -> None:
    result = steps.ClusterKeysStep().diff("id", COMMON, {**COMMON, "namespace": "elsewhere"})
    assert result.changes
    assert result.replaces == ["namespace"]
    assert result.delete_before_replace


def test_a_failing_step_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise HostError("host cluster: cannot create Secret dev-pki")

    monkeypatch.setattr(steps.keys, "ensure_cluster_keys", fail)
    with pytest.raises(KinkyError, match="dev-pki"):
        steps.ClusterKeysStep().create(dict(COMMON))


def test_an_expected_failure_leaves_no_traceback() -> None:
    def tell(error: Exception) -> logging.LogRecord:
        return logging.LogRecord("grpc", logging.ERROR, "", 0, "", (), (type(error), error, None))

    assert not is_unexpected(tell(HostError("known")))
    assert is_unexpected(tell(RuntimeError("a bug")))


WORKER = {**COMMON, "node": "dev-worker-0", "address": "10.96.0.2"}
ISSUED = {
    **WORKER,
    "secret_name": "credentials-1",
    "all_secret_names": ["credentials-1"],
    "not_after": "2026-01-01T00:00:00Z",
    "generation": 1,
}


def on_host(monkeypatch: pytest.MonkeyPatch, years: dict[int, str]) -> None:
    """Have the host hold certificates of these generations, valid until these years; 2026 is nearly over."""

    def ensure(*_: Any, generation: int) -> Credentials:
        return Credentials(f"credentials-{generation}", f"{years[generation]}-01-01T00:00:00Z")

    monkeypatch.setattr(steps.node_credentials, "is_renewal_due", lambda not_after: not_after.startswith("2026"))
    monkeypatch.setattr(steps.node_credentials, "ensure_node_credentials", ensure)


def test_credentials_are_renewed_at_half_of_their_life(monkeypatch: pytest.MonkeyPatch) -> None:
    on_host(monkeypatch, {1: "2026", 2: "2028"})
    step = steps.NodeCredentialsStep()
    assert step.diff("id", ISSUED, WORKER).changes
    outs = step.update("id", ISSUED, WORKER).outs or {}
    assert outs["generation"] == 2
    assert outs["all_secret_names"] == ["credentials-1", "credentials-2"]
    assert not step.diff("id", outs, WORKER).changes


def test_credentials_that_a_rotation_has_replaced_keep_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the VM would be given a new Secret, and have to restart, for certificates that are new."""
    on_host(monkeypatch, {1: "2028"})
    outs = steps.NodeCredentialsStep().update("id", ISSUED, WORKER).outs or {}
    assert (outs["secret_name"], outs["generation"]) == ("credentials-1", 1)
    assert outs["all_secret_names"] == ["credentials-1"]
    assert not steps.NodeCredentialsStep().diff("id", outs, WORKER).changes


def test_what_a_rotation_replaces_is_no_change() -> None:
    """Its fingerprints and times are outputs; only what a step was asked for is compared."""
    keys = {**COMMON, "secret_name": "dev-pki", "fingerprints": {"sa.pub": "before"}}
    assert not steps.ClusterKeysStep().diff("id", keys, dict(COMMON)).changes
    issued = {**ISSUED, "not_after": "2099-01-01T00:00:00Z", "fingerprints": {"kubelet-client.crt": "before"}}
    assert not steps.NodeCredentialsStep().diff("id", issued, WORKER).changes
    asked = {**COMMON, "server": "https://127.0.0.1:1", "hours": 24}
    token = {**asked, "expires_at": "2099-01-01T00:00:00Z", "fingerprint": "before"}
    assert not steps.StoreCredentialStep().diff("id", token, asked).changes


def test_a_token_is_renewed_at_half_of_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        steps.secrets_store, "is_token_renewal_due", lambda expires, hours: (expires, hours) == ("x", 2)
    )
    olds = {**COMMON, "server": "https://127.0.0.1:1", "hours": 2, "expires_at": "x"}
    news = {key: value for key, value in olds.items() if key != "expires_at"}
    assert steps.StoreCredentialStep().diff("id", olds, news).changes
    assert not steps.StoreCredentialStep().diff("id", {**olds, "expires_at": "later"}, news).changes


def test_the_kubeconfig_text_is_what_the_file_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig.yaml"
    path.write_text("{}")
    record = steps.forming.OutsideRecord(
        server="https://127.0.0.1:1",
        kubeconfig=str(path),
        cluster_uid="u",
        kubernetes_version="v1.36.3",
        ca_fingerprint="f",
        tls_seconds=1.0,
        ready_seconds=2.0,
    )
    calls = Calls()
    monkeypatch.setattr(steps.forming, "prove_outside", calls.take("prove", returns=record))
    inputs = {
        **COMMON,
        "control_planes": ["dev-control-plane-0"],
        "stack": "organization/kinky/dev",
        "mode": "forward",
        # Numbers come back from the engine as floats.
        "local_port": 16443.0,
        "node_port": 0.0,
        "kinky_command": "/bin/kinky",
        "limit_seconds": 900.0,
    }
    outs = steps.OutsideReadyStep().create(inputs).outs or {}
    assert outs["kubeconfig_text"] == "{}"
    publish = calls.made[0][1][2]
    assert publish.local_port == 16443
    assert isinstance(publish.local_port, int)
    assert publish.node_port is None


VAULT = {**COMMON, "server": "", "store": {"kind": "vault", "vault": {"address": "https://vault.example:8200"}}}


@dataclass
class Server:
    calls: Calls

    def set_up(self, public_keys: list[bytes]) -> None:
        self.calls.take("set_up")(public_keys)

    def tear_down(self) -> None:
        self.calls.take("tear_down")()


@dataclass
class ServedStore:
    server: Server | None


def test_a_server_is_told_the_public_keys_that_the_host_holds_and_nothing_of_it_is_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Calls()
    monkeypatch.setattr(store_steps, "parse_store", lambda _inputs: ServedStore(Server(calls)))
    key = certificates.derive_public_key(certificates.make_key())
    monkeypatch.setattr(store_steps, "fetch_public_keys", lambda _api, _cluster: [key])
    step = store_steps.StoreServedStep()
    outs = step.create(dict(VAULT)).outs or {}
    assert outs == {**VAULT, "key_ids": [certificates.build_key_id(key)]}
    assert not step.diff("id", outs, dict(VAULT)).changes, "a rotated key is no change"
    step.delete("id", outs)
    assert calls.made == [("set_up", ([key],)), ("tear_down", ())]


def test_another_address_is_told_too() -> None:
    moved = {**VAULT, "store": {"kind": "vault", "vault": {"address": "https://other.example:8200"}}}
    result = store_steps.StoreServedStep().diff("id", VAULT, moved)
    assert result.changes
    assert result.replaces == [], "a replacement would remove the operator's values"


def test_a_value_on_a_server_goes_with_the_server_s_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN_FILE", "/nowhere")
    target = {
        **dict.fromkeys(
            ("address", "authority", "namespace", "mount", "prefix", "auth_mount", "role", "audience", "issuer"), "x"
        ),
        "cluster": "dev",
        "token_minutes": 10.0,
    }
    inputs = {**VAULT, "store": {"kind": "vault", "vault": target}, "value": "message", "key": "message"}
    steps.StoreValueStep().delete("id", inputs)
