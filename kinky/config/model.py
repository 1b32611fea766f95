"""The configuration of one stack, with its defaults; the text under a field is its documentation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from kinky import names
from kinky.accelerator import Accelerator
from kinky.config.lease import Lease
from kinky.config.section import AT_RESTART, FREELY, Section, never
from kinky.config.store import SecretsStore, VaultServer
from kinky.config.timeouts import Timeouts
from kinky.config.values import (
    AnnotationKey,
    AnnotationValue,
    Cidr,
    ControlPlaneCount,
    Cores,
    CpuModel,
    DiskGib,
    EmptyOrLabel,
    FilePath,
    ImageReference,
    KubernetesVersion,
    Label,
    LabelKey,
    LabelValue,
    LocalPort,
    Name,
    NodePort,
    NodePorts,
    ObjectName,
    OneFamily,
    Port,
    Socket,
    Subdomain,
    Taint,
    Text,
    expand_ports,
    within,
)
from kinky.releases import Release, default_release, find_by_kubernetes


class Cluster(Section):
    """The inner cluster as a whole."""

    name: Annotated[Name, never("the name of each object of the cluster contains it")]
    """Name of the inner cluster; the first part of every object's name on the host."""
    kubernetes_version: Annotated[KubernetesVersion, never("the nodes of a cluster are not upgraded yet")] = (
        default_release().kubernetes_version
    )
    """Kubernetes of the inner cluster; each version has its own node image (`make image RELEASE=v1.35`)."""
    domain: Annotated[Subdomain, never("certificates and running pods contain names with it")] = "cluster.local"
    """DNS domain of the inner cluster's Services."""
    ephemeral: Annotated[bool, never("etcd's data would stay on the old disk")] = False
    """Whether etcd lives on a disk that dies with its VM: for tests, and quicker to tear down."""
    lease: Annotated[Lease | None, FREELY] = None
    """How long the host keeps the cluster; `null`: until it is destroyed. An existing cluster cannot get or lose it."""


class Host(Section):
    """The cluster that runs KubeVirt and the VMs."""

    kubeconfig: Annotated[FilePath | None, FREELY] = None
    """Path of the host's kubeconfig; `null` means $KUBECONFIG or ~/.kube/config."""
    context: Annotated[Text | None, FREELY] = None
    """Context in that kubeconfig; `null` means its current context."""
    namespace: Annotated[EmptyOrLabel, never("the VMs and the volumes cannot move")] = ""
    """Namespace for everything that KinKy makes; empty means `kinky-` and the cluster's name."""
    create_namespace: Annotated[bool, FREELY] = True
    """Whether KinKy makes the namespace, and removes it at the end; rights: docs/rights.md."""
    embedded: Annotated[bool, FREELY] = False
    """Whether the host is the embedded one of this machine, started by `kinky host up`."""
    accelerator: Annotated[Literal["auto", "kvm", "emulation", "container"], AT_RESTART] = "auto"
    """How the VMs run; `auto` asks the host and never means `container`: a guest that is root of its machine."""
    encryption_at_rest: Annotated[Literal["attested", "unknown"], FREELY] = "unknown"
    """Whether the host encrypts Secrets in its etcd; KinKy cannot see it: `attested` is your word, `unknown` warns."""
    accept_unencrypted_at_rest: Annotated[bool, FREELY] = False
    """Whether a cluster that is neither ephemeral nor embedded is made although `encryptionAtRest` is unknown."""

    @property
    def asked_accelerator(self) -> Accelerator | None:
        """Return the accelerator that the stack asks for; None where the host decides."""
        return None if self.accelerator == "auto" else Accelerator(self.accelerator)


class Image(Section):
    """The node image."""

    reference: Annotated[ImageReference | None, AT_RESTART] = None
    """Image of the nodes' root disk; `null`: the one built last for this version, which only the embedded host has."""
    archive: Annotated[Text | None, FREELY] = None
    """Path of an archive of that image: KinKy reads the image's record from it and checks its Kubernetes version."""
    pull_policy: Annotated[Literal["Always", "IfNotPresent", "Never"], AT_RESTART] = "IfNotPresent"
    """When the host pulls the image; Always makes a node's restart depend on the registry."""


