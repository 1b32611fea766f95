"""A node of the fake cluster as its certificates make it: whom it trusts, what it presents, and who believes that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.x509.oid import NameOID

from kinky.keys.certificates import LeafRequest, Pair, is_issued_by, make_leaf, split_certificates
from kinky.keys.material import CAS
from kinky.keys.node_credentials import CERTIFICATE_LIFE


@cache
def sign(certificate: bytes, key: bytes) -> bytes:
    """Sign what a guest signs at its boot: with the first certificate of the file, as kubeadm and openssl do."""
    return make_leaf(Pair(certificate, key), LeafRequest(common_name="node", life=CERTIFICATE_LIFE)).certificate


@cache
def verifies(leaf: bytes, bundle: bytes) -> bool:
    """Tell whether a certificate is of one of the trusted."""
    return any(is_issued_by(leaf, ca) for ca in split_certificates(bundle))


@cache
def read_name(certificate: bytes) -> str:
    name = x509.load_pem_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return str(name)


@dataclass(frozen=True)
class Party:
    """What a node has read at its boot: whom it trusts and what it presents, by CA."""

    trust: Mapping[str, bytes]
    leaf: Mapping[str, bytes]

    @classmethod
    def boot_plane(cls, files: Mapping[str, bytes]) -> Party:
        return cls(
            trust={name: files[f"{name}.crt"] for name in CAS},
            leaf={name: sign(files[f"{name}.crt"], files[f"{name}.key"]) for name in CAS},
        )

    @classmethod
    def boot_worker(cls, files: Mapping[str, bytes]) -> Party:
        return cls(
            trust={"ca": files["ca.crt"]},
            leaf={"ca": files["kubelet-client.crt"], "serving": files["kubelet-serving.crt"]},
        )
