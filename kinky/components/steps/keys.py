"""The keys of a cluster and the certificates of its workers: in Secrets of the host, known here by name."""

from __future__ import annotations

from dataclasses import dataclass

from kinky.components.live_step import LiveStep, Step, StepInputs
from kinky.components.properties import Identity
from kinky.keys import material, node_credentials
from kinky.keys.material import KeyRecord
from kinky.keys.node_credentials import NodeCredentialRecord
from kinky.ownership import record


@dataclass(frozen=True, kw_only=True)
class ClusterKeysInputs(StepInputs):
    """How the cluster encrypts."""

    kms_config: str
    """The API server's encryption configuration if a KMS encrypts, else empty; it holds no key."""


class ClusterKeysStep(Step[ClusterKeysInputs, KeyRecord]):
    """Make the cluster's keys once, straight into a host Secret."""

    def _run(self, inputs: ClusterKeysInputs, previous: KeyRecord | None) -> KeyRecord:
        host, cluster = inputs.reach.host(), inputs.access.cluster
        made = material.ensure_cluster_keys(host, cluster, kms_config=inputs.kms_config)
        # From now on a look at the inner API finds the CA without a right on Secrets.
        record.note_ca_bundle(host, material.fetch_ca_bundle(host, cluster))
        return made

    def _undo(self, inputs: ClusterKeysInputs, outputs: KeyRecord) -> None:
        material.delete_key_secret(inputs.reach.host(), outputs.secret_name)


class ClusterKeys(LiveStep[ClusterKeysInputs, KeyRecord]):
    """The CAs and the encryption key, in a host Secret of this name."""

    step = ClusterKeysStep


@dataclass(frozen=True, kw_only=True)
class NodeCredentialsInputs(StepInputs):
    """Whose certificates they are."""

    node: Identity
    address: str
    """The node's S-address."""


@dataclass(frozen=True, kw_only=True)
class NodeCredentialsOutputs(NodeCredentialRecord):
    """The certificates in use, and all Secrets that were made for the node."""

    generation: int
    all_secret_names: tuple[str, ...]


class NodeCredentialsStep(Step[NodeCredentialsInputs, NodeCredentialsOutputs]):
    """Sign a worker's kubelet certificates; again, under another name, at half of their life."""

    def _run(self, inputs: NodeCredentialsInputs, previous: NodeCredentialsOutputs | None) -> NodeCredentialsOutputs:
        generation = previous.generation if previous and _is_old(previous) else 1
        record = _ensure(inputs, generation)
        # The record of the last run may be older than the certificates: a rotation replaces them under their name.
        if _is_old(record):
            generation += 1
            record = _ensure(inputs, generation)
        # A running VM keeps the old Secret until it restarts, so both stay until the node goes.
        known = previous.all_secret_names if previous else ()
        return NodeCredentialsOutputs(
            secret_name=record.secret_name,
            not_after=record.not_after,
            fingerprints=record.fingerprints,
            generation=generation,
            all_secret_names=tuple(dict.fromkeys((*known, record.secret_name))),
        )

    def _undo(self, inputs: NodeCredentialsInputs, outputs: NodeCredentialsOutputs) -> None:
        host = inputs.reach.host()
        for secret_name in outputs.all_secret_names:
            material.delete_key_secret(host, secret_name)

    def _is_due(self, inputs: NodeCredentialsInputs, outputs: NodeCredentialsOutputs) -> bool:
        # Without its Secret a node does not boot again; somebody may have deleted it past Pulumi.
        return _is_old(outputs) or not inputs.reach.host().fetch_secret_here(outputs.secret_name)


class NodeCredentials(LiveStep[NodeCredentialsInputs, NodeCredentialsOutputs]):
    """A worker's kubelet certificates, in a host Secret of this name."""

    step = NodeCredentialsStep


def _ensure(inputs: NodeCredentialsInputs, generation: int) -> NodeCredentialRecord:
    return node_credentials.ensure_node_credentials(
        inputs.reach.host(), inputs.access.cluster, inputs.node, inputs.address, generation=generation
    )


def _is_old(record: NodeCredentialRecord) -> bool:
    return node_credentials.is_renewal_due(record.not_after)
