"""Signed JSON web tokens: whether one of the public keys signed it, and whether its claims are as they shall be."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

ALGORITHMS = ("RS256", "ES256")
SKEW_SECONDS = 60
"""By how much clocks may differ, unless the role says otherwise; a negative number means not at all."""
LEEWAY_SECONDS = 150
"""What stands in for a time that the token does not have."""
_COORDINATE_BYTES: Final = 32

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class InvalidTokenError(Exception):
    """A token that is not accepted; the text says why, in Vault's words."""


def load_public_key(pem: str) -> PublicKey:
    """Return the public key of a PEM text, or of a certificate's. Raises ValueError."""
    key = serialization.load_pem_public_key(pem.encode())
    if isinstance(key, rsa.RSAPublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("neither RSA nor P-256")


def verify(token: str, keys: Sequence[PublicKey]) -> dict[str, Any]:
    """Return the claims of a token that one of the keys signed."""
    try:
        head, body, tail = token.split(".")
        header, claims, signature = json.loads(_decode(head)), json.loads(_decode(body)), _decode(tail)
        algorithm = str(header["alg"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise InvalidTokenError("error verifying token signature: malformed token") from None
    signed = f"{head}.{body}".encode()
    if not isinstance(claims, dict) or not any(_is_signed_by(key, algorithm, signed, signature) for key in keys):
        raise InvalidTokenError(
            "error verifying token signature: no known key successfully validated the token signature"
        )
    return claims


def _is_signed_by(key: PublicKey, algorithm: str, signed: bytes, signature: bytes) -> bool:
    try:
        if algorithm == "RS256" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            return True
        if algorithm == "ES256" and isinstance(key, ec.EllipticCurvePublicKey):
            if len(signature) != 2 * _COORDINATE_BYTES:
                return False
            r, s = (int.from_bytes(half) for half in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]))
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
            return True
    except InvalidSignature:
        return False
    # Also "none", and a symmetric algorithm with the public key as its secret.
    return False


def check_claims(
    claims: Mapping[str, Any],
    *,
    issuer: str,
    subject: str,
    audiences: Sequence[str],
    skew: int,
    now: float | None = None,
) -> None:
    """Raise unless issuer, subject and audience are those that are wanted, and the time is right."""
    if issuer and claims.get("iss") != issuer:
        raise InvalidTokenError("invalid issuer (iss) claim")
    if subject and claims.get("sub") != subject:
        raise InvalidTokenError("invalid subject (sub) claim")
    given = list_audiences(claims)
    if audiences and not set(audiences) & set(given):
        raise InvalidTokenError("invalid audience (aud) claim: audience claim does not match any expected audience")
    _check_times(claims, skew=max(0, skew or SKEW_SECONDS), now=time.time() if now is None else now)


def list_audiences(claims: Mapping[str, Any]) -> list[str]:
    """Return the audiences of a token, which may have one as a string."""
    given = claims.get("aud") or []
    return [given] if isinstance(given, str) else list(given)


def _check_times(claims: Mapping[str, Any], *, skew: int, now: float) -> None:
    issued, before, expiry = (float(claims.get(name) or 0) for name in ("iat", "nbf", "exp"))
    if not (issued or before or expiry):
        raise InvalidTokenError("no issued at (iat), not before (nbf), or expiration time (exp) claims in token")
    expiry = expiry or max(issued, before) + LEEWAY_SECONDS
    before = before or issued or expiry - LEEWAY_SECONDS
    if now + skew < before:
        raise InvalidTokenError("invalid not before (nbf) claim: token not yet valid")
    if now - skew > expiry:
        raise InvalidTokenError("invalid expiration time (exp) claim: token is expired")
    if now + skew < issued:
        raise InvalidTokenError("invalid issued at (iat) claim: token issued in the future")


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
