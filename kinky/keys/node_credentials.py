"""A worker's own kubelet certificates, signed before its VM exists: no join token, so nothing to expire.

The Secret's name is a hash over the content of the certificates, so the same request finds the same Secret again.
Another request gives another name, which changes the VM: its node takes it when it restarts.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kinky import names
from kinky.errors import HostError
from kinky.keys.certificates import (
    LeafRequest,
    Pair,
    build_fingerprint,
    fetch_not_after,
    format_time,
    is_issued_by,
    make_leaf,
    parse_time,
)
from kinky.keys.material import fetch_ca
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.host import HostApi
from kinky.kube.objects import build_secret

CERTIFICATE_LIFE = timedelta(days=365)
CLIENT_CERTIFICATE = "kubelet-client.crt"
SERVING_CERTIFICATE = "kubelet-serving.crt"
CA_FILE = "ca.crt"
"""The CAs that the node trusts: one or more."""
CERTIFICATES = (CA_FILE, CLIENT_CERTIFICATE, SERVING_CERTIFICATE)
CREDENTIALS_VOLUME = "credentials"


@dataclass(frozen=True)
class NodeCredentialRecord:
    """Where a worker's certificates are, what they are, and until when they are valid."""

    secret_name: str
    not_after: str
    fingerprints: dict[str, str] = field(default_factory=dict)


def ensure_node_credentials(
    api: HostApi, cluster: str, node: str, address: str, *, generation: int = 1
) -> NodeCredentialRecord:
    """Sign the client and serving certificate of a worker's kubelet, unless the host holds them already.

    Args:
        address: The node's S-address, which the serving certificate names.
        generation: A higher number gives new certificates under a new name.
    """
    ca = fetch_ca(api, cluster)
    name = build_secret_name(ca, node, address, generation=generation)
    if api.fetch_here(resources.SECRETS, name) is None:
        body = _build_body(cluster, node, name, make_node_files(ca, node, address))
        api.create(resources.SECRETS, body, namespace=api.namespace)
    files = api.fetch_secret_here(name) or {}
    missing = [file for file in CERTIFICATES if file not in files]
    if missing:
        raise HostError(
            f"host cluster: Secret {api.namespace}/{name} has no {', '.join(missing)}",
            hint=f"it was edited: kubectl delete secret {name} -n {api.namespace}, then pulumi up",
        )
    return NodeCredentialRecord(
        secret_name=name,
        not_after=format_time(fetch_not_after(files[CLIENT_CERTIFICATE])),
        fingerprints={file: build_fingerprint(files[file]) for file in CERTIFICATES},
    )


def fetch_credentials_name(api: HostApi, node: str) -> str:
    """Fetch the name of the Secret that a worker's VM boots with; raises HostError when the VM names none."""
    body = api.fetch_here(resources.VIRTUAL_MACHINES, node) or {}
    template = ((body.get("spec") or {}).get("template") or {}).get("spec") or {}
    for volume in template.get("volumes") or []:
        if volume.get("name") == CREDENTIALS_VOLUME and volume.get("secret"):
            return str(volume["secret"]["secretName"])
    raise HostError(f"VM {api.namespace}/{node}: names no Secret with credentials", hint="pulumi up declares it")


def fetch_fingerprint(api: HostApi, secret_name: str) -> str:
    """Fetch the fingerprint of the client certificate in a worker's Secret; empty without a certificate."""
    certificate = (api.fetch_secret_here(secret_name) or {}).get(CLIENT_CERTIFICATE)
    return build_fingerprint(certificate) if certificate else ""


def replace_node_credentials(api: HostApi, cluster: str, node: str, *, secret_name: str) -> None:
    """Sign new certificates into the Secret that the worker's VM names; they count from its next boot on.

    The name stays, because the VM refers to it and Pulumi declares the VM.
    """
    files = make_node_files(fetch_ca(api, cluster), node, _fetch_address(api, node))
    api.put(resources.SECRETS, _build_body(cluster, node, secret_name, files), namespace=api.namespace)


def ensure_node_ca(api: HostApi, cluster: str, node: str, *, secret_name: str, ca: Pair) -> None:
    """Have a worker's Secret hold certificates of this CA, and trust what the CA's text holds.

    Args:
        ca: Of several certificates the first one signs, and all are trusted.
    """
    files = api.fetch_secret_here(secret_name) or {}
    own = [files.get(name, b"") for name in (CLIENT_CERTIFICATE, SERVING_CERTIFICATE)]
    if not all(certificate and is_issued_by(certificate, ca.certificate) for certificate in own):
        wanted = make_node_files(ca, node, _fetch_address(api, node))
    else:
        wanted = files | {CA_FILE: ca.certificate}
    if wanted != files:
        api.put(resources.SECRETS, _build_body(cluster, node, secret_name, wanted), namespace=api.namespace)


def is_renewal_due(not_after: str) -> bool:
    """Tell whether certificates are past half of their life; a caller then asks for the next generation."""
    return datetime.now(UTC) > parse_time(not_after) - CERTIFICATE_LIFE / 2


def build_secret_name(ca: Pair, node: str, address: str, *, generation: int) -> str:
    """Build the name of the Secret from what its certificates say."""
    said = "\n".join((build_fingerprint(ca.certificate), node, address, str(generation)))
    return names.credentials_secret(node, names.content_hash(said.encode()))


def make_node_files(ca: Pair, node: str, address: str) -> dict[str, bytes]:
    """Make all files of a worker's Secret, new ones (secret)."""
    client = make_leaf(
        ca,
        LeafRequest(common_name=f"system:node:{node}", organizations=["system:nodes"], life=CERTIFICATE_LIFE),
    )
    serving = make_leaf(
        ca,
        LeafRequest(
            common_name=f"system:node:{node}",
            organizations=["system:nodes"],
            dns_names=[node],
            addresses=[address],
            server=True,
            life=CERTIFICATE_LIFE,
        ),
    )
    return {
        CA_FILE: ca.certificate,
        CLIENT_CERTIFICATE: client.certificate,
        "kubelet-client.key": client.key,
        SERVING_CERTIFICATE: serving.certificate,
        "kubelet-serving.key": serving.key,
    }


def _fetch_address(api: HostApi, node: str) -> str:
    """Fetch the node's S-address; raises HostError when it has none."""
    service = api.fetch_here(resources.SERVICES, node) or {}
    address = (service.get("spec") or {}).get("clusterIP")
    if not address:
        raise HostError(f"host cluster: Service {api.namespace}/{node} has no address", hint="pulumi up declares it")
    return str(address)


def _build_body(cluster: str, node: str, name: str, files: dict[str, bytes]) -> JsonObject:
    """Build the Secret; it can be changed, because a rotation replaces its content under the same name."""
    labels = names.node_labels(cluster, role=names.WORKER, pool=_pool(cluster, node), node=node)
    return build_secret(name, files, labels=labels)


def _pool(cluster: str, node: str) -> str:
    """Read the pool out of a node's name, which is cluster, pool and index."""
    return node.removeprefix(f"{cluster}-").rpartition("-")[0]
