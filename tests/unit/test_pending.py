"""Which nodes wait for a restart: the running instance is compared with the template of its VM."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kinky.accelerator import Accelerator
from kinky.config.change import list_settings
from kinky.config.model import KinkyConfig
from kinky.config.problem import format_key
from kinky.config.section import AT_RESTART
from kinky.forming import pending
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.manifests.virtual_machine import build_virtual_machine
from kinky.render.node import render_node
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import NodeSpec, build_nodes
from tests.golden.changes import CHANGED, EPHEMERAL, IMAGE, VAULT, load
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context="lab", namespace="kinky-dev", cluster="dev")
VIRT = "/apis/kubevirt.io/v1/namespaces/kinky-dev"
LABELS = {"labels": {"kinky.dev/cluster": "dev"}}
WAITING = sorted(format_key(each.key) for each in list_settings(load(VAULT)) if each.changes == AT_RESTART)


def build_spec(cfg: KinkyConfig, node: NodeSpec) -> dict[str, Any]:
    """Build the spec that a VM of this configuration has in its template."""
    nodes = build_nodes(cfg)
    addresses = Addresses.parse(endpoint=["10.96.0.2"], nodes={each.name: ["10.96.1.1"] for each in nodes})
    content = render_node(cfg, node, nodes, addresses, upstream=None).content_hash
    body = build_virtual_machine(
        cfg,
        node,
        image=cfg.image.reference or IMAGE,
        user_data_secret=f"{node.name}-user-data-{content}",
        credentials_secret=f"{node.name}-credentials",
        accelerator=cfg.host.asked_accelerator or Accelerator.EMULATION,
    )
    spec: dict[str, Any] = copy.deepcopy(body["spec"]["template"]["spec"])
    return spec


def start(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the instance that KubeVirt 1.7 starts from a template, with the defaults that it fills in."""
    made = copy.deepcopy(spec)
    made["domain"]["cpu"].setdefault("model", "host-model")
    made["domain"]["machine"]["type"] = "pc-q35-rhel9.6.0"
    made["domain"]["resources"] = {"requests": {"memory": made["domain"]["memory"]["guest"]}}
    return made


def compare(key: str) -> dict[str, list[str]]:
    """Return what waits in each node of a cluster whose configuration changes by the example of the key."""
    before, after = (load(changed) for changed in CHANGED[key])
    return {
        old.name: found
        for old, new in zip(build_nodes(before), build_nodes(after), strict=True)
        if (found := pending.compare_instance(build_spec(after, new), start(build_spec(before, old))))
    }


@pytest.mark.parametrize("key", WAITING)
def test_each_key_that_takes_effect_at_a_restart_is_seen_in_the_instance(key: str) -> None:
    assert compare(key), "an instance of before looks like one of after"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("controlPlane.memoryMib", {"dev-control-plane-0": ["memory 3072 -> 4096 MiB"]}),
        ("workers.worker.cores", {"dev-worker-0": ["cores 1 -> 4"], "dev-worker-1": ["cores 1 -> 4"]}),
        ("controlPlane.dataGib", {"dev-control-plane-0": ["data disk 8192 -> 16384 MiB"]}),
        ("virtualMachine.firmware", dict.fromkeys(("dev-control-plane-0", "dev-worker-0", "dev-worker-1"))),
    ],
)
def test_the_nodes_and_the_values_are_named(key: str, expected: dict[str, list[str] | None]) -> None:
    found = compare(key)
    assert found.keys() == expected.keys()
    assert all(found[node] == values for node, values in expected.items() if values)


def test_an_image_and_a_secret_are_named() -> None:
    (first, *_others) = compare("image.reference").values()
    assert first == ["image registry.test/node:1 -> registry.test/node:2"]
    (words,) = compare("encryption.kmsTimeoutSeconds").values()
    assert words[0].startswith("user-data dev-control-plane-0-user-data-")


@pytest.mark.parametrize("changed", [{}, EPHEMERAL, VAULT], ids=["plain", "ephemeral", "vault"])
def test_a_node_that_has_just_started_does_not_wait(changed: dict[str, Any]) -> None:
    cfg = load(changed)
    for node in build_nodes(cfg):
        spec = build_spec(cfg, node)
        instance = start(spec)
        assert pending.compare_instance(spec, instance) == []
        # The same memory in another unit, and the end of the console's log after the bootstrap (decision 0016).
        spec["domain"]["memory"]["guest"] = f"{node.memory_mib * 1024}Ki"
        spec["domain"]["devices"]["logSerialConsole"] = False
        assert pending.compare_instance(spec, instance) == []


