"""Network-data of a node: its one NIC takes the lease that KubeVirt gives it."""

from __future__ import annotations

import dataclasses
from typing import Final

from kinky import names
from kinky.render import cloud_config, environment
from kinky.render.cloud_config import CloudInitSchemas
from kinky.topology.nodes import NodeSpec

TEMPLATE: Final = "network-data.yaml.j2"
INTERFACE: Final = "eth0"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkArguments:
    """Variables of templates/<role>/network-data.yaml.j2."""

    interface: str
    """Name of the NIC on the pod network; the image boots with `net.ifnames=0`."""


ARGUMENTS: Final = {names.CONTROL_PLANE: NetworkArguments, names.WORKER: NetworkArguments}


def render_network_data(node: NodeSpec, *, upstream: CloudInitSchemas | None = None) -> str:
    """Return the checked network-data of a node; raises KinkyError with the template's file and line."""
    template = f"{node.role}/{TEMPLATE}"
    text = environment.render(template, dataclasses.asdict(NetworkArguments(interface=INTERFACE)))
    cloud_config.check_network_data(text, where=f"templates/{template}", upstream=upstream)
    return text
