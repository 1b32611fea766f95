"""Whether a node of the host can run the VMs that are still to be made: labels, taints, state, room.

A launcher pod's node selector is that of KubeVirt 1.7 (pkg/virt-controller/services/nodeselectorrenderer.go).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from kinky.bootstrap.fit_launcher import DEVICE, Launcher, format_amount
from kinky.kube.connection import JsonObject
from kinky.kube.objects import fetch_condition
from kinky.kube.quantities import parse_quantity
from kinky.kube.virt_settings import VirtSettings

SCHEDULABLE_LABEL = "kubevirt.io/schedulable"
ARCHITECTURE_LABEL = "kubernetes.io/arch"
ARCHITECTURE = "amd64"
"""That of the node image."""
MODEL_PREFIX = "cpu-model.node.kubevirt.io/"
NODE_MODELS = ("host-model", "host-passthrough")
"""Models that every node has, since they are its own."""
KVM_DEVICE = f"{DEVICE}kvm"
CORDON_TAINT = "node.kubernetes.io/unschedulable"
SHOWN = 8


HEARTBEAT = "kubevirt.io/heartbeat"
"""Annotation of a node: when its virt-handler has last written the label."""
HEARTBEAT_LIFE = timedelta(minutes=5)
"""So old may a heartbeat be before KubeVirt itself takes the virt-handler for dead."""


def check_nodes(
    nodes: Sequence[JsonObject],
    settings: VirtSettings,
    launchers: Sequence[Launcher],
    *,
    cpu_model: str | None,
    now: datetime,
    knows_launchers: bool,
) -> tuple[list[str], list[str]]:
    """Look whether each launcher pod finds a node, as far as labels, taints, state and size tell.

    Args:
        now: The host's time.
        knows_launchers: Whether the settings were read by which KubeVirt asks for processors and memory.

    Returns:
        Problems, and what may be one: it passes by itself, or rests on settings that cannot be read.
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
    """Tell whether a node offers a processor model; the empty one is the node's own."""
    return model in ("", *NODE_MODELS) or _labels(node).get(MODEL_PREFIX + model) == "true"


def _is_starting(node: JsonObject, now: datetime) -> bool:
    """Tell whether a node's virt-handler says of itself, just now, that it is not ready yet."""
    heartbeat = str((node["metadata"].get("annotations") or {}).get(HEARTBEAT, "")).replace("Z", "+00:00")
    try:
        return now - datetime.fromisoformat(heartbeat) <= HEARTBEAT_LIFE
    except (TypeError, ValueError):
        return False


def _find_obstacle(node: JsonObject, settings: VirtSettings, *, ready: bool = False) -> str:
    """Find why no VM can be put on a node, whatever its size; empty when one can.

    Args:
        ready: Whether to look at it as if its virt-handler were ready.
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
    """Look whether each size of VM fits a node that runs nothing else; what runs there now may move or end."""
    problems = []
    # That no node has the device at all is told where the accelerator is looked for.
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
    """Find what a node has too little of; empty when it has enough."""
    lacks = []
    for item, asked in requests.items():
        amount = _find_amount(node, item)
        # What a node does not tell of it may have: a device plugin that has just started is not told yet.
        if amount is not None and amount < asked:
            lacks.append(f"{format_amount(item, amount)} of {item}, needed {format_amount(item, asked)}")
    return ", ".join(lacks)


def _find_amount(node: JsonObject, item: str) -> Decimal | None:
    """Find how much of something a node has for pods; None when it does not tell."""
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
