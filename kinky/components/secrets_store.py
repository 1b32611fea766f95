"""The secrets store: its values on the host, its reader in the inner cluster, and the gate that opens on its proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from kinky.components import gate_steps, steps
from kinky.components.bodies import declare_all
from kinky.components.live_step import Properties
from kinky.config.model import KinkyConfig
from kinky.manifests import host_rbac, secrets_store

VALUE_KEYS = {
    secrets_store.CANARY_VALUE: secrets_store.CANARY_KEY,
    secrets_store.WORKLOAD_VALUE: secrets_store.WORKLOAD_KEY,
}

PROOF_LIMIT_SECONDS = 600.0
"""The controller must start first, which took up to three minutes under emulation."""


@dataclass(frozen=True, kw_only=True)
class StoreValuesArgs:
    """Where the store's values are made."""

    config: KinkyConfig
    access: Properties
    claim: pulumi.Resource


class StoreValues(pulumi.ComponentResource):
    """The host side: random values in Secrets, and a ServiceAccount that may read these and nothing else."""

    def __init__(self, name: str, args: StoreValuesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the values and their reader."""
        super().__init__("kinky:host:StoreValues", name, None, opts)
        bodies = [
            host_rbac.build_store_service_account(args.config),
            host_rbac.build_store_role(args.config),
            host_rbac.build_store_role_binding(args.config),
        ]
        declare_all(self, bodies, prefix=name)
        for value in secrets_store.store_values(args.config):
            self._declare_value(args, value)
        self.register_outputs({})

    def _declare_value(self, args: StoreValuesArgs, value: str) -> None:
        """Declare one value of the store; the step makes it, so it never passes through Pulumi."""
        inputs = {**args.access, "value": value, "key": VALUE_KEYS[value]}
        # The namespace comes from the claim, and the step uses no provider that would wait for it.
        opts = pulumi.ResourceOptions(parent=self, depends_on=[args.claim])
        steps.StoreValue(steps.StoreValueStep(), f"{args.config.cluster.name}-store-{value}", inputs, opts)


@dataclass(frozen=True, kw_only=True)
class SecretsStoreArgs:
    """What the inner side of the store is made of."""

    config: KinkyConfig
    access: Properties
    server: pulumi.Input[str]
    kubeconfig_text: pulumi.Input[str]
    values: StoreValues
    addons: pulumi.Resource
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
        credential = self._declare_credential(args)
        bodies = secrets_store.build_store(
            args.config, host_server=credential.host_server, host_ca_bundle=credential.host_ca_bundle
        )
        # The kinds are served only after the addons, and a store without its credential would start with an error.
        store = declare_all(self, bodies, prefix=name, depends_on=[credential])
        self.gate = self._declare_gate(args, after=[*store, args.values])
        self.workloads_kubeconfig = self.gate.workloads_kubeconfig
        self.evidence = pulumi.Output.all(
            store=secrets_store.STORE,
            proved_at=self.gate.proved_at,
            first_seconds=self.gate.first_seconds,
            second_seconds=self.gate.second_seconds,
            credential_fingerprint=credential.fingerprint,
            credential_expires_at=credential.expires_at,
        )
        self.register_outputs({})

    def _declare_credential(self, args: SecretsStoreArgs) -> steps.StoreCredential:
        """Declare the token; the step writes it, so it never passes through Pulumi."""
        cluster = args.config.cluster.name
        inputs = {**args.access, "server": args.server, "hours": args.config.secrets_store.token_hours}
        # The token's reader is in `values`, and its namespace and the store's kinds are in `addons`.
        opts = pulumi.ResourceOptions(parent=self, depends_on=[args.values, args.addons])
        return steps.StoreCredential(steps.StoreCredentialStep(), f"{cluster}-store-credential", inputs, opts)

    def _declare_gate(self, args: SecretsStoreArgs, *, after: list[pulumi.Resource]) -> gate_steps.GateOpened:
        """Declare the proof and the opening."""
        config = args.config
        inputs = {
            **args.access,
            "server": args.server,
            "kubeconfig_text": args.kubeconfig_text,
            "store": secrets_store.STORE,
            "token_hours": config.secrets_store.token_hours,
            "probes": list(secrets_store.build_probes(config)),
            "workers": list(args.workers),
            "limit_seconds": config.timeouts.seconds(PROOF_LIMIT_SECONDS),
        }
        # The proof reads what the store's objects bring about; no value of theirs flows into it.
        opts = pulumi.ResourceOptions(parent=self, depends_on=after)
        return gate_steps.GateOpened(gate_steps.GateOpenedStep(), f"{config.cluster.name}-gate-opened", inputs, opts)
