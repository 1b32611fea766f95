"""The applied configuration goes into the cluster's record, once the nodes are declared and the API answers."""

from __future__ import annotations

import json
from dataclasses import dataclass

from kinky.components.live_step import LiveStep, Step, StepInputs
from kinky.keys import material
from kinky.ownership import record


@dataclass(frozen=True, kw_only=True)
class ConfigurationAppliedInputs(StepInputs):
    """The applied configuration, and its cluster."""

    settings: str
    """All of them, as JSON: the engine would make each number a float."""
    release: str
    """Name of the release."""
    cluster_uid: str
    """UID of the inner `kube-system`."""


@dataclass(frozen=True, kw_only=True)
class ConfigurationAppliedOutputs:
    """When it was written."""

    applied_at: str


class ConfigurationAppliedStep(Step[ConfigurationAppliedInputs, ConfigurationAppliedOutputs]):
    """Write the applied configuration, the release, the cluster's UID and its CA bundle into the record."""

    def _run(
        self, inputs: ConfigurationAppliedInputs, previous: ConfigurationAppliedOutputs | None
    ) -> ConfigurationAppliedOutputs:
        host = inputs.reach.host()
        applied_at = record.note_applied(
            host,
            json.loads(inputs.settings),
            release=inputs.release,
            cluster_uid=inputs.cluster_uid,
            bundle=material.fetch_ca_bundle(host, inputs.access.cluster),
        )
        return ConfigurationAppliedOutputs(applied_at=applied_at)

    def _is_due(self, inputs: ConfigurationAppliedInputs, outputs: ConfigurationAppliedOutputs) -> bool:
        # ClusterRecord writes a lost record again, with what cannot change alone.
        found = record.fetch_record(inputs.reach.host(), inputs.access.cluster)
        return found is None or found.settings != json.loads(inputs.settings)


class ConfigurationApplied(LiveStep[ConfigurationAppliedInputs, ConfigurationAppliedOutputs]):
    """The applied configuration in the record: the next `preview` compares with it."""

    step = ConfigurationAppliedStep