class ControlPlane(Section):
    """The nodes that run the API, etcd and the controllers."""

    replicas: Annotated[ControlPlaneCount, never("etcd's members are chosen when the cluster is made")] = 1
    """Number of control planes: 3 survive the loss of one; a host that emulates carries only 1."""
    cores: Annotated[Cores, AT_RESTART] = 2
    """Virtual processors of each."""
    memory_mib: Annotated[int, within(1700, 4194304, because="kubeadm asks for 1700 MiB"), AT_RESTART] = 3072
    """Memory of each, in MiB."""
    data_gib: Annotated[DiskGib, AT_RESTART] = 8
    """Size of the disk for containers and logs of each, in GiB; empty again after a restart of the VM."""
    etcd_gib: Annotated[DiskGib, never("the disk on the volume is not resized")] = 2
    """Size of the etcd volume of each, in GiB."""
    etcd_storage_class: Annotated[
        ObjectName | None, never("another class needs another volume, and etcd's data would be lost")
    ] = None
    """StorageClass of the etcd volumes; `null` means the host's default."""
    etcd_retain: Annotated[bool, FREELY] = False
    """Whether the etcd volumes stay on the host when the stack is destroyed."""


class Pool(Section):
    """Workers that are alike."""

    pool: Annotated[Label, FREELY]
    """Name of the pool, unique in the cluster; the middle part of its nodes' names."""
    replicas: Annotated[int, within(0, 5000), FREELY] = 1
    """Number of nodes."""
    cores: Annotated[Cores, AT_RESTART] = 1
    """Virtual processors of each."""
    memory_mib: Annotated[int, within(1024, 4194304, because="the system's own pods need that much"), AT_RESTART] = 2048
    """Memory of each, in MiB."""
    data_gib: Annotated[DiskGib, AT_RESTART] = 8
    """Size of the disk for containers and logs of each, in GiB; empty again after a restart of the VM."""
    labels: Annotated[
        dict[LabelKey, LabelValue], never("a kubelet sets them once, when its node registers; use another pool")
    ] = Field(default_factory=dict)
    """Labels of the inner nodes."""
    taints: Annotated[
        tuple[Taint, ...],
        Field(strict=False),
        never("a kubelet sets them once, when its node registers; use another pool"),
    ] = ()
    """Taints of the inner nodes, written as key=value:Effect."""


class Network(Section):
    """Addresses inside the inner cluster; a list has one network for each address family (now: IPv4 only)."""

    pod_cidrs: Annotated[
        tuple[Cidr, ...], Field(strict=False), OneFamily, never("nodes and pods keep the addresses that they have")
    ] = ("10.243.0.0/16",)
    """Network of the inner pods; each node takes a /24 of it."""
    service_cidrs: Annotated[
        tuple[Cidr, ...], Field(strict=False), OneFamily, never("Services keep the addresses that they have")
    ] = ("10.95.0.0/16",)
    """Network of the inner Services."""
    overlay_port: Annotated[Port, never("nodes with different ports do not reach each other")] = 18472
    """UDP port of the inner overlay; not 8472 or 4789, so that it never meets an overlay of the host."""
    mtu: Annotated[
        Annotated[int, within(1280, 65535)] | None, never("the interfaces of running pods keep the MTU that they have")
    ] = None
    """MTU inside the inner overlay, in bytes; `null` derives it from the nodes' network."""
    host_cidrs: Annotated[tuple[Cidr, ...], Field(strict=False), FREELY] = ()
    """Networks that the host uses, for hosts that do not show them; the inner networks must not overlap them."""


class Access(Section):
    """How the admin reaches the inner API."""

    mode: Annotated[Literal["forward", "nodePort", "loadBalancer"], FREELY] = "forward"
    """`forward` goes through the host's API and needs nothing else of the host."""
    local_port: Annotated[LocalPort | None, FREELY] = None
    """Local port of the forward; `null` means one from 16443 on that follows from the cluster's name."""
    node_port: Annotated[Port | None, FREELY] = None
    """Port of the endpoint on the host's nodes in mode nodePort, in the host's range; `null` lets the host choose."""
    node_ports: Annotated[NodePorts, FREELY] = ()
    """NodePorts, TCP and UDP, that the host's pods reach at each node's address, such as 30080 or 30000-30010."""
    load_balancer_annotations: Annotated[dict[AnnotationKey, AnnotationValue], FREELY] = Field(default_factory=dict)
    """Annotations of the endpoint Service in mode loadBalancer."""


