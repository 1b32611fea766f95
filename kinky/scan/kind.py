"""`Kind`: every kind of artefact there is; a kind without a planted secret in the tests fails them."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The kind of an artefact; the allow-list goes by it, and the report counts by it."""

    STATE = "Pulumi state"
    PULUMI_HOME = "Pulumi home"
    PULUMI_OUTPUT = "Pulumi output"
    PASSPHRASE_FILE = "passphrase file"  # noqa: S105 - the name of a kind
    CLUSTER_FOLDER = "cluster folder"
    REPORT = "report of an unexpected error"
    EMBEDDED_HOST = "embedded host"
    PROCESS = "process"
    WORK_TREE = "git work tree"
    GIT_OBJECT = "git object"
    STAGED = "staged file"
    PATH = "path"
    """Paths that the admin named."""
    DISK_IMAGE = "disk image"
    """A disk that is no VM's of this stack."""
    VM_DISK = "VM disk"
    CREDENTIALS_DISK = "credentials disk"
    INNER_ETCD = "inner etcd"
    """The raw disk with etcd's database and log of a control plane."""
    POD_LOG = "pod log"
    VIRTUAL_MACHINE = "VirtualMachine"
    VIRTUAL_MACHINE_INSTANCE = "VirtualMachineInstance"
    POD = "Pod"
    EVENT = "Event"
    CONFIG_MAP = "ConfigMap"
    SERVICE = "Service"
    PERSISTENT_VOLUME_CLAIM = "PersistentVolumeClaim"
    SECRET = "Secret"  # noqa: S105 - the name of a kind