def add(host: FakeConnection, name: str, *, memory: int, now: int, changed: dict[str, Any], **fields: Any) -> None:
    """Add a VM with one amount of memory, and its instance with another."""
    specs = []
    for amount in (memory, now):
        cfg = load(changed | {"workers": [{"pool": "worker", "memoryMib": amount}]})
        cfg = cfg.model_copy(
            update={"control_plane": cfg.control_plane.model_copy(update={"memory_mib": amount})},
        )
        specs.append(build_spec(cfg, next(node for node in build_nodes(cfg) if node.name == name)))
    host.add(f"{VIRT}/virtualmachines", name, metadata=dict(LABELS), spec={"template": {"spec": specs[0]}})
    metadata = {**LABELS, **fields.pop("metadata", {})}
    host.add(f"{VIRT}/virtualmachineinstances", name, metadata=metadata, spec=start(specs[1]), **fields)


def test_the_lines_of_an_up(host: FakeConnection) -> None:
    add(host, "dev-worker-0", memory=4096, now=3072, changed={})
    add(host, "dev-control-plane-0", memory=3072, now=3072, changed={})
    assert pending.describe_pending(HostApi.connect(ACCESS)) == [
        "restart pending: dev-worker-0 (memory 3072 -> 4096 MiB)",
        "restart one node at a time, and wait until it is Ready: "
        "kubectl --kubeconfig /k --context lab -n kinky-dev delete vmi dev-worker-0",
    ]
    assert {method for method, _path in host.calls} == {"GET"}


def test_a_restart_that_would_lose_etcd_is_not_recommended(host: FakeConnection) -> None:
    add(host, "dev-control-plane-0", memory=4096, now=3072, changed=EPHEMERAL)
    (line,) = pending.describe_pending(HostApi.connect(ACCESS))
    assert line.startswith("restart pending: dev-control-plane-0 (memory 3072 -> 4096 MiB); do not restart it: ")


@pytest.mark.parametrize(
    "fields",
    [{"status": {"phase": "Failed"}}, {"metadata": {"deletionTimestamp": "2026-11-22T00:00:00Z"}}],
    ids=["ended", "ending"],
)
def test_an_instance_that_ends_does_not_wait(host: FakeConnection, fields: dict[str, Any]) -> None:
    add(host, "dev-worker-0", memory=4096, now=3072, changed={}, **fields)
    assert pending.describe_pending(HostApi.connect(ACCESS)) == []


def test_a_vm_without_an_instance_does_not_wait(host: FakeConnection) -> None:
    add(host, "dev-worker-0", memory=4096, now=3072, changed={})
    del host.objects[f"{VIRT}/virtualmachineinstances/dev-worker-0"]
    assert pending.describe_pending(HostApi.connect(ACCESS)) == []


@pytest.mark.parametrize(("phase", "stays"), [("Pending", False), ("Scheduling", False), ("Running", True)])
def test_an_instance_that_never_started_is_replaced(host: FakeConnection, phase: str, stays: bool) -> None:
    add(host, "dev-worker-0", memory=2048, now=4194304, changed={}, status={"phase": phase})
    add(host, "dev-control-plane-0", memory=3072, now=3072, changed={}, status={"phase": phase})
    pending.replace_unstarted(HostApi.connect(ACCESS))
    assert (f"{VIRT}/virtualmachineinstances/dev-worker-0" in host.objects) == stays
    assert f"{VIRT}/virtualmachineinstances/dev-control-plane-0" in host.objects


def test_an_instance_that_waits_for_a_processor_model_is_older_than_a_template_without_one() -> None:
    cfg = load({})
    spec = build_spec(cfg, build_nodes(cfg)[0])
    waits = start(spec)
    assert pending.compare_instance(spec, waits, has_started=False) == []
    waits["domain"]["cpu"]["model"] = "Z80"
    assert pending.compare_instance(spec, waits, has_started=False) == ["processor model Z80 -> none"]
    assert pending.compare_instance(spec, waits) == []


def test_a_host_that_is_away_is_no_reason_to_end(host: FakeConnection) -> None:
    host.down = True
    pending.replace_unstarted(HostApi.connect(ACCESS))
