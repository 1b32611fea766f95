"""Certificates and keys in memory: CAs, leaves, fingerprints. Nothing here reads or writes anywhere."""

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = timedelta(days=3650)
CLOCK_TOLERANCE = timedelta(minutes=5)
"""By how much clocks may differ: certificates are valid from this long before now, as a guest's may be behind."""
COMMON_NAME_LIMIT = 64
_PUBLIC_END = b"-----END PUBLIC KEY-----\n"
_CERTIFICATE_END = b"-----END CERTIFICATE-----\n"


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM; the key never shows in a repr."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class LeafRequest:
    """The content of a leaf certificate."""

    common_name: str
    organizations: Sequence[str] = ()
    dns_names: Sequence[str] = ()
    addresses: Sequence[str] = ()
    server: bool = False
    """True for a serving certificate, False for a client's."""
    life: timedelta
    starts_in: timedelta = timedelta(0)
    """Time until it is valid; the self-test of `kinky status` makes a certificate that is not valid yet."""


def make_key() -> bytes:
    """Make a private key on the curve P-256; emulated nodes sign many times faster with it than with RSA."""
    return _encode_key(ec.generate_private_key(ec.SECP256R1()))


def derive_public_key(key: bytes) -> bytes:
    """Derive the public key (PEM) of a private one."""
    return (
        _load_key(key)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def make_ca(common_name: str) -> Pair:
    """Make a self-signed CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _build_subject(common_name, ())
    builder = _start(subject, subject, key.public_key(), CA_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_build_usage(sign_certificates=True), critical=True)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    return Pair(_encode(builder.sign(key, hashes.SHA256())), _encode_key(key))


def make_leaf(ca: Pair, request: LeafRequest) -> Pair:
    """Make a key and have the CA sign a certificate for it."""
    issuer = x509.load_pem_x509_certificate(ca.certificate)
    issuer_key = _load_key(ca.key)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _build_subject(request.common_name, request.organizations)
    builder = _start(subject, issuer.subject, key.public_key(), request.life, starts_in=request.starts_in)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_build_usage(sign_certificates=False), critical=True)
    usage = ExtendedKeyUsageOID.SERVER_AUTH if request.server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in request.dns_names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in request.addresses]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Pair(_encode(builder.sign(issuer_key, hashes.SHA256())), _encode_key(key))


def fetch_not_after(certificate: bytes) -> datetime:
    """Read until when a certificate (PEM, the first in the text) is valid."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def fetch_signed_at(certificate: bytes) -> datetime:
    """Read when a certificate of ours (PEM, the first in the text) was signed."""
    return x509.load_pem_x509_certificate(certificate).not_valid_before_utc + CLOCK_TOLERANCE


def is_issued_by(certificate: bytes, ca: bytes) -> bool:
    """Tell whether the certificate was signed by this CA's key; of several in a text the first ones count."""
    leaf = x509.load_pem_x509_certificate(certificate)
    try:
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(ca))
    except Exception:  # cryptography raises several types, all of which mean no
        return False
    return True


def build_fingerprint(content: bytes) -> str:
    """Build the SHA-256 of what is public: a certificate or public key by its DER form, other content as it is."""
    if b"-----BEGIN CERTIFICATE-----" in content:
        content = x509.load_pem_x509_certificate(content).public_bytes(serialization.Encoding.DER)
    elif b"-----BEGIN PUBLIC KEY-----" in content:
        content = serialization.load_pem_public_key(content).public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return hashlib.sha256(content).hexdigest()


def format_time(moment: datetime) -> str:
    """Format a time as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def split_public_keys(content: bytes) -> list[bytes]:
    """Split a file with public keys (PEM) into one text for each, in their order."""
    return _split(content, _PUBLIC_END)


def split_certificates(content: bytes) -> list[bytes]:
    """Split a file with certificates (PEM) into one text for each, in their order."""
    return _split(content, _CERTIFICATE_END)


def build_key_id(public_key: bytes) -> str:
    """Build the id by which Kubernetes names a public key (PEM) in tokens and where it publishes it."""
    digest = bytes.fromhex(build_fingerprint(public_key))
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def parse_time(text: str) -> datetime:
    """Parse a time that `format_time` or a Kubernetes API wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def _split(content: bytes, end: bytes) -> list[bytes]:
    return [part + end for part in content.split(end) if part.strip()]


def _start(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    life: timedelta,
    *,
    starts_in: timedelta = timedelta(0),
) -> x509.CertificateBuilder:
    """Start a certificate with what CAs and leaves have in common."""
    now = datetime.now(UTC) + starts_in
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - CLOCK_TOLERANCE,
        not_valid_after=now + life,
    )
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _build_subject(common_name: str, organizations: Sequence[str]) -> x509.Name:
    """Build a subject; a common name over the standard's limit is cut."""
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name[:COMMON_NAME_LIMIT]))
    return x509.Name(parts)


def _build_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    """Build the key usage of a CA or of a leaf."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load_key(key: bytes) -> ec.EllipticCurvePrivateKey:
    """Load a private key from PEM."""
    loaded = serialization.load_pem_private_key(key, password=None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise TypeError("the key is not on an elliptic curve")
    return loaded


def _encode_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Encode a private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _encode(certificate: x509.Certificate) -> bytes:
    """Encode a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)
