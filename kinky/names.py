"""Every name, label and annotation that KinKy gives to an object; nothing else builds names.

A node's name is at once its VirtualMachine, VMI, hostname, Kubernetes node and Service, so it must be a DNS label.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

DNS_LABEL_LIMIT: Final = 63
DNS_LABEL: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""A DNS label that may also name a Service (it starts with a letter)."""

CONTROL_PLANE: Final = "control-plane"
WORKER: Final = "worker"
ROLES: Final = (CONTROL_PLANE, WORKER)

LABEL_CLUSTER: Final = "kinky.dev/cluster"
LABEL_ROLE: Final = "kinky.dev/role"
LABEL_POOL: Final = "kinky.dev/pool"
LABEL_NODE: Final = "kinky.dev/node"
LABEL_MADE_BY: Final = "kinky.dev/made-by"
ADMIN: Final = "admin"
"""Value of that label on what a person put into the secrets store; what the program makes has no such label."""
LABEL_BREAK_GLASS: Final = "kinky.dev/break-glass"
LABEL_ACCELERATOR: Final = "kinky.dev/accelerator"
"""On a namespace of the embedded host: `container` makes its VMs start as container guests."""
CONTAINER_GUESTS: Final = "kinky.dev/container-guests"
"""Annotation of the embedded host's node: OFFERED, or the reason why not."""
OFFERED: Final = "offered"
STACK_ANNOTATION: Final = "kinky.dev/stack"
HOLDER_ANNOTATION: Final = "kinky.dev/holder"
TTL_ANNOTATION: Final = "kinky.dev/ttl-seconds"
"""On a lease: the stack that made the cluster, who uses it, and the time by which it is renewed."""
LABEL_STORE_ANCHOR: Final = "kinky.dev/store-anchor"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "kinky"

PASSPHRASE_VARIABLE: Final = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - the name of a variable
PASSPHRASE_FILE_VARIABLE: Final = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105 - as above

NAMESPACE_SYSTEM: Final = "kube-system"
NAMESPACE_KINKY: Final = "kinky-system"
NAMESPACE_WORKLOAD: Final = "web"
NAMESPACE_STORE: Final = "kinky-store"
"""Inner namespace of the values of an inCluster store."""
NAMESPACES_OF_OURS: Final = (NAMESPACE_SYSTEM, NAMESPACE_KINKY)
"""Inner namespaces whose pods run before the gate is open: they are what opens it."""

GATE: Final = "kinky-gate"
"""Name of the inner admission policy, of its binding, and of the ConfigMap that says whether the gate is open."""
GATE_TAINT: Final = "kinky.dev/secrets-not-ready"
"""Taint that a worker registers with; it goes when the gate opens."""

CONTAINER_LAUNCHER: Final = "container-launcher"
"""Program and image in a launcher pod whose guest is a container."""
IMAGE_PREFIX: Final = "kinky.internal"
"""Not a host name: images are never pulled, so nothing may ever resolve it."""
ENDPOINT_PORT: Final = 6443
HASH_LENGTH: Final = 8
FINGERPRINT_LENGTH: Final = 12
"""Hexadecimal digits of a SHA-256 that people compare by eye."""

SECRETBOX: Final = "secretbox"
KMS: Final = "kms"
KMS_NAME: Final = "kinky"
"""Name of the KMS in the API server's configuration: it stands in etcd before each value, so it never changes."""
ETCD_PREFIXES: Final = {SECRETBOX: "k8s:enc:secretbox:v1:", KMS: f"k8s:enc:kms:v2:{KMS_NAME}:"}
"""The bytes in the inner etcd before each encrypted value, by the provider that has encrypted it."""

FORWARD_PORT_FIRST: Final = 16443
FORWARD_PORT_COUNT: Final = 1000


def node_name(cluster: str, role_or_pool: str, index: int) -> str:
    """Return the name of a node, its VM and its Service, such as `dev-control-plane-0`."""
    return f"{cluster}-{role_or_pool}-{index}"


def endpoint_service(cluster: str) -> str:
    """Return the name of the Service in front of all control planes."""
    return f"{cluster}-endpoint"


def endpoint_host(cluster: str) -> str:
    """Return the DNS name of the inner API, which is also the TLS server name."""
    return f"api.{cluster}.kinky.internal"


def pki_secret(cluster: str) -> str:
    """Return the name of the host Secret with the CAs."""
    return f"{cluster}-pki"


def user_data_secret(node: str, content_hash: str) -> str:
    """Return the name of the host Secret with a node's user-data; a change of content changes the name."""
    return f"{node}-user-data-{content_hash[:HASH_LENGTH]}"


def credentials_secret(node: str, content_hash: str) -> str:
    """Return the name of the host Secret with a worker's kubelet certificates."""
    return f"{node}-credentials-{content_hash[:HASH_LENGTH]}"


