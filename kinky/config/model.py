"""The configuration of one stack, with its defaults; the text under a field is its documentation."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from kinky import names
from kinky.config.section import Section
from kinky.config.store import SecretsStore, VaultServer
from kinky.config.values import (
    AnnotationValue,
    Cidr,
    Cores,
    CpuModel,
    DiskGib,
    EmptyOrName,
    FilePath,
    ImageReference,
    LabelKey,
    LabelValue,
    LocalPort,
    Name,
    NodePort,
    OneFamily,
    Port,
    Rule,
    Socket,
    Subdomain,
    Taint,
    Text,
    within,
)

KUBERNETES_VERSIONS: Final = (names.KUBERNETES_VERSION,)
"""The versions that a node image can be built for; an image holds the system images of exactly one of them."""


ControlPlaneCount = Annotated[
    int,
    Rule(
        lambda count: None if count in (1, 3) else "must be 1 or 3, because etcd needs an odd number to keep a quorum",
        {"enum": [1, 3]},
    ),
]
KubernetesVersion = Annotated[
    str,
    Rule(
        lambda version: None if version in KUBERNETES_VERSIONS else f"must be one of: {', '.join(KUBERNETES_VERSIONS)}",
        {"enum": list(KUBERNETES_VERSIONS)},
    ),
]


class Cluster(Section):
    """The inner cluster as a whole."""

    name: Name
    """Name of the inner cluster; the first part of every object's name on the host."""
    kubernetes_version: KubernetesVersion = names.KUBERNETES_VERSION
    """Kubernetes of the inner cluster; the node image must be built for the same version."""
    domain: Subdomain = "cluster.local"
    """DNS domain of the inner cluster's Services."""
    ephemeral: bool = False
    """Whether etcd lives on a disk that dies with its VM: for tests, and quicker to tear down."""


class Host(Section):
    """The cluster that runs KubeVirt and the VMs."""

    kubeconfig: FilePath | None = None
    """Path of the host's kubeconfig; `null` means $KUBECONFIG or ~/.kube/config."""
    context: Text | None = None
    """Context in that kubeconfig; `null` means its current context."""
    namespace: EmptyOrName = ""
    """Namespace for everything that KinKy makes; empty means `kinky-` and the cluster's name."""
    create_namespace: bool = True
    """Whether KinKy makes the namespace, and removes it at the end; rights: end of docs/configuration.md."""
    embedded: bool = False
    """Whether the host is the embedded one of this machine, started by `kinky host up`."""
    accelerator: Literal["auto", "kvm", "emulation"] = "auto"
    """How the VMs' processors run; `auto` asks the host. Emulation is slow and works without /dev/kvm."""
    encryption_at_rest: Literal["attested", "unknown"] = "unknown"
    """Whether the host encrypts Secrets in its etcd; KinKy cannot see it: `attested` is your word, `unknown` warns."""
    accept_unencrypted_at_rest: bool = False
    """Whether a cluster that is neither ephemeral nor embedded is made although `encryptionAtRest` is unknown."""


class Image(Section):
    """The node image."""

    reference: ImageReference | None = None
    """Image of the nodes' root disk; `null` means the newest built one, which only the embedded host has."""
    archive: Text | None = None
    """Path of an archive of that image: its Kubernetes version is checked, and it tells what a machine must know."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the host pulls the image; Always makes a node's restart depend on the registry."""


class ControlPlane(Section):
    """The nodes that run the API, etcd and the controllers."""

    replicas: ControlPlaneCount = 1
    """Number of control planes: 3 survive the loss of one."""
    cores: Cores = 2
    """Virtual processors of each."""
    memory_mib: Annotated[int, within(1700, 4194304, because="kubeadm asks for 1700 MiB")] = 3072
    """Memory of each, in MiB."""
    data_gib: DiskGib = 8
    """Size of the disk for containers and logs of each, in GiB; empty again after a restart of the VM."""
    etcd_gib: DiskGib = 2
    """Size of the etcd volume of each, in GiB."""
    etcd_storage_class: Subdomain | None = None
    """StorageClass of the etcd volumes; `null` means the host's default."""
    etcd_retain: bool = False
    """Whether the etcd volumes stay on the host when the stack is destroyed."""


