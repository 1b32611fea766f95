"""For each key that an existing cluster does not take at once: an example of a change."""

from __future__ import annotations

from typing import Any

from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.releases import list_releases

IMAGE = "registry.test/node:1"
EPHEMERAL = {"cluster": {"name": "dev", "ephemeral": True}}
SERVER = {"address": "https://vault.test:8200"}
VAULT = {"secretsStore": {"kind": "vault", "vault": SERVER}}
KMS = {"encryption": {"provider": "kms", "kmsSocket": "/run/kms/a.sock"}}
OLDEST = list_releases()[-1]
BASE: dict[str, Any] = {
    "cluster": {"name": "dev"},
    "host": {"embedded": True},
    "workers": [{"pool": "worker", "replicas": 2}],
}


def pool(**more: Any) -> dict[str, Any]:
    return {"workers": [{"pool": "worker", "replicas": 2, **more}]}


def vault(**more: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return VAULT, {"secretsStore": {"kind": "vault", "vault": SERVER | more}}


def virtual_machine(**more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {}, {"virtualMachine": more}


CHANGED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cluster.name": ({}, {"cluster": {"name": "other"}}),
    "cluster.kubernetesVersion": ({}, {"cluster": {"name": "dev", "kubernetesVersion": OLDEST.kubernetes_version}}),
    "cluster.domain": ({}, {"cluster": {"name": "dev", "domain": "other.local"}}),
    "cluster.ephemeral": ({}, EPHEMERAL),
    "host.namespace": ({}, {"host": {"embedded": True, "namespace": "elsewhere"}}),
    "host.accelerator": ({}, {"host": {"embedded": True, "accelerator": "container"}}),
    "image.reference": ({}, {"image": {"reference": "registry.test/node:2"}}),
    "image.pullPolicy": ({}, {"image": {"pullPolicy": "Never"}}),
    "controlPlane.replicas": ({}, {"controlPlane": {"replicas": 3}}),
    "controlPlane.cores": ({}, {"controlPlane": {"cores": 4}}),
    "controlPlane.memoryMib": ({}, {"controlPlane": {"memoryMib": 4096}}),
    "controlPlane.dataGib": ({}, {"controlPlane": {"dataGib": 16}}),
    "controlPlane.etcdGib": ({}, {"controlPlane": {"etcdGib": 4}}),
    "controlPlane.etcdStorageClass": ({}, {"controlPlane": {"etcdStorageClass": "fast"}}),
    "workers.worker.cores": ({}, pool(cores=4)),
    "workers.worker.memoryMib": ({}, pool(memoryMib=4096)),
    "workers.worker.dataGib": ({}, pool(dataGib=16)),
    "workers.worker.labels": ({}, pool(labels={"a": "b"})),
    "workers.worker.taints": ({}, pool(taints=["a=b:PreferNoSchedule"])),
    "network.podCidrs": ({}, {"network": {"podCidrs": ["10.244.0.0/16"]}}),
    "network.serviceCidrs": ({}, {"network": {"serviceCidrs": ["10.94.0.0/16"]}}),
    "network.overlayPort": ({}, {"network": {"overlayPort": 8472}}),
    "network.mtu": ({}, {"network": {"mtu": 1400}}),
    "virtualMachine.firmware": virtual_machine(firmware="uefi"),
    "virtualMachine.serialConsoleLog": (
        {"virtualMachine": {"serialConsoleLog": "always"}},
        {"virtualMachine": {"serialConsoleLog": "never"}},
    ),
    "virtualMachine.cpuModel": virtual_machine(cpuModel="Haswell"),
    "virtualMachine.terminationGraceSeconds": virtual_machine(terminationGraceSeconds=60),
    "virtualMachine.evictionStrategy": virtual_machine(evictionStrategy="None"),
    "secretsStore.kind": (EPHEMERAL, EPHEMERAL | {"secretsStore": {"kind": "inCluster"}}),
    "secretsStore.vault.namespace": vault(namespace="team"),
    "secretsStore.vault.mount": vault(mount="kv"),
    "secretsStore.vault.prefix": vault(prefix="elsewhere"),
    "secretsStore.vault.authMount": vault(authMount="jwt"),
    "secretsStore.vault.role": vault(role="other"),
    "encryption.provider": ({}, KMS),
    "encryption.kmsSocket": (KMS, {"encryption": {"provider": "kms", "kmsSocket": "/run/kms/b.sock"}}),
    "encryption.kmsTimeoutSeconds": (KMS, {"encryption": {**KMS["encryption"], "kmsTimeoutSeconds": 9}}),
}
"""For each key that is not free: the configuration of the cluster, and that of the next `preview`."""
IDENTITY = {"cluster.name", "host.namespace"}
"""Keys by which the record is found."""


def load(changed: dict[str, Any]) -> KinkyConfig:
    return load_config(BASE | changed, source="test")
