"""The mark that says which stack owns a cluster's objects, so that two stacks cannot share one name in a namespace."""

from __future__ import annotations

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, host_metadata


def build_owner_marker(cfg: KinkyConfig, *, stack: str) -> Body:
    """Return the ConfigMap that names the owning stack."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": host_metadata(cfg, names.owner_config_map(cfg.cluster.name)),
        "data": {"stack": stack},
    }