class VirtualMachine(Section):
    """Settings for all VMs."""

    firmware: Annotated[Literal["bios", "uefi"], AT_RESTART] = "bios"
    """Firmware that boots the node image; it can be booted by both."""
    serial_console_log: Annotated[Literal["always", "bootstrap", "never"], AT_RESTART] = "bootstrap"
    """When the host keeps the VMs' console output; `bootstrap`: not for VMs that start after the gate opens."""
    cpu_model: Annotated[CpuModel | None, AT_RESTART] = None
    """Processor model of the VMs; `null` means the host's default."""
    termination_grace_seconds: Annotated[int, within(0, 3600), AT_RESTART] = 30
    """Seconds that a VM has for its shutdown."""
    eviction_strategy: Annotated[Literal["None", "LiveMigrate", "LiveMigrateIfPossible"], AT_RESTART] = (
        "LiveMigrateIfPossible"
    )
    """How the host treats a VM when the node below it is drained."""


class Encryption(Section):
    """The encryption of Secrets in the inner etcd; its provider cannot change later."""

    provider: Annotated[Literal["secretbox", "kms"], never("another provider cannot read the encrypted values")] = (
        "secretbox"
    )
    """`secretbox` uses a key of KinKy's; `kms` a KMS v2 plugin, which your node image starts as a systemd unit."""
    kms_socket: Annotated[Socket | None, AT_RESTART] = None
    """Socket of the plugin in the guest, in a folder of its own below /run, such as /run/kms/plugin.sock."""
    kms_timeout_seconds: Annotated[Annotated[int, within(1, 60)] | None, AT_RESTART] = None
    """Seconds that the API server gives one call of the plugin; `null` means 3."""


class Workload(Section):
    """The small web application that shows the cluster at work."""

    enabled: Annotated[bool, FREELY] = True
    """Whether KinKy makes it."""
    node_port: Annotated[NodePort, FREELY] = 30080
    """Port on the inner nodes."""
    greeting: Annotated[Text, FREELY] = "hello"
    """Text of its answers."""


class KinkyConfig(Section):
    """The configuration of one stack; in its file each section's key has the prefix `kinky:`."""

    cluster: Cluster
    host: Host = Field(default_factory=Host)
    image: Image = Field(default_factory=Image)
    control_plane: ControlPlane = Field(default_factory=ControlPlane)
    workers: Annotated[tuple[Pool, ...], Field(strict=False)] = (Pool(pool=names.WORKER),)
    """Pools of workers."""
    network: Network = Field(default_factory=Network)
    access: Access = Field(default_factory=Access)
    virtual_machine: VirtualMachine = Field(default_factory=VirtualMachine)
    secrets_store: SecretsStore = Field(default_factory=SecretsStore)
    encryption: Encryption = Field(default_factory=Encryption)
    workload: Workload = Field(default_factory=Workload)
    timeouts: Timeouts = Field(default_factory=Timeouts)

    @model_validator(mode="before")
    @classmethod
    def _fill_namespace(cls, raw: Any) -> Any:
        """Derive the namespace from the cluster's name, so that every reader finds it in `host.namespace`."""
        if not isinstance(raw, dict) or not isinstance(raw.get("cluster"), dict):
            return raw
        name, host = raw["cluster"].get("name"), raw.get("host", {})
        if not isinstance(name, str) or not isinstance(host, dict):
            return raw
        # A bad name is reported where it was written, not a second time as a namespace that nobody wrote.
        if names.is_dns_label(name) and not host.get("namespace"):
            return raw | {"host": host | {"namespace": f"kinky-{name}"[: names.DNS_LABEL_LIMIT].rstrip("-")}}
        return raw

    @property
    def release(self) -> Release:
        """Return which versions go together in this cluster."""
        return find_by_kubernetes(self.cluster.kubernetes_version)

    @property
    def local_port(self) -> int:
        """Return the local port of the forward to the inner API."""
        return self.access.local_port or names.forward_port(self.cluster.name)

    @property
    def published_ports(self) -> list[int]:
        """Return the NodePorts that the host's pods reach, the workload's among them, without repetition."""
        ports = {port for item in self.access.node_ports for port in expand_ports(item)}
        return sorted(ports | ({self.workload.node_port} if self.workload.enabled else set()))

    @property
    def vault(self) -> VaultServer:
        """Return the server of a store of kind vault, with every name in it that follows from the cluster's.

        Raises:
            ValueError: The store is of another kind.
        """
        if self.secrets_store.vault is None:
            raise ValueError("the secrets store is not of kind vault")
        return self.secrets_store.vault.fill(self.cluster.name)
