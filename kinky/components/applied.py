"""The applied configuration goes into the cluster's record, once the nodes are declared and the API answers."""

from __future__ import annotations

import json

import pulumi
from pulumi import Output

from kinky.bootstrap import keys, record
from kinky.components.live_step import LiveStep, Properties, Step, parse_access
from kinky.components.nodes import Nodes
from kinky.components.steps import OutsideReady
from kinky.config.change import list_values
from kinky.config.model import KinkyConfig
from kinky.kube.host import HostApi


class ConfigurationAppliedStep(Step):
    """Write the applied configuration, the cluster's UID and its CA bundle into the record."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        access = parse_access(inputs)
        bundle = keys.fetch_ca_bundle(HostApi.connect(access), access.cluster)
        settings = json.loads(inputs["settings"])
        return {"applied_at": record.note_applied(access, settings, cluster_uid=inputs["cluster_uid"], bundle=bundle)}

    def _is_due(self, properties: Properties) -> bool:
        # Claim writes a lost record again, with what cannot change alone.
        access = parse_access(properties)
        found = record.fetch_record(HostApi.connect(access), access.cluster)
        return found is None or found.settings != json.loads(properties["settings"])


class ConfigurationApplied(LiveStep, module="kinky", name="ConfigurationApplied"):
    """The applied configuration in the record: the next `preview` compares with it."""

    applied_at: Output[str]


def declare_applied(
    parent: pulumi.Resource,
    name: str,
    access: Properties,
    config: KinkyConfig,
    *,
    image: str,
    nodes: Nodes,
    outside: OutsideReady,
) -> ConfigurationApplied:
    """Declare the step; `image` is the reference of the node image that is used."""
    inputs = {
        **access,
        "settings": json.dumps(list_values(config, image=image), sort_keys=True),
        "cluster_uid": outside.cluster_uid,
    }
    opts = pulumi.ResourceOptions(parent=parent, depends_on=[nodes, outside])
    return ConfigurationApplied(ConfigurationAppliedStep(), f"{name}-applied", inputs, opts)
