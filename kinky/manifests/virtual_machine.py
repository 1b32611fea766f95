"""The VirtualMachine of a node: permanent, while its running instance may be replaced at any time.

A running instance keeps the `spec.template.spec` that it started with. Changes for its next restart are
in the names that the template refers to, so `kinky/forming/pending.py` can compare both.
Field names are those of kubevirt.io/v1 in KubeVirt 1.7.0.
"""

from __future__ import annotations

import uuid
from typing import Final

from kinky import names
from kinky.accelerator import Accelerator
from kinky.config.model import KinkyConfig
from kinky.manifests.body import Body, Late, binary_quantity, host_labels, host_metadata
from kinky.manifests.storage import etcd_capacity, has_etcd_claim
from kinky.topology.nodes import NodeSpec

EMULATED_ASSET: Final = "emulated"
"""Chassis asset tag by which the node image's boot loader knows that processor mitigations only cost time."""

_HOTPLUG_FLOOR_MIB: Final = 1024
_HOTPLUG_ALIGNMENT_MIB: Final = 2
_NETWORK: Final = "default"
_PATIENCE_SECONDS: Final = 60


def build_virtual_machine(
    cfg: KinkyConfig,
    node: NodeSpec,
    *,
    image: Late,
    user_data_secret: Late,
    credentials_secret: Late,
    accelerator: Accelerator,
) -> Body:
    """Return the VirtualMachine of a node.

    Args:
        image: reference of the node image, a containerDisk.
        user_data_secret: name of the Secret with user-data and network-data.
        credentials_secret: name of the Secret with the node's keys, which become files on a disk.
        accelerator: how the host runs the guest.
    """
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": host_metadata(cfg, node.name, node=node),
        "spec": {
            "runStrategy": "Always",
            "template": {
                # Copied to the launcher pod: Services, policies and selectors go by these labels.
                "metadata": {"labels": host_labels(cfg, node)},
                "spec": _instance_spec(cfg, node, accelerator=accelerator)
                | {"volumes": _volumes(cfg, node, image, user_data_secret, credentials_secret)},
            },
        },
    }


def virtual_machine_uuid(cfg: KinkyConfig, node: NodeSpec) -> uuid.UUID:
    """Return the firmware UUID: the same for every instance of a node, another for each node of each cluster."""
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{node.name}.{cfg.host.namespace}.{names.endpoint_host(cfg.cluster.name)}")


def mac_address(cfg: KinkyConfig, node: NodeSpec) -> str:
    """Return the NIC's address: locally administered, and the same for every instance of a node."""
    return ":".join(f"{octet:02x}" for octet in (0x02, *virtual_machine_uuid(cfg, node).bytes[-5:]))


def _instance_spec(cfg: KinkyConfig, node: NodeSpec, *, accelerator: Accelerator) -> Body:
    spec: Body = {
        "architecture": "amd64",
        "hostname": node.name,
        "evictionStrategy": _eviction_strategy(cfg, accelerator),
        "terminationGracePeriodSeconds": cfg.virtual_machine.termination_grace_seconds,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {names.LABEL_CLUSTER: cfg.cluster.name, names.LABEL_POOL: node.pool}},
            }
        ],
        "domain": _domain(cfg, node, accelerator=accelerator),
        "networks": [{"name": _NETWORK, "pod": {}}],
    }
    if node.is_control_plane:
        spec["readinessProbe"] = _api_probe(accelerator)
    return spec


def _eviction_strategy(cfg: KinkyConfig, accelerator: Accelerator) -> str:
    # KubeVirt believes that it can move a container guest, so an eviction would wait for ever and not end it.
    chosen = cfg.virtual_machine.eviction_strategy
    return "None" if accelerator is Accelerator.CONTAINER and chosen == "LiveMigrateIfPossible" else chosen


