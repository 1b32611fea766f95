"""References of the system images that the node image holds; nothing is ever pulled, so the pull policy is Never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kinky import names

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

PULL_POLICY: Final = "Never"
"""A missing image must fail at once: no registry serves these names."""

COREDNS: Final = f"{names.IMAGE_PREFIX}/coredns:v1.14.2"
FLANNEL: Final = f"{names.IMAGE_PREFIX}/flannel:v0.28.10"
EXTERNAL_SECRETS: Final = f"{names.IMAGE_PREFIX}/external-secrets:v0.20.4"
PAUSE: Final = f"{names.IMAGE_PREFIX}/pause:3.10.2"
WEB: Final = f"{names.IMAGE_PREFIX}/web:v1"


def kube_proxy(cfg: KinkyConfig) -> str:
    """Return the reference of kube-proxy, which has the version of the cluster."""
    return f"{names.IMAGE_PREFIX}/kube-proxy:{cfg.cluster.kubernetes_version}"
