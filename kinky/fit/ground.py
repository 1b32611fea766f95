"""Whether the stack gets container guests if and only if it asks for them: the host's offer and the namespace's label.

The embedded host starts a VM as a container guest when the VM's namespace has the label. So a label that does not fit
the configuration would put VMs on the wrong ground, without a word.
"""

from collections.abc import Mapping, Sequence

from kinky import names
from kinky.accelerator import Accelerator
from kinky.config.model import KinkyConfig
from kinky.fit.findings import Findings
from kinky.kube.connection import JsonObject, if_allowed
from kinky.kube.host import HostApi
from kinky.manifests.host_namespace import ground_labels
from kinky.ownership.record import fetch_clusters

CHOICE = "or set host.accelerator: auto"


def check_offer(nodes: Sequence[JsonObject], findings: Findings) -> None:
    """Refuse a host that does not offer container guests, with the reason that it gives."""
    told = [(node["metadata"].get("annotations") or {}).get(names.CONTAINER_GUESTS, "") for node in nodes]
    if names.OFFERED in told:
        return
    reason = next(filter(None, told), "")
    if not reason:
        findings.refuse(
            ["host.accelerator = container: the host does not say whether it offers container guests"],
            f"start it with this version of KinKy: kinky host up; {CHOICE}",
        )
        return
    findings.refuse(
        [f"host.accelerator = container: the host offers no container guests: {reason}"],
        f"remove the cause, then run kinky host up; {CHOICE}",
    )


def check_label(cfg: KinkyConfig, api: HostApi, labels: Mapping[str, str], findings: Findings) -> None:
    """Refuse an existing namespace whose label does not fit and is not ours to change."""
    wanted = ground_labels(cfg).get(names.LABEL_ACCELERATOR)
    present = labels.get(names.LABEL_ACCELERATOR)
    # The host looks for one value only.
    if (present == Accelerator.CONTAINER) == (wanted is not None):
        return
    others = _find_others(cfg, api)
    if cfg.host.create_namespace and labels.get(names.LABEL_CLUSTER) == cfg.cluster.name and not others:
        return  # `up` changes it
    change = f"{names.LABEL_ACCELERATOR}={wanted}" if wanted else f"{names.LABEL_ACCELERATOR}-"
    command = f"kubectl label namespace {api.namespace} --overwrite {change}"
    has = f"has the label {names.LABEL_ACCELERATOR}={present}" if present else f"has no label {names.LABEL_ACCELERATOR}"
    problem = f"host.accelerator = {cfg.host.accelerator}: namespace {api.namespace} {has}"
    if others:
        hint = f"the label counts for cluster {', '.join(others)} too: choose another host.namespace for one of them"
    else:
        hint = f"{command}; or choose another host.namespace"
    findings.refuse([problem], hint)


def _find_others(cfg: KinkyConfig, api: HostApi) -> list[str]:
    """Find the other clusters of the namespace, if they can be read."""
    return [other for other in if_allowed(lambda: fetch_clusters(api)) or [] if other != cfg.cluster.name]
