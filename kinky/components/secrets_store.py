"""The secrets store: its values and who may read them, its inner end, and the gate that opens on its proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from kinky.components.bodies import declare_all
from kinky.components.live_step import StoreInputs
from kinky.components.steps.gate import GateOpened, GateOpenedInputs
from kinky.components.steps.store import (
    StoreCredential,
    StoreCredentialInputs,
    StoreServed,
    StoreValue,
    StoreValueInputs,
)
from kinky.config.model import KinkyConfig
from kinky.kube.access import HostAccess
from kinky.manifests import secrets_store, store_values, stores
from kinky.stores.opening import build_ca_bundle

VALUE_KEYS = {
    store_values.CANARY_VALUE: store_values.CANARY_KEY,
    store_values.WORKLOAD_VALUE: store_values.WORKLOAD_KEY,
}

PROOF_LIMIT_SECONDS = 600.0
"""The controller must start first, which took up to three minutes under emulation."""


@dataclass(frozen=True, kw_only=True)
class StoreValuesArgs:
    """Where the store's values are made."""

    config: KinkyConfig
    access: HostAccess
    store: Mapping[str, Any]
    server: str
    """URL of the inner API for a store that is inside; else empty, so that nothing waits for it."""
    after: Sequence[pulumi.Resource]
    """Resources that must exist before anything of the store."""


class StoreValues(pulumi.ComponentResource):
    """Where the values are: random ones that the program makes, and a reader that may get these and nothing else."""

    def __init__(self, name: str, args: StoreValuesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the values and their reader."""
        super().__init__("kinky:host:StoreValues", name, None, opts)
        form = stores.of(args.config)
        before: list[pulumi.Resource] = [*args.after, *declare_all(self, form.build_source(args.config), prefix=name)]
        if form.has_server():
            before.append(self._declare_server(args))
        for value in store_values.store_values(args.config):
            self._declare_value(args, value, after=before)
        self.register_outputs({})

    def _declare_server(self, args: StoreValuesArgs) -> StoreServed:
        """Declare what a server of the store's own is told."""
        inputs = StoreInputs(access=args.access, server=args.server, store=args.store)
        # It is told the public keys, which the step reads from the host.
        opts = pulumi.ResourceOptions(parent=self, depends_on=list(args.after))
        return StoreServed(f"{args.config.cluster.name}-store-server", inputs, opts)

    def _declare_value(self, args: StoreValuesArgs, value: str, *, after: list[pulumi.Resource]) -> None:
        """Declare one value of the store; the step makes it, so it never passes through Pulumi."""
        inputs = StoreValueInputs(
            access=args.access, server=args.server, store=args.store, value=value, key=VALUE_KEYS[value]
        )
        # The step uses no provider that would wait for the namespace, on the host or inside.
        opts = pulumi.ResourceOptions(parent=self, depends_on=after)
        StoreValue(f"{args.config.cluster.name}-store-{value}", inputs, opts)


@dataclass(frozen=True, kw_only=True)
class SecretsStoreArgs:
    """Arguments of the inner side of the store."""

    config: KinkyConfig
    access: HostAccess
    store: Mapping[str, Any]
    server: str
    kubeconfig_text: str
    values: StoreValues
    controller: Sequence[pulumi.Resource]
    """The resource that serves the store's kinds."""
    nodes_ready: pulumi.Resource
    workers: tuple[str, ...]
    """Names of the workers: another one has to be let in."""


class SecretsStore(pulumi.ComponentResource):
    """The inner side: credential, store and canary; a workload needs what only the opened gate resolves."""

    workloads_kubeconfig: pulumi.Output[str]
    evidence: pulumi.Output[dict[str, object]]
    gate: GateOpened

    def __init__(self, name: str, args: SecretsStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the store, and the gate that opens once it is proved."""
        super().__init__("kinky:inner:SecretsStore", name, None, opts)
        credential = self._declare_credential(args) if stores.of(args.config).has_token() else None
        token = credential.outputs if credential else None
        rights = declare_all(self, stores.of(args.config).build_rights(args.config), prefix=name)
        bodies = secrets_store.build_store(
            args.config,
            server=token.host_server if token else None,
            ca_bundle=token.host_ca_bundle if token else build_ca_bundle(args.store),
        )
        # A store that cannot be read would start with an error.
        before = [*args.controller, args.values, *rights, *([credential] if credential else [])]
        store = declare_all(self, bodies, prefix=name, depends_on=before)
        self.gate = self._declare_gate(args, after=[*store, args.values, args.nodes_ready])
        opened = self.gate.outputs
        self.workloads_kubeconfig = pulumi.Output.from_input(opened.workloads_kubeconfig)
        self.evidence = pulumi.Output.all(
            store=secrets_store.STORE,
            proved_at=opened.proved_at,
            first_seconds=opened.first_seconds,
            second_seconds=opened.second_seconds,
            credential_fingerprint=token.fingerprint if token else None,
            credential_expires_at=token.expires_at if token else None,
        )
        self.register_outputs({})

    def _declare_credential(self, args: SecretsStoreArgs) -> StoreCredential:
        """Declare the token; the step writes it, so it never passes through Pulumi."""
        cluster = args.config.cluster.name
        inputs = StoreCredentialInputs(
            access=args.access, server=args.server, hours=args.config.secrets_store.token_hours
        )
        # The token's reader is in `values`, and its namespace comes with the controller.
        opts = pulumi.ResourceOptions(parent=self, depends_on=[args.values, *args.controller])
        return StoreCredential(f"{cluster}-store-credential", inputs, opts)

    def _declare_gate(self, args: SecretsStoreArgs, *, after: list[pulumi.Resource]) -> GateOpened:
        """Declare the proof and the opening."""
        config = args.config
        inputs = GateOpenedInputs(
            access=args.access,
            server=args.server,
            kubeconfig_text=args.kubeconfig_text,
            store_name=secrets_store.STORE,
            store=args.store,
            probes=tuple(secrets_store.build_probes(config)),
            workers=args.workers,
            limit_seconds=config.timeouts.seconds(PROOF_LIMIT_SECONDS),
        )
        # The proof reads what the store's objects bring about; no value of theirs flows into it.
        opts = pulumi.ResourceOptions(parent=self, depends_on=after)
        return GateOpened(f"{config.cluster.name}-gate-opened", inputs, opts)