class Pool(Section):
    """Workers that are alike."""

    pool: Name
    """Name of the pool, unique in the cluster; the middle part of its nodes' names."""
    replicas: Annotated[int, within(0, 5000)] = 1
    """Number of nodes."""
    cores: Cores = 1
    """Virtual processors of each."""
    memory_mib: Annotated[int, within(1024, 4194304, because="the system's own pods need that much")] = 2048
    """Memory of each, in MiB."""
    data_gib: DiskGib = 8
    """Size of the disk for containers and logs of each, in GiB; empty again after a restart of the VM."""
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels of the inner nodes."""
    taints: Annotated[tuple[Taint, ...], Field(strict=False)] = ()
    """Taints of the inner nodes, written as key=value:Effect."""


class Network(Section):
    """Addresses inside the inner cluster; a list has one network for each address family (now: IPv4 only)."""

    pod_cidrs: Annotated[tuple[Cidr, ...], Field(strict=False), OneFamily] = ("10.243.0.0/16",)
    """Network of the inner pods; each node takes a /24 of it."""
    service_cidrs: Annotated[tuple[Cidr, ...], Field(strict=False), OneFamily] = ("10.95.0.0/16",)
    """Network of the inner Services."""
    overlay_port: Port = 18472
    """UDP port of the inner overlay; not 8472 or 4789, so that it never meets an overlay of the host."""
    mtu: Annotated[int, within(1280, 65535)] | None = None
    """MTU inside the inner overlay, in bytes; `null` means what the nodes' network leaves."""
    host_cidrs: Annotated[tuple[Cidr, ...], Field(strict=False)] = ()
    """Networks that the host uses, for hosts that do not tell; the inner networks must not overlap them."""


class Access(Section):
    """How the operator reaches the inner API."""

    mode: Literal["forward", "nodePort", "loadBalancer"] = "forward"
    """`forward` goes through the host's API and needs nothing else of the host."""
    local_port: LocalPort | None = None
    """Local port of the forward; `null` means one from 16443 on that follows from the cluster's name."""
    node_port: NodePort | None = None
    """Port of the endpoint on the host's nodes in mode nodePort; `null` lets the host choose."""
    load_balancer_annotations: dict[LabelKey, AnnotationValue] = Field(default_factory=dict)
    """Annotations of the endpoint Service in mode loadBalancer."""


class VirtualMachine(Section):
    """What all VMs have in common."""

    firmware: Literal["bios", "uefi"] = "bios"
    """Firmware that boots the node image; it can be booted by both."""
    serial_console_log: Literal["always", "bootstrap", "never"] = "bootstrap"
    """When the host keeps what VMs print on the console; `bootstrap`: not of VMs that start once the gate is open."""
    cpu_model: CpuModel | None = None
    """Processor model of the VMs; `null` means the host's default."""
    termination_grace_seconds: Annotated[int, within(0, 3600)] = 30
    """Seconds that a VM has for its shutdown."""
    eviction_strategy: Literal["None", "LiveMigrate", "LiveMigrateIfPossible"] = "LiveMigrateIfPossible"
    """What the host does with a VM when its own node is drained."""


class Encryption(Section):
    """What encrypts Secrets in the inner etcd; it stays as the cluster was made."""

    provider: Literal["secretbox", "kms"] = "secretbox"
    """`secretbox` uses a key of KinKy's; `kms` a KMS v2 plugin, which your node image starts as a systemd unit."""
    kms_socket: Socket | None = None
    """Socket of the plugin in the guest, in a folder of its own below /run, such as /run/kms/plugin.sock."""
    kms_timeout_seconds: Annotated[int, within(1, 60)] | None = None
    """Seconds that the API server gives one call of the plugin; `null` means 3."""


class Workload(Section):
    """The small web application that shows the cluster at work."""

    enabled: bool = True
    """Whether it is made."""
    node_port: NodePort = 30080
    """Port on the inner nodes."""
    greeting: Text = "hello"
    """What it answers with."""


class Timeouts(Section):
    """How patient KinKy is."""

    scale: Annotated[float, Rule(lambda scale: None if 0.1 <= scale <= 100 else "must be from 0.1 to 100")] = 1.0
    """Factor on every limit; 1.0 is sized for emulation, three times what was measured."""

    def seconds(self, limit_seconds: float) -> float:
        """Return the limit times the scale."""
        return limit_seconds * self.scale


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
    def local_port(self) -> int:
        """Return the local port of the forward to the inner API."""
        return self.access.local_port or names.forward_port(self.cluster.name)

    @property
    def vault(self) -> VaultServer:
        """Return the server of a store of kind vault, with every name in it that follows from the cluster's.

        Raises:
            ValueError: The store is of another kind.
        """
        if self.secrets_store.vault is None:
            raise ValueError("the secrets store is not of kind vault")
        return self.secrets_store.vault.fill(self.cluster.name)
