"""Rules about pools of workers: names, labels and taints that kubelet, API server and scheduler take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from kinky import names
from kinky.config.model import KinkyConfig, Pool
from kinky.config.problem import UNSHOWN, KeyPath, Problem

OWN_DOMAIN: Final = "kinky.dev"
KUBERNETES_DOMAINS: Final = ("kubernetes.io", "k8s.io")
KUBELET_DOMAINS: Final = ("kubelet.kubernetes.io", "node.kubernetes.io")
"""A node may give itself any label in these domains and below them."""
KUBELET_LABELS: Final = frozenset(
    {
        "beta.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
"""Other labels of Kubernetes that a node may give itself and a kubelet without a cloud does not change."""
SELF_LABELS: Final = frozenset(
    {
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
    }
)
"""Labels that a kubelet sets itself: another value would give the scheduler false information."""
CONTROLLER_DOMAINS: Final = ("node.kubernetes.io", "node.cloudprovider.kubernetes.io")
"""Taints that controllers set and remove by a node's state, even if the node registers with others."""
CONTROL_PLANE_TAINT: Final = "node-role.kubernetes.io/control-plane"
REPELLING: Final = ("NoSchedule", "NoExecute")


def check_pools(cfg: KinkyConfig) -> Iterator[Problem]:
    """Yield the problems of the pools."""
    yield from _check_names(cfg)
    for index, pool in enumerate(cfg.workers):
        yield from _check_labels(pool, ("workers", index, "labels"))
        yield from _check_taints(pool, ("workers", index, "taints"))
    yield from _check_room_for_workload(cfg)
    yield from _check_name_lengths(cfg)


def is_repelling(taint: str) -> bool:
    """Tell whether a taint keeps pods away that do not tolerate it."""
    return taint.rpartition(":")[2] in REPELLING


def has_open_node(cfg: KinkyConfig) -> bool:
    """Tell whether a worker can run pods without tolerations."""
    return any(pool.replicas and not any(map(is_repelling, pool.taints)) for pool in cfg.workers)


def _check_names(cfg: KinkyConfig) -> Iterator[Problem]:
    """Pool names are parts of node names, and some node must run ordinary pods."""
    seen: dict[str, int] = {}
    for index, pool in enumerate(cfg.workers):
        key: KeyPath = ("workers", index, "pool")
        if pool.pool == names.CONTROL_PLANE:
            yield Problem(key, pool.pool, "is the name of the control planes' nodes; choose another one")
        if pool.pool in seen:
            first: KeyPath = ("workers", seen[pool.pool], "pool")
            yield Problem(key, pool.pool, f"is already the name of workers[{seen[pool.pool]}]", (first,))
        seen.setdefault(pool.pool, index)
    if sum(pool.replicas for pool in cfg.workers) == 0:
        yield Problem(
            ("workers",), UNSHOWN, "must have at least one node in all, because control planes run no ordinary pods"
        )


def _check_labels(pool: Pool, key: KeyPath) -> Iterator[Problem]:
    """A kubelet with a label that is not allowed does not start."""
    for label, value in pool.labels.items():
        domain = label.rpartition("/")[0]
        if domain == OWN_DOMAIN:
            yield Problem((*key, label), value, f"labels of {OWN_DOMAIN} are KinKy's own")
        elif label in SELF_LABELS:
            yield Problem((*key, label), value, "the kubelet sets this label itself")
        elif (
            _is_within(domain, *KUBERNETES_DOMAINS)
            and label not in KUBELET_LABELS
            and not _is_within(domain, *KUBELET_DOMAINS)
        ):
            yield Problem((*key, label), value, f"a node is not allowed to give itself labels of {domain}")


def _check_taints(pool: Pool, key: KeyPath) -> Iterator[Problem]:
    """A kubelet with two taints of one key and effect does not start; some taints are not allowed to a user."""
    seen: Counter[tuple[str, str]] = Counter()
    for index, taint in enumerate(pool.taints):
        named, _, effect = taint.rpartition(":")
        name = named.partition("=")[0]
        domain = name.rpartition("/")[0]
        if domain == OWN_DOMAIN:
            yield Problem((*key, index), taint, f"taints of {OWN_DOMAIN} are KinKy's own")
        elif name == CONTROL_PLANE_TAINT:
            yield Problem((*key, index), taint, "is the control planes' own taint")
        elif _is_within(domain, *CONTROLLER_DOMAINS):
            yield Problem((*key, index), taint, f"Kubernetes sets and removes taints of {domain} by the node's state")
        if seen[name, effect]:
            text = f"the pool has a taint with key {name} and effect {effect} already, and a node takes only one"
            yield Problem((*key, index), taint, text)
        seen[name, effect] += 1


def _check_room_for_workload(cfg: KinkyConfig) -> Iterator[Problem]:
    """The workload tolerates no taint; CoreDNS and External Secrets also run on control planes."""
    if cfg.workload.enabled and not has_open_node(cfg) and any(pool.replicas for pool in cfg.workers):
        text = (
            "each pool with nodes has a taint with effect NoSchedule or NoExecute, which the workload does not "
            "tolerate: add a pool without one, or set workload.enabled: false"
        )
        yield Problem(("workers",), UNSHOWN, text, (("workload", "enabled"),))


def _check_name_lengths(cfg: KinkyConfig) -> Iterator[Problem]:
    """A node's name is its hostname, so the longest one must be a DNS label."""
    cluster = cfg.cluster.name
    candidates: list[tuple[str, KeyPath]] = [
        (names.node_name(cluster, pool.pool, pool.replicas - 1), ("workers", index, "pool"))
        for index, pool in enumerate(cfg.workers)
        if pool.replicas
    ]
    candidates.append(
        (names.node_name(cluster, names.CONTROL_PLANE, cfg.control_plane.replicas - 1), ("controlPlane",))
    )
    name, key = max(candidates, key=lambda candidate: len(candidate[0]))
    if len(name) > names.DNS_LABEL_LIMIT:
        too_many = len(name) - names.DNS_LABEL_LIMIT
        yield Problem(
            ("cluster", "name"),
            cluster,
            f"is {too_many} too long: the node {name} would have {len(name)} characters, a DNS label has at most 63",
            (key,),
        )


def _is_within(domain: str, *parents: str) -> bool:
    """Tell whether a domain is one of these, or below one."""
    return any(domain == parent or domain.endswith(f".{parent}") for parent in parents)
