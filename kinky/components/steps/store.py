"""The live steps of the secrets store: its values, its server if it has one of its own, and its token inside."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from kinky.components.live_step import InnerInputs, LiveStep, Step, StoreInputs
from kinky.components.properties import Identity
from kinky.gate import drift
from kinky.keys.certificates import build_key_id
from kinky.keys.material import fetch_public_keys
from kinky.stores import secrets_store, values
from kinky.stores.secrets_store import TokenRecord
from kinky.stores.store import StoreServer
from kinky.stores.values import StoreValueRecord


@dataclass(frozen=True, kw_only=True)
class StoreValueInputs(StoreInputs):
    """Which value it is."""

    value: Identity
    key: str


class StoreValueStep(Step[StoreValueInputs, StoreValueRecord]):
    """Make one random value of the secrets store once, straight into the store."""

    def _run(self, inputs: StoreValueInputs, previous: StoreValueRecord | None) -> StoreValueRecord:
        return values.ensure_store_value(inputs.open_store(), inputs.value, key=inputs.key)

    def _undo(self, inputs: StoreValueInputs, outputs: StoreValueRecord) -> None:
        inputs.open_store().forget(inputs.value)


class StoreValue(LiveStep[StoreValueInputs, StoreValueRecord]):
    """One value of the secrets store; the program knows its fingerprint only."""

    step = StoreValueStep


@dataclass(frozen=True, kw_only=True)
class StoreServedOutputs:
    """The settings that the store's server has."""

    key_ids: tuple[str, ...]
    """Those of the public keys whose tokens it takes."""


class StoreServedStep(Step[StoreInputs, StoreServedOutputs]):
    """Tell the store's server whose tokens to take and what they may read; take all of it away at the end."""

    def _run(self, inputs: StoreInputs, previous: StoreServedOutputs | None) -> StoreServedOutputs:
        public_keys = fetch_public_keys(inputs.reach.host(), inputs.access.cluster)
        _find_server(inputs).set_up(public_keys)
        return StoreServedOutputs(key_ids=tuple(build_key_id(key) for key in public_keys))

    def _undo(self, inputs: StoreInputs, outputs: StoreServedOutputs) -> None:
        _find_server(inputs).tear_down()


class StoreServed(LiveStep[StoreInputs, StoreServedOutputs]):
    """The server of a store that has one of its own, told what it has to know of the cluster."""

    step = StoreServedStep


@dataclass(frozen=True, kw_only=True)
class StoreCredentialInputs(InnerInputs):
    """For how long the token is valid."""

    hours: int


@dataclass(frozen=True, kw_only=True)
class StoreCredentialOutputs(TokenRecord):
    """The token's name and end, and how a pod reaches the store."""

    host_server: str
    host_ca_bundle: str


class StoreCredentialStep(Step[StoreCredentialInputs, StoreCredentialOutputs]):
    """Write a token for the store straight into the inner cluster; renew it at half of its life."""

    def _run(self, inputs: StoreCredentialInputs, previous: StoreCredentialOutputs | None) -> StoreCredentialOutputs:
        reach = inputs.reach
        token = secrets_store.ensure_store_token(reach, hours=inputs.hours)
        host = secrets_store.fetch_store_server(reach.host())
        bundle = base64.b64encode(host.ca_certificate.encode()).decode()
        return StoreCredentialOutputs(**vars(token), host_server=host.url, host_ca_bundle=bundle)

    def _is_due(self, inputs: StoreCredentialInputs, outputs: StoreCredentialOutputs) -> bool:
        if secrets_store.is_token_renewal_due(outputs.expires_at, inputs.hours):
            return True
        return drift.has_ended_token(inputs.reach)


class StoreCredential(LiveStep[StoreCredentialInputs, StoreCredentialOutputs]):
    """The store's credential inside the inner cluster, and how a pod reaches the store."""

    step = StoreCredentialStep


def _find_server(inputs: StoreInputs) -> StoreServer:
    found = inputs.open_store().server
    if found is None:
        raise TypeError("this step is for stores with a server of their own")
    return found
