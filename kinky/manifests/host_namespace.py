"""The host namespace, when KinKy is asked to make it."""

from __future__ import annotations

from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, host_labels


def build_host_namespace(cfg: KinkyConfig) -> Body:
    """Return the Namespace of everything that the cluster has on the host."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": cfg.host.namespace, "labels": host_labels(cfg)},
    }