def _api_probe(accelerator: Accelerator) -> Body:
    # It decides membership in the endpoint Service. Short periods, because workers wait for it; a minute of misses,
    # because a loaded API server misses single probes and must not lose its workers for that. Each is a TLS handshake.
    period = 5 if accelerator is Accelerator.EMULATION else 1
    return {
        "httpGet": {"path": "/readyz", "port": names.ENDPOINT_PORT, "scheme": "HTTPS"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "successThreshold": 1,
        "failureThreshold": _PATIENCE_SECONDS // period,
    }


def _domain(cfg: KinkyConfig, node: NodeSpec, *, accelerator: Accelerator) -> Body:
    # Maximum = actual: without it KubeVirt reserves room for hotplug that an inner kubelet would never notice.
    cpu: Body = {"sockets": 1, "cores": node.cores, "threads": 1, "maxSockets": 1}
    if cfg.virtual_machine.cpu_model is not None:
        cpu["model"] = cfg.virtual_machine.cpu_model
    size = binary_quantity(node.memory_mib)
    memory = {"guest": size}
    if node.memory_mib >= _HOTPLUG_FLOOR_MIB and node.memory_mib % _HOTPLUG_ALIGNMENT_MIB == 0:
        memory["maxGuest"] = size  # KubeVirt refuses it for smaller or unaligned guests, and adds nothing to those
    domain: Body = {
        "machine": {"type": "q35"},
        "firmware": {
            "uuid": str(virtual_machine_uuid(cfg, node)),
            "serial": node.name,
            "bootloader": {"efi": {"secureBoot": False}} if cfg.virtual_machine.firmware == "uefi" else {"bios": {}},
        },
        "cpu": cpu,
        "memory": memory,
        "resources": {},
        "devices": _devices(cfg, node, accelerator=accelerator),
    }
    # A container reads no DMI, and takes the settings for real processors.
    if accelerator is Accelerator.EMULATION:
        domain["chassis"] = {"asset": EMULATED_ASSET}
    return domain


def _devices(cfg: KinkyConfig, node: NodeSpec, *, accelerator: Accelerator) -> Body:
    # Left out for `bootstrap`: the host's default logs, and what a step sets after it stays (docs/decisions/0016).
    logged = {"always": {"logSerialConsole": True}, "never": {"logSerialConsole": False}, "bootstrap": {}}
    return {
        "autoattachGraphicsDevice": False,
        "autoattachSerialConsole": True,
        "autoattachMemBalloon": True,
        **logged[cfg.virtual_machine.serial_console_log],
        # Queues spread interrupts over real processors. Emulated ones share one thread, and a container has no queue.
        "networkInterfaceMultiqueue": accelerator not in (Accelerator.EMULATION, Accelerator.CONTAINER),
        "rng": {},
        "disks": _disks(node),
        "interfaces": [{"name": _NETWORK, "masquerade": {}, "model": "virtio", "macAddress": mac_address(cfg, node)}],
    }


def _disks(node: NodeSpec) -> list[Body]:
    # Write-back: root and data die with the instance, so the host need not write them through; flushes still count.
    disks: list[Body] = [
        {"name": "root", "bootOrder": 1, "cache": "writeback", "disk": {"bus": "virtio"}},
        {"name": "cidata", "disk": {"bus": "virtio"}},
        {"name": "credentials", "serial": "kinky-creds", "disk": {"bus": "virtio"}},
        {"name": "data", "serial": "kinky-data", "cache": "writeback", "disk": {"bus": "virtio"}},
    ]
    if node.is_control_plane:
        # No cache mode: KubeVirt picks direct I/O where the volume can do it.
        disks.append({"name": "etcd", "serial": "kinky-etcd", "disk": {"bus": "virtio"}})
    return disks


def _volumes(
    cfg: KinkyConfig, node: NodeSpec, image: Late, user_data_secret: Late, credentials_secret: Late
) -> list[Body]:
    volumes: list[Body] = [
        {"name": "root", "containerDisk": {"image": image, "imagePullPolicy": cfg.image.pull_policy}},
        {
            "name": "cidata",
            "cloudInitNoCloud": {
                "secretRef": {"name": user_data_secret},
                "networkDataSecretRef": {"name": user_data_secret},
            },
        },
        {"name": "credentials", "secret": {"secretName": credentials_secret}},
        {"name": "data", "emptyDisk": {"capacity": binary_quantity(node.data_gib * 1024)}},
    ]
    if has_etcd_claim(cfg, node):
        volumes.append({"name": "etcd", "persistentVolumeClaim": {"claimName": names.etcd_claim(node.name)}})
    elif node.is_control_plane:
        volumes.append({"name": "etcd", "emptyDisk": {"capacity": etcd_capacity(node)}})
    return volumes
