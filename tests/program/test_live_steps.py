"""The live steps as the engine calls them, with the functions behind them replaced."""

from __future__ import annotations

import base64
import importlib
import logging
import pkgutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import dill
import pytest
from pulumi.dynamic.dynamic import serialize_provider

from kinky.components import steps
from kinky.components.live_step import LiveStep, StoreInputs, is_unexpected
from kinky.components.properties import Mark, describe, find_hints, find_marked
from kinky.components.steps import LIVE_STEPS, forming, keys, store
from kinky.components.steps.forming import NodesReadyInputs, OutsideReadyInputs
from kinky.components.steps.keys import ClusterKeysInputs
from kinky.components.steps.store import (
    StoreCredentialInputs,
    StoreCredentialOutputs,
    StoreServedOutputs,
    StoreValueInputs,
)
from kinky.errors import HostError, KinkyError
from kinky.forming.tables import NodesRecord
from kinky.keys import certificates
from kinky.keys.material import KeyRecord
from kinky.reach.exposure import PublishSpec
from kinky.stores.values import StoreValueRecord
from tests.program.live_calls import ACCESS, Calls, kept
from tests.program.recorder import OUTPUTS

KEYS = ClusterKeysInputs(access=ACCESS, kms_config="")
MADE_KEYS = KeyRecord("dev-pki", {"sa.pub": "before"})
SERVER = "https://127.0.0.1:1"
READY = NodesReadyInputs(access=ACCESS, server=SERVER, addresses={"dev-worker-0": "10.96.0.2"}, limit_seconds=900.0)
every_step = pytest.mark.parametrize("live_step", LIVE_STEPS, ids=lambda each: each.__name__)


def test_the_registry_holds_each_live_step() -> None:
    modules = [
        importlib.import_module(f"{steps.__name__}.{each.name}") for each in pkgutil.iter_modules(steps.__path__)
    ]
    found = {
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, LiveStep) and each is not LiveStep
    }
    assert found == set(LIVE_STEPS)
    assert {each for each, _outputs in OUTPUTS} == found, "the recorder answers for each"


@every_step
def test_a_live_step_is_of_one_piece(live_step: type[LiveStep[Any, Any]]) -> None:
    step = live_step.step
    assert get_args(live_step.__orig_bases__[0]) == (step.inputs, step.outputs)  # type: ignore[attr-defined]
    assert step.__name__ == f"{live_step.__name__}Step"
    # Such an input would look changed at each run, and would be lost to the deletion.
    assert not find_hints(step.inputs).keys() & find_hints(step.outputs).keys(), "an output hides an input"
    limits = {name for name in find_hints(step.inputs) if name.endswith("_seconds")}
    assert limits == set(find_marked(step.inputs, Mark.LIMIT)), "the name and the mark say the same"


@every_step
def test_a_step_is_stored_by_reference(live_step: type[LiveStep[Any, Any]]) -> None:
    step = live_step.step
    pickled = base64.b64decode(serialize_provider(step()))
    assert step.__module__.encode() in pickled
    assert len(pickled) < 200
    assert type(dill.loads(pickled)) is step  # noqa: S301 - our own bytes
    assert step.serialize_as_secret_always


def test_the_same_inputs_are_no_change() -> None:
    olds = kept(KEYS, MADE_KEYS)
    assert not keys.ClusterKeysStep().diff("id", olds, {**describe(KEYS), "__provider": "new"}).changes


def test_another_limit_is_no_change() -> None:
    olds = kept(READY, NodesRecord((), 1.0))
    assert not forming.NodesReadyStep().diff("id", olds, describe(replace(READY, limit_seconds=90.0))).changes


def test_another_node_runs_the_step_again() -> None:
    result = forming.NodesReadyStep().diff(
        "id", kept(READY, NodesRecord((), 1.0)), describe(replace(READY, addresses={}))
    )
    assert result.changes
    assert result.replaces == []


def test_what_a_preview_does_not_know_yet_is_a_change() -> None:
    news = {**describe(READY), "server": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}
    assert forming.NodesReadyStep().diff("id", kept(READY, NodesRecord((), 1.0)), news).changes


def test_another_namespace_is_another_thing() -> None:
    news = describe(replace(KEYS, access=replace(ACCESS, namespace="elsewhere")))
    result = keys.ClusterKeysStep().diff("id", kept(KEYS, MADE_KEYS), news)
    assert result.changes
    assert result.replaces == ["access"]
    assert result.delete_before_replace


def test_another_file_with_the_same_host_is_no_other_thing() -> None:
    news = describe(replace(KEYS, access=replace(ACCESS, kubeconfig="/elsewhere")))
    result = keys.ClusterKeysStep().diff("id", kept(KEYS, MADE_KEYS), news)
    assert result.changes
    assert result.replaces == []


