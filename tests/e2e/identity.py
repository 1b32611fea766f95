"""Ways to an identity in the inner cluster that nobody declared: a bootstrap token, a certificate for another name."""

from __future__ import annotations

import base64
import ipaddress
import json
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kinky import names
from tests.e2e.person import Person

LATE_SECONDS: Final = 15.0
"""An approver looks at each request within a second of its creation; so long after the first it has seen all."""
CLIENT: Final = ("kubernetes.io/kube-apiserver-client-kubelet", "client auth")
SERVING: Final = ("kubernetes.io/kubelet-serving", "server auth")


def build_bootstrap_token(public: str, secret: str) -> dict[str, Any]:
    """Return the Secret of a join token as kubeadm writes it."""
    values = {"token-id": public, "token-secret": secret, "auth-extra-groups": "system:bootstrappers:kubeadm:x"}
    uses = {f"usage-bootstrap-{use}": "true" for use in ("authentication", "signing")}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{public}", "namespace": names.NAMESPACE_SYSTEM},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": values | uses,
    }


def write_kubeconfig(person: Person, path: Path, *, token: str) -> str:
    """Write a kubeconfig with this token in the place of the operator's certificate; return its path."""
    config = yaml.safe_load(Path(person.environment()["KUBECONFIG"]).read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return str(path)


def act_as(node: str) -> tuple[str, ...]:
    """Return kubectl's options for the identity of a node's kubelet."""
    groups = ("system:nodes", "system:authenticated")
    return (f"--as=system:node:{node}", *(f"--as-group={group}" for group in groups))


def build_requests(node: str) -> dict[str, dict[str, Any]]:
    """Return what a node may ask for and what it may not, by what is special about it."""
    own, other = f"system:node:{node}", "system:node:nobody-declared"
    # An address of nobody, from the range for documentation.
    address = x509.IPAddress(ipaddress.ip_address("192.0.2.1"))
    return {
        "own": _build_request("own", own, CLIENT),
        "another name": _build_request("another-name", other, CLIENT),
        "another address": _build_request("another-address", own, SERVING, address),
        "another DNS name": _build_request("another-dns-name", own, SERVING, x509.DNSName("nobody-declared")),
    }


def fetch_issued(person: Person, requests: dict[str, dict[str, Any]]) -> set[str]:
    """Return which of the requests were approved, or have a certificate."""
    listed = json.loads(person.kubectl("get", "certificatesigningrequests", "--output", "json"))["items"]
    found = {body["metadata"]["name"]: body.get("status") or {} for body in listed}
    return {what for what, body in requests.items() if found.get(body["metadata"]["name"])}


def _build_request(name: str, user: str, signer: tuple[str, str], *others: x509.GeneralName) -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, user),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if others:
        builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=False)
    request = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": f"s21-{name}"},
        "spec": {
            "request": base64.b64encode(request).decode(),
            "signerName": signer[0],
            "usages": ["digital signature", signer[1]],
        },
    }
