"""The arguments from which a cluster is declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kinky.accelerator import Accelerator
from kinky.config.model import KinkyConfig
from kinky.kube.access import HostAccess
from kinky.manifests.body import Body
from kinky.render.cloud_config import CloudInitSchemas
from kinky.topology.nodes import NodeSpec, build_nodes


@dataclass(frozen=True, kw_only=True)
class InnerClusterArgs:
    """A checked configuration, and what was found on the host and on this machine; `program.prepare` makes it."""

    config: KinkyConfig
    access: HostAccess
    stack: str
    """Organization, project and stack: another stack cannot use the cluster's name in the same namespace."""
    image: str
    """Reference of the node image."""
    custom_resource_definitions: Sequence[Body]
    """Those of External Secrets, in the version that the node image holds."""
    store: Mapping[str, Any]
    """The secrets store in plain values, as `describe_store` describes it."""
    cloud_init_schemas: CloudInitSchemas | None
    """Those of the image's own cloud-init, if its build left them."""
    accelerator: Accelerator
    kinky_command: str
    """Absolute path of kinky, which the kubeconfig calls for a credential."""
    ca_file: str
    """Absolute path of the file with the cluster's CAs, which the kubeconfig names."""

    @property
    def nodes(self) -> tuple[NodeSpec, ...]:
        """All nodes of the cluster."""
        return build_nodes(self.config)
