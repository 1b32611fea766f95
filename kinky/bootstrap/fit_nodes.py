"""Whether a node of the host can run the VMs that are still to be made: labels, taints, state, room.

A launcher pod's node selector is that of KubeVirt 1.7 (pkg/virt-controller/services/nodeselectorrenderer.go).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from kinky.bootstrap.fit_launcher import Launcher, format_amount
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
CORDON_TAINT = "node.kubernetes.io/unschedulable"
SHOWN = 8


def check_nodes(
    nodes: Sequence[JsonObject], settings: VirtSettings, launchers: Sequence[Launcher], *, cpu_model: str | None
) -> list[str]:
    """Look whether each launcher pod finds a node, as far as labels, taints, state and size tell; returns problems."""
    if not launchers or not nodes:
        return []
    reasons = {_name(node): _find_obstacle(node, settings) for node in nodes}
    able = [node for node in nodes if not reasons[_name(node)]]
    if not able:
        told = [f"{name}: {reason}" for name, reason in reasons.items()]
        return [f"no node of the host can run a VM: {_shorten(told)}"]
    model = cpu_model or settings.cpu_model
    if model and model not in NODE_MODELS:
        offering = [node for node in able if _labels(node).get(MODEL_PREFIX + model) == "true"]
        if not offering:
            key = "virtualMachine.cpuModel" if cpu_model else "KubeVirt's cpuModel"
            return [f"{key} = {model}: no node that can run a VM offers it; offered: {_list_models(able)}"]
        able = offering
    return _check_room(able, launchers)


def _find_obstacle(node: JsonObject, settings: VirtSettings) -> str:
    """Find why no VM can be put on a node, whatever its size; empty when one can."""
    labels, spec = _labels(node), node.get("spec") or {}
    found = labels.get(ARCHITECTURE_LABEL) or ((node.get("status") or {}).get("nodeInfo") or {}).get("architecture")
    if found not in (None, ARCHITECTURE):
        return f"has architecture {found}, the node image {ARCHITECTURE}"
    if spec.get("unschedulable"):
        return "is cordoned"
    if (fetch_condition(node.get("status") or {}, "Ready") or {}).get("status") in ("False", "Unknown"):
        return "is not Ready"
    if labels.get(SCHEDULABLE_LABEL) != "true":
        return f"has no label {SCHEDULABLE_LABEL}=true, so KubeVirt's virt-handler does not run there"
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
    sizes: dict[tuple[tuple[str, Decimal], ...], list[Launcher]] = {}
    for launcher in launchers:
        sizes.setdefault(tuple(sorted(launcher.compute.requests.items())), []).append(launcher)
    for size, same in sizes.items():
        lacks = {_name(node): _find_lack(node, dict(size)) for node in nodes}
        if all(lacks.values()):
            told = [f"{name}: {lack}" for name, lack in lacks.items()]
            problems.append(f"VM {same[0].node} fits no node of the host: {_shorten(told)}")
    return problems


def _find_lack(node: JsonObject, requests: Mapping[str, Decimal]) -> str:
    """Find what a node has too little of; empty when it has enough."""
    offered = (node.get("status") or {}).get("allocatable") or {}
    lacks = []
    for item, asked in requests.items():
        # What a node does not tell at all it may still have, but a device is there only when it is told.
        amount = parse_quantity(str(offered[item])) if item in offered else (Decimal(0) if "/" in item else asked)
        if amount < asked:
            lacks.append(f"{format_amount(item, amount)} of {item}, needed {format_amount(item, asked)}")
    return ", ".join(lacks)


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
