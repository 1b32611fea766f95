"""Whether a node of the host can run the VMs that do not exist yet: labels, taints, state, room.

A launcher pod's node selector is that of KubeVirt 1.7 (pkg/virt-controller/services/nodeselectorrenderer.go).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from kinky.fit.launcher import Launcher, format_amount
from kinky.kube.connection import JsonObject
from kinky.kube.objects import fetch_condition
from kinky.kube.quantities import parse_quantity
from kinky.kube.records import KVM_DEVICE
from kinky.kube.virt_settings import VirtSettings

SCHEDULABLE_LABEL = "kubevirt.io/schedulable"
ARCHITECTURE_LABEL = "kubernetes.io/arch"
ARCHITECTURE = "amd64"
"""The architecture of the node image."""
MODEL_PREFIX = "cpu-model.node.kubevirt.io/"
NODE_MODELS = ("host-model", "host-passthrough")
"""Models that every node has, because they mean its own processor."""
CORDON_TAINT = "node.kubernetes.io/unschedulable"
SHOWN = 8


HEARTBEAT = "kubevirt.io/heartbeat"
"""Annotation of a node: when its virt-handler has last written the label."""
HEARTBEAT_LIFE = timedelta(minutes=5)
"""Age of a heartbeat at which KubeVirt itself treats the virt-handler as dead."""


def check_nodes(
    nodes: Sequence[JsonObject],
    settings: VirtSettings,
    launchers: Sequence[Launcher],
    *,
    cpu_model: str | None,
    now: datetime,
    knows_launchers: bool,
) -> tuple[list[str], list[str]]:
    """Check whether each launcher pod finds a node, by labels, taints, state and size.

    Args:
        now: The host's time.
        knows_launchers: Whether KubeVirt's settings for processors and memory could be read.

    Returns:
        Problems, and possible ones: those pass by themselves, or depend on settings that cannot be read.
    """
    if not launchers or not nodes:
        return [], []
    reasons = {_name(node): _find_obstacle(node, settings) for node in nodes}
    able = [node for node in nodes if not reasons[_name(node)]]
    if not able:
        told = f"no node of the host can run a VM: {_shorten([f'{name}: {text}' for name, text in reasons.items()])}"
        starting = any(_is_starting(node, now) and not _find_obstacle(node, settings, ready=True) for node in nodes)
        return ([], [f"{told}; a virt-handler is about to start"]) if starting else ([told], [])
    model = cpu_model or settings.cpu_model
    offering = [node for node in able if _offers(node, model)]
    if not offering:
        key = "virtualMachine.cpuModel" if cpu_model else "KubeVirt's cpuModel"
        return [f"{key} = {model}: no node that can run a VM offers it; offered: {_list_models(able)}"], []
    lacks = _check_room(offering, launchers)
    return (lacks, []) if knows_launchers else ([], lacks)


def _offers(node: JsonObject, model: str) -> bool:
    """Tell whether a node offers a processor model; the empty model is the node's own."""
    return model in ("", *NODE_MODELS) or _labels(node).get(MODEL_PREFIX + model) == "true"


def _is_starting(node: JsonObject, now: datetime) -> bool:
    """Tell whether a node's virt-handler reports, in a recent heartbeat, that it is not ready yet."""
    heartbeat = str((node["metadata"].get("annotations") or {}).get(HEARTBEAT, "")).replace("Z", "+00:00")
    try:
        return now - datetime.fromisoformat(heartbeat) <= HEARTBEAT_LIFE
    except (TypeError, ValueError):
        return False


def _find_obstacle(node: JsonObject, settings: VirtSettings, *, ready: bool = False) -> str:
    """Find why no VM of any size can run on a node; empty when one can.

    Args:
        ready: Whether to treat the virt-handler as ready.
    """
    labels, spec = _labels(node), node.get("spec") or {}
    found = labels.get(ARCHITECTURE_LABEL) or ((node.get("status") or {}).get("nodeInfo") or {}).get("architecture")
    if found not in (None, ARCHITECTURE):
        return f"has architecture {found}, the node image {ARCHITECTURE}"
    if spec.get("unschedulable"):
        return "is cordoned"
    if (fetch_condition(node.get("status") or {}, "Ready") or {}).get("status") in ("False", "Unknown"):
        return "is not Ready"
    if labels.get(SCHEDULABLE_LABEL) != "true" and not ready:
        return f"has no label {SCHEDULABLE_LABEL}=true, so no virt-handler is ready there"
    for key, value in settings.node_selector.items():
        if labels.get(key) != value:
            return f"has no label {key}={value}, which KubeVirt's nodeSelectors ask for"
    for taint in spec.get("taints") or []:
        if taint.get("effect") in ("NoSchedule", "NoExecute") and taint.get("key") != CORDON_TAINT:
            return f"has the taint {taint.get('key')}:{taint['effect']}, which a VM does not tolerate"
    return ""


def _check_room(nodes: Sequence[JsonObject], launchers: Sequence[Launcher]) -> list[str]:
    """Check whether each size of VM fits an empty node; the pods that run there now may move or end."""
    problems = []
    # The search for the accelerator reports a device that no node has.
    ignored = set() if any(_find_amount(node, KVM_DEVICE) for node in nodes) else {KVM_DEVICE}
    sizes: dict[tuple[tuple[str, Decimal], ...], list[Launcher]] = {}
    for launcher in launchers:
        size = sorted((item, amount) for item, amount in launcher.compute.requests.items() if item not in ignored)
        sizes.setdefault(tuple(size), []).append(launcher)
    for requests, same in sizes.items():
        lacks = {_name(node): _find_lack(node, dict(requests)) for node in nodes}
        if all(lacks.values()):
            told = [f"{name}: {lack}" for name, lack in lacks.items()]
            problems.append(f"VM {same[0].node} fits no node of the host: {_shorten(told)}")
    return problems


def _find_lack(node: JsonObject, requests: Mapping[str, Decimal]) -> str:
    """List the resources that a node lacks; empty when it has enough."""
    lacks = []
    for item, asked in requests.items():
        amount = _find_amount(node, item)
        # A resource that the node does not list may exist: a device plugin may have just started.
        if amount is not None and amount < asked:
            lacks.append(f"{format_amount(item, amount)} of {item}, needed {format_amount(item, asked)}")
    return ", ".join(lacks)


def _find_amount(node: JsonObject, item: str) -> Decimal | None:
    """Find the amount of a resource that a node has for pods; None when it does not list it."""
    amount = ((node.get("status") or {}).get("allocatable") or {}).get(item)
    return None if amount is None else parse_quantity(str(amount))


def _list_models(nodes: Sequence[JsonObject]) -> str:
    """List the processor models that nodes offer."""
    models = {
        label.removeprefix(MODEL_PREFIX) for node in nodes for label in _labels(node) if label.startswith(MODEL_PREFIX)
    }
    return _shorten(sorted(models)) or "none"


def _shorten(items: Sequence[str]) -> str:
    rest = len(items) - SHOWN
    return "; ".join(items[:SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


def _labels(node: JsonObject) -> JsonObject:
    return node["metadata"].get("labels") or {}


def _name(node: JsonObject) -> str:
    return str(node["metadata"]["name"])
