"""The host namespace, when KinKy is asked to make it."""

from __future__ import annotations

from kinky import names
from kinky.accelerator import Accelerator
from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, host_labels


def build_host_namespace(cfg: KinkyConfig) -> Body:
    """Return the Namespace of everything that the cluster has on the host."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": cfg.host.namespace, "labels": host_labels(cfg) | ground_labels(cfg)},
    }


def ground_labels(cfg: KinkyConfig) -> dict[str, str]:
    """Return the labels by which the embedded host knows whose VMs start as container guests."""
    asked = cfg.host.asked_accelerator
    return {names.LABEL_ACCELERATOR: asked.value} if asked is Accelerator.CONTAINER else {}
