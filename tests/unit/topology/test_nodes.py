"""From roles and pools to nodes."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from kinky import names
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.topology.nodes import build_nodes, control_planes, workers


def config(**sections: object) -> KinkyConfig:
    return load_config({"cluster": {"name": "dev"}, "host": {"embedded": True}} | sections, source="test")


def test_control_planes_come_first_then_the_pools_in_their_order() -> None:
    nodes = build_nodes(
        config(controlPlane={"replicas": 3}, workers=[{"pool": "web", "replicas": 2}, {"pool": "batch"}])
    )
    assert [node.name for node in nodes] == [
        "dev-control-plane-0",
        "dev-control-plane-1",
        "dev-control-plane-2",
        "dev-web-0",
        "dev-web-1",
        "dev-batch-0",
    ]
    assert [node.name for node in control_planes(nodes)] == [f"dev-control-plane-{index}" for index in range(3)]
    assert [node.pool for node in workers(nodes)] == ["web", "web", "batch"]


def test_a_node_has_what_was_asked_for() -> None:
    pool = {
        "pool": "web",
        "cores": 3,
        "memoryMib": 4096,
        "dataGib": 9,
        "labels": {"a": "b"},
        "taints": ["c:PreferNoSchedule"],
    }
    head, worker = build_nodes(config(controlPlane={"memoryMib": 5000, "etcdGib": 4}, workers=[pool]))
    assert (head.role, head.pool, head.memory_mib, head.etcd_gib) == ("control-plane", "control-plane", 5000, 4)
    assert (head.cores, head.data_gib, head.labels, head.taints) == (2, 8, {}, ())
    assert (worker.role, worker.cores, worker.memory_mib, worker.data_gib) == ("worker", 3, 4096, 9)
    assert (worker.etcd_gib, worker.labels, worker.taints) == (None, {"a": "b"}, ("c:PreferNoSchedule",))
    assert copy.deepcopy(worker) == worker


@given(st.sampled_from([1, 3]), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_names_are_unique_labels_and_ordinals_count_from_zero(replicas: int, sizes: list[int]) -> None:
    pools = [{"pool": f"p{number}", "replicas": size} for number, size in enumerate(sizes)]
    nodes = build_nodes(config(controlPlane={"replicas": replicas}, workers=pools))
    assert len({node.name for node in nodes}) == len(nodes) == replicas + sum(sizes)
    assert all(names.is_dns_label(node.name) for node in nodes)
    for pool in {node.pool for node in nodes}:
        indices = [node.index for node in nodes if node.pool == pool]
        assert indices == list(range(len(indices)))
