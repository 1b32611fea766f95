"""The live steps of `pulumi up`: one dynamic resource for each, around one function of `kinky.bootstrap`.

Inputs are names and numbers; outputs are names, fingerprints and times. No secret passes through here, because what
does is in Pulumi's state. Pulumi stores a step's class by reference, so renaming one breaks `destroy` of older stacks.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pulumi import Output

from kinky import names
from kinky.bootstrap import (
    drift,
    exposure,
    forming,
    forward,
    keys,
    lease,
    namespace,
    node_credentials,
    orphans,
    record,
    residue,
    secrets_store,
    store_values,
    workload,
)
from kinky.components.gate_steps import GateOpenedStep, GateStep  # noqa: F401 - states made earlier seek them here
from kinky.components.live_step import LiveStep, Properties, Step, parse_access, parse_inner, parse_store
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi


class ClaimStep(Step):
    """Take the cluster's name on the host; give it back when nothing else is left."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        access = parse_access(inputs)
        created = bool(inputs["create_namespace"]) and namespace.ensure_namespace(access, inputs["namespace_body"])
        # Before the record, which names it as its owner: so each object can go with it.
        owners = _ensure_lease(access, inputs) if inputs.get("lease") else []
        record.ensure_record(
            access,
            inputs["stack"],
            json.loads(inputs["settings"]),
            owners=owners,
            take_over=record.is_taken_over(access.cluster),
        )
        if created:
            # After the record: it shows that the cluster is this stack's.
            namespace.ensure_ground(access, inputs["namespace_body"])
        return {"namespace_created": created, "owners": owners}

    def _undo(self, properties: Properties) -> None:
        access = parse_access(properties)
        limit = float(properties["residue_seconds"])
        residue.remove_local_state(access.cluster)
        retained = list(properties["retained"])
        ignore = [f"ConfigMap/{names.cluster_record(access.cluster)}", *retained]
        orphans.delete_orphans(access, ignore=ignore)
        residue.wait_residue_gone(access, limit_seconds=limit, ignore=ignore)
        if properties.get("lease"):
            # The record goes with its owner.
            lease.end_lease(access)
            lease.wait_removed(access, limit_seconds=limit)
        else:
            record.delete_record(access)
        if properties["namespace_created"] and not retained:
            namespace.delete_namespace(access, limit_seconds=limit)

    def _require_host(self, properties: Properties) -> None:
        # Before the first run there is no record, and a cluster to be taken over still has the old one.
        HostApi.connect(parse_access(properties)).require_host(is_recorded="namespace_created" in properties)

    def _is_due(self, properties: Properties) -> bool:
        access = parse_access(properties)
        if record.fetch_record(HostApi.connect(access), access.cluster) is None:
            if properties.get("lease"):
                # Only a program that can drop the state may begin a new cluster.
                raise lease.describe_ended(access)
            return True
        return bool(properties["namespace_created"]) and namespace.is_ground_wrong(access, properties["namespace_body"])


def _ensure_lease(access: HostAccess, inputs: Properties) -> list[dict[str, Any]]:
    # Pulumi hands on each number as a float, and the host takes none for a time.
    seconds, holder = int(inputs["lease"]["seconds"]), str(inputs["lease"]["holder"])
    return lease.ensure_lease(access, seconds=seconds, stack=inputs["stack"], holder=holder)


class Claim(LiveStep, module="kinky", name="Claim"):
    """The cluster's record and the residue guard: created first, deleted last, when no other object is left."""

    namespace_created: Output[bool]
    owners: Output[list[dict[str, Any]]]
    """The cluster's lease as an owner reference; empty without a lease."""


class ClusterKeysStep(Step):
    """Make the cluster's keys once, straight into a host Secret."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        kms = str(inputs.get("kms_config", ""))
        return asdict(keys.ensure_cluster_keys(parse_access(inputs), inputs["cluster"], kms_config=kms))

    def _undo(self, properties: Properties) -> None:
        keys.delete_key_secret(parse_access(properties), properties["secret_name"])


class ClusterKeys(LiveStep, module="kinky", name="ClusterKeys"):
    """The certificate authorities and the encryption key, in a host Secret of this name."""

    secret_name: Output[str]
    fingerprints: Output[dict[str, str]]


class NodeCredentialsStep(Step):
    """Sign a worker's kubelet certificates; again, under another name, at half of their life."""

    identity = ("node", "namespace")

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        generation = int(previous["generation"]) if self._is_due(previous) else 1
        record = self._ensure(inputs, generation)
        # The record of the last run may be older than the certificates: a rotation replaces them under their name.
        if self._is_due(asdict(record)):
            generation += 1
            record = self._ensure(inputs, generation)
        # A running VM keeps the old Secret until it restarts, so both stay until the node goes.
        known = [*previous.get("all_secret_names", ())]
        fresh = [] if record.secret_name in known else [record.secret_name]
        return {**asdict(record), "generation": generation, "all_secret_names": known + fresh}

    def _undo(self, properties: Properties) -> None:
        for secret_name in properties["all_secret_names"]:
            keys.delete_key_secret(parse_access(properties), secret_name)

    def _ensure(self, inputs: Properties, generation: int) -> node_credentials.NodeCredentialRecord:
        return node_credentials.ensure_node_credentials(
            parse_access(inputs), inputs["cluster"], inputs["node"], inputs["address"], generation=generation
        )

    def _is_due(self, properties: Properties) -> bool:
        return bool(properties) and node_credentials.is_renewal_due(str(properties["not_after"]))