def etcd_claim(node: str) -> str:
    """Return the name of the PersistentVolumeClaim with a control plane's etcd data."""
    return f"{node}-etcd"


def store_secret(cluster: str, name: str) -> str:
    """Return the name of the host Secret that holds one value of the secrets store."""
    return f"{cluster}-store-{name}"


def store_decoy(cluster: str) -> str:
    """Return the name of a host Secret that is not the store's: the gate proves that its reader cannot read it."""
    return f"{cluster}-decoy"


def store_reader(cluster: str) -> str:
    """Return the name of the ServiceAccount, Role and RoleBinding that read the store's values."""
    return f"{cluster}-store-reader"


def store_value_reader(cluster: str, name: str) -> str:
    """Return the name of the Role and RoleBinding that let the store's reader get one value of the admin."""
    return f"{store_reader(cluster)}-{name}"


def store_token_anchor(cluster: str, suffix: str) -> str:
    """Return the name of an empty host Secret that one token of the store's reader is bound to, and ends with."""
    return f"{cluster}-token-{suffix[:HASH_LENGTH]}"


def vault_name(cluster: str) -> str:
    """Return the name of a cluster's auth method, role and policy on a server with Vault's API."""
    return f"kinky-{cluster}"


def vault_prefix(cluster: str) -> str:
    """Return the path below the mount that holds a cluster's values on a server with Vault's API."""
    return f"kinky/{cluster}"


def vault_decoy(prefix: str) -> str:
    """Return the path of a value beside the prefix: the gate proves that the store's reader cannot read it."""
    return f"{prefix}-decoy"


def operations_record(cluster: str) -> str:
    """Return the name of the ConfigMap that records which operation runs and how far each one has come."""
    return f"{cluster}-operations"


def break_glass_record(cluster: str, fingerprint: str) -> str:
    """Return the name of the ConfigMap that says who made a break-glass certificate."""
    return f"{cluster}-break-glass-{fingerprint[:FINGERPRINT_LENGTH]}"


def cluster_record(cluster: str) -> str:
    """Return the name of the ConfigMap with the cluster's stack and host."""
    return f"{cluster}-record"


def leased_cluster(run: str, number: int) -> str:
    """Return the name of a cluster of a test run, such as `t-1f0c9a52-0`; the run's part is random."""
    return reused_cluster(f"{run}-{number}")


def reused_cluster(name: str) -> str:
    """Return the name of a cluster that several test runs use; it never is the name of a stack of somebody's own."""
    return f"t-{name}"


def lease(cluster: str) -> str:
    """Return the name of the Job that is the cluster's lease: the owner of each of its objects on the host."""
    return f"{cluster}-lease"


def are_rivals(cluster: str, other: str) -> bool:
    """Tell whether two clusters could use one name: each name is a cluster's name, a hyphen and more."""
    return cluster != other and (f"{cluster}-".startswith(f"{other}-") or f"{other}-".startswith(f"{cluster}-"))


def network_policy(cluster: str) -> str:
    """Return the name of the host NetworkPolicy around the cluster's VMs."""
    return f"{cluster}-nodes"


def image_reference(kubernetes_version: str, content_hash: str) -> str:
    """Return the reference of a node image, such as `kinky.internal/node:VERSION-0123456789ab`."""
    return f"{IMAGE_PREFIX}/node:{kubernetes_version}-{content_hash[:12]}"


def cluster_labels(cluster: str) -> dict[str, str]:
    """Return the labels of every host object that belongs to the cluster."""
    return {LABEL_CLUSTER: cluster, LABEL_MANAGED_BY: MANAGED_BY}


def node_labels(cluster: str, *, role: str, pool: str, node: str) -> dict[str, str]:
    """Return the labels of every host object that belongs to one node."""
    return cluster_labels(cluster) | {LABEL_ROLE: role, LABEL_POOL: pool, LABEL_NODE: node}


def cluster_selector(cluster: str) -> str:
    """Return the label selector that finds every host object of the cluster."""
    return f"{LABEL_CLUSTER}={cluster},{LABEL_MANAGED_BY}={MANAGED_BY}"


def is_dns_label(name: str) -> bool:
    """Tell whether the name may be a hostname, a node and a Service at once."""
    return len(name) <= DNS_LABEL_LIMIT and DNS_LABEL.fullmatch(name) is not None


def content_hash(content: bytes) -> str:
    """Return the lower-case hexadecimal SHA-256 of the content; names use its first characters."""
    return hashlib.sha256(content).hexdigest()


def short_fingerprint(content: bytes) -> str:
    """Return the first digits of the content's SHA-256: what `sha256sum` begins with, short enough to compare."""
    return content_hash(content)[:FINGERPRINT_LENGTH]


def forward_port(cluster: str) -> int:
    """Return the local port of a cluster's forward: the same on each machine, most likely free of other clusters."""
    return FORWARD_PORT_FIRST + int(content_hash(cluster.encode())[:8], 16) % FORWARD_PORT_COUNT
