"""The secrets store: its values and who may read them, its inner end, and the gate that opens on its proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from kinky.bootstrap.stores.opening import build_ca_bundle
from kinky.components import gate_steps, steps
from kinky.components.bodies import declare_all
from kinky.components.live_step import Properties
from kinky.components.store_steps import StoreServed, StoreServedStep
from kinky.config.model import KinkyConfig
from kinky.manifests import secrets_store, store_values, stores

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
    access: Properties
    store: Mapping[str, Any]
    server: pulumi.Input[str]
    """URL of the inner API for a store that is inside; else empty, so that nothing waits for it."""
    after: Sequence[pulumi.Resource]
    """What must be there before anything of the store."""


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
        inputs = {**args.access, "server": args.server, "store": args.store}
        # It is told the public keys, which the step reads from the host.
        opts = pulumi.ResourceOptions(parent=self, depends_on=list(args.after))
        return StoreServed(StoreServedStep(), f"{args.config.cluster.name}-store-server", inputs, opts)

    def _declare_value(self, args: StoreValuesArgs, value: str, *, after: list[pulumi.Resource]) -> None:
        """Declare one value of the store; the step makes it, so it never passes through Pulumi."""
        inputs = {
            **args.access,
            "server": args.server,
            "store": args.store,
            "value": value,
            "key": VALUE_KEYS[value],
        }
        # The step uses no provider that would wait for the namespace, on the host or inside.
        opts = pulumi.ResourceOptions(parent=self, depends_on=after)
        steps.StoreValue(steps.StoreValueStep(), f"{args.config.cluster.name}-store-{value}", inputs, opts)


@dataclass(frozen=True, kw_only=True)
class SecretsStoreArgs:
    """What the inner side of the store is made of."""

    config: KinkyConfig
    access: Properties
    store: Mapping[str, Any]
    server: pulumi.Input[str]
    kubeconfig_text: pulumi.Input[str]
    values: StoreValues
    controller: Sequence[pulumi.Resource]
    """What serves the store's kinds."""
    nodes_ready: pulumi.Resource
    workers: Sequence[str]
    """Names of the workers: another one has to be let in."""


class SecretsStore(pulumi.ComponentResource):
    """The inner side: credential, store and canary; a workload needs what only the opened gate resolves."""

    workloads_kubeconfig: pulumi.Output[str]
    evidence: pulumi.Output[dict[str, object]]
    gate: gate_steps.GateOpened

    def __init__(self, name: str, args: SecretsStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the store, and the gate that opens once it is proved."""
        super().__init__("kinky:inner:SecretsStore", name, None, opts)
        credential = self._declare_credential(args) if stores.of(args.config).has_token() else None
        rights = declare_all(self, stores.of(args.config).build_rights(args.config), prefix=name)
        bodies = secrets_store.build_store(
            args.config,
            server=credential.host_server if credential else None,
            ca_bundle=credential.host_ca_bundle if credential else build_ca_bundle(args.store),
        )
        # A store that cannot be read would start with an error.
        before = [*args.controller, args.values, *rights, *([credential] if credential else [])]
        store = declare_all(self, bodies, prefix=name, depends_on=before)
        self.gate = self._declare_gate(args, after=[*store, args.values, args.nodes_ready])
        self.workloads_kubeconfig = self.gate.workloads_kubeconfig
        self.evidence = pulumi.Output.all(
            store=secrets_store.STORE,
            proved_at=self.gate.proved_at,
            first_seconds=self.gate.first_seconds,
            second_seconds=self.gate.second_seconds,
            credential_fingerprint=credential.fingerprint if credential else None,
            credential_expires_at=credential.expires_at if credential else None,
        )
        self.register_outputs({})

    def _declare_credential(self, args: SecretsStoreArgs) -> steps.StoreCredential:
        """Declare the token; the step writes it, so it never passes through Pulumi."""
        cluster = args.config.cluster.name
        inputs = {**args.access, "server": args.server, "hours": args.config.secrets_store.token_hours}
        # The token's reader is in `values`, and its namespace comes with the controller.
        opts = pulumi.ResourceOptions(parent=self, depends_on=[args.values, *args.controller])
        return steps.StoreCredential(steps.StoreCredentialStep(), f"{cluster}-store-credential", inputs, opts)

    def _declare_gate(self, args: SecretsStoreArgs, *, after: list[pulumi.Resource]) -> gate_steps.GateOpened:
        """Declare the proof and the opening."""
        config = args.config
        inputs = {
            **args.access,
            "server": args.server,
            "kubeconfig_text": args.kubeconfig_text,
            "store_name": secrets_store.STORE,
            "store": args.store,
            "probes": list(secrets_store.build_probes(config)),
            "workers": list(args.workers),
            "limit_seconds": config.timeouts.seconds(PROOF_LIMIT_SECONDS),
        }
        # The proof reads what the store's objects bring about; no value of theirs flows into it.
        opts = pulumi.ResourceOptions(parent=self, depends_on=after)
        return gate_steps.GateOpened(gate_steps.GateOpenedStep(), f"{config.cluster.name}-gate-opened", inputs, opts)