class NodeCredentials(LiveStep, module="kinky", name="NodeCredentials"):
    """A worker's kubelet certificates, in a host Secret of this name."""

    secret_name: Output[str]
    fingerprints: Output[dict[str, str]]
    not_after: Output[str]
    generation: Output[int]
    all_secret_names: Output[list[str]]


class StoreValueStep(Step):
    """Make one random value of the secrets store once, straight into the store."""

    identity = ("value", "cluster", "namespace")

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        return asdict(store_values.ensure_store_value(parse_store(inputs), inputs["value"], key=inputs["key"]))

    def _undo(self, properties: Properties) -> None:
        parse_store(properties).forget(properties["value"])


class StoreValue(LiveStep, module="kinky", name="StoreValue"):
    """One value of the secrets store; the program knows its fingerprint only."""

    place: Output[str]
    fingerprint: Output[str]


class OutsideReadyStep(Step):
    """Publish the inner API and wait until it answers from outside with an authenticated 200."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        found = forming.prove_outside(
            parse_access(inputs),
            inputs["cluster"],
            list(inputs["control_planes"]),
            exposure.PublishSpec(
                mode=inputs["mode"],
                local_port=int(inputs["local_port"]) or None,
                node_port=int(inputs["node_port"]) or None,
            ),
            kinky_command=inputs["kinky_command"],
            limit_seconds=float(inputs["limit_seconds"]),
        )
        record.keep_identity(parse_access(inputs), inputs["stack"])
        return {**asdict(found), "kubeconfig_text": Path(found.kubeconfig).read_text(encoding="utf-8")}

    def _undo(self, properties: Properties) -> None:
        forward.stop_forward(properties["cluster"])


class OutsideReady(LiveStep, module="kinky", name="OutsideReady"):
    """Proof that users can reach the inner API, and the kubeconfig by which they do: it holds no key."""

    server: Output[str]
    kubeconfig: Output[str]
    kubeconfig_text: Output[str]
    cluster_uid: Output[str]
    kubernetes_version: Output[str]
    ca_fingerprint: Output[str]
    tls_seconds: Output[float]
    ready_seconds: Output[float]


class NodesReadyStep(Step):
    """Wait until every declared node is Ready under its permanent address."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        record = forming.prove_nodes_ready(
            parse_access(inputs),
            inputs["cluster"],
            inputs["addresses"],
            inputs["server"],
            limit_seconds=float(inputs["limit_seconds"]),
        )
        return {"nodes": [asdict(row) for row in record.nodes], "seconds": record.seconds}


class NodesReady(LiveStep, module="kinky", name="NodesReady"):
    """Proof that every node is Ready."""

    nodes: Output[list[dict[str, Any]]]
    seconds: Output[float]


class StoreCredentialStep(Step):
    """Write a token for the store straight into the inner cluster; renew it at half of its life."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        access = parse_access(inputs)
        record = secrets_store.ensure_store_token(
            access, inputs["cluster"], inputs["server"], hours=int(inputs["hours"])
        )
        host = secrets_store.fetch_store_server(access)
        bundle = base64.b64encode(host.ca_certificate.encode()).decode()
        return {**asdict(record), "host_server": host.url, "host_ca_bundle": bundle}

    def _is_due(self, properties: Properties) -> bool:
        if secrets_store.is_token_renewal_due(str(properties["expires_at"]), int(properties["hours"])):
            return True
        return drift.has_ended_token(*parse_inner(properties))


class StoreCredential(LiveStep, module="kinky", name="StoreCredential"):
    """The store's credential inside the inner cluster, and how a pod reaches the store."""

    secret: Output[str]
    fingerprint: Output[str]
    expires_at: Output[str]
    host_server: Output[str]
    host_ca_bundle: Output[str]


class WorkloadAnsweredStep(Step):
    """Ask the workload from outside, and compare the secret that it read with the store's."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        record = workload.prove_workload(
            *parse_inner(inputs),
            store=parse_store(inputs),
            greeting=inputs["greeting"],
            value=inputs["value"],
            key=inputs["key"],
            limit_seconds=float(inputs["limit_seconds"]),
        )
        return asdict(record)


class WorkloadAnswered(LiveStep, module="kinky", name="WorkloadAnswered"):
    """Proof that the workload answers with the store's secret."""

    node: Output[str]
    secret_fingerprint: Output[str]
    seconds: Output[float]