def test_a_failing_step_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise HostError("host cluster: cannot create Secret dev-pki")

    monkeypatch.setattr(keys.material, "ensure_cluster_keys", fail)
    with pytest.raises(KinkyError, match="dev-pki"):
        keys.ClusterKeysStep().create(describe(KEYS))


def test_an_expected_failure_leaves_no_traceback() -> None:
    def tell(error: Exception) -> logging.LogRecord:
        return logging.LogRecord("grpc", logging.ERROR, "", 0, "", (), (type(error), error, None))

    assert not is_unexpected(tell(HostError("known")))
    assert is_unexpected(tell(RuntimeError("a bug")))


def test_what_a_rotation_replaces_is_no_change() -> None:
    """Its fingerprints and times are outputs; only what a step was asked for is compared."""
    assert not keys.ClusterKeysStep().diff("id", kept(KEYS, MADE_KEYS), describe(KEYS)).changes
    token = kept(ASKED, replace(TOKEN, expires_at="2099-01-01T00:00:00Z"))
    assert not store.StoreCredentialStep().diff("id", token, describe(ASKED)).changes


ASKED = StoreCredentialInputs(access=ACCESS, server=SERVER, hours=2)
TOKEN = StoreCredentialOutputs(
    secret="kinky-system/host-store-token", fingerprint="before", expires_at="x", host_server="", host_ca_bundle=""
)


def test_a_token_is_renewed_at_half_of_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        store.secrets_store, "is_token_renewal_due", lambda expires, hours: (expires, hours) == ("x", 2)
    )
    step, news = store.StoreCredentialStep(), describe(ASKED)
    assert step.diff("id", kept(ASKED, TOKEN), news).changes
    assert not step.diff("id", kept(ASKED, replace(TOKEN, expires_at="later")), news).changes


def test_the_kubeconfig_text_is_what_the_file_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig.yaml"
    path.write_text("{}")
    record = forming.tables.OutsideRecord(
        server="https://127.0.0.1:1",
        kubeconfig=str(path),
        cluster_uid="u",
        kubernetes_version="v1.36.3",
        ca_fingerprint="f",
        tls_seconds=1.0,
        ready_seconds=2.0,
    )
    calls = Calls()
    monkeypatch.setattr(forming.tables, "prove_outside", calls.take("prove", returns=record))
    inputs = OutsideReadyInputs(
        access=ACCESS,
        control_planes=("dev-control-plane-0",),
        stack="organization/kinky/dev",
        publish=PublishSpec("forward", local_port=16443),
        kinky_command="/bin/kinky",
        ca_file="/home/me/ca.crt",
        limit_seconds=900.0,
    )
    outs = forming.OutsideReadyStep().create(describe(inputs)).outs or {}
    assert outs["kubeconfig_text"] == "{}"
    assert calls.made[0][1][1:3] == (inputs.control_planes, inputs.publish)
    assert calls.made[0][1][0].access == ACCESS


VAULT = StoreInputs(
    access=ACCESS, server="", store={"kind": "vault", "vault": {"address": "https://vault.example:8200"}}
)
SERVED = StoreServedOutputs(key_ids=("0123",))


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
    monkeypatch.setattr(StoreInputs, "open_store", lambda _inputs: ServedStore(Server(calls)))
    key = certificates.derive_public_key(certificates.make_key())
    monkeypatch.setattr(store, "fetch_public_keys", lambda _api, _cluster: [key])
    step = store.StoreServedStep()
    outs = step.create(describe(VAULT)).outs or {}
    assert outs == {**describe(VAULT), "key_ids": [certificates.build_key_id(key)]}
    assert not step.diff("id", outs, describe(VAULT)).changes, "a rotated key is no change"
    step.delete("id", outs)
    assert calls.made == [("set_up", ([key],)), ("tear_down", ())]


def test_another_address_is_told_too() -> None:
    moved = replace(VAULT, store={"kind": "vault", "vault": {"address": "https://other.example:8200"}})
    result = store.StoreServedStep().diff("id", kept(VAULT, SERVED), describe(moved))
    assert result.changes
    assert result.replaces == [], "a replacement would remove the operator's values"


def test_a_value_on_a_server_goes_with_the_server_s_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN_FILE", "/nowhere")
    target = {
        **dict.fromkeys(
            ("address", "ca", "namespace", "mount", "prefix", "auth_mount", "role", "audience", "issuer"), "x"
        ),
        "cluster": "dev",
        "token_minutes": 10.0,
    }
    inputs = StoreValueInputs(
        access=ACCESS, server="", store={"kind": "vault", "vault": target}, value="message", key="message"
    )
    store.StoreValueStep().delete("id", kept(inputs, StoreValueRecord("", "")))
