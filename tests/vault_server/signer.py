"""Signs JSON web tokens like an API server that issues tokens of ServiceAccounts."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://kubernetes.default.svc"
SUBJECT = "system:serviceaccount:kinky-system:external-secrets"
AUDIENCE = "openbao"


class Signer:
    """One private key, on P-256 or of RSA; a new one where no P-256 key is given as PEM."""

    def __init__(self, algorithm: str = "ES256", *, key: bytes | None = None) -> None:
        self.algorithm = algorithm
        self._key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
        if key is not None:
            loaded = serialization.load_pem_private_key(key, password=None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            self._key = loaded
        elif algorithm == "RS256":
            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> str:
        """The public key as PEM."""
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return self._key.public_key().public_bytes(*form).decode()

    def sign(self, *, algorithm: str | None = None, **changes: Any) -> str:
        """Return a token of the ServiceAccount with changed claims; a claim that is None is left out."""
        now = int(time.time())
        usual = {"iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE], "iat": now, "nbf": now, "exp": now + 600}
        claims = {name: value for name, value in {**usual, **changes}.items() if value is not None}
        signed = f"{_encode_json({'alg': algorithm or self.algorithm, 'typ': 'JWT'})}.{_encode_json(claims)}"
        return f"{signed}.{_encode(self._sign(signed.encode()))}"

    def _sign(self, content: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self._key.sign(content, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _encode_json(content: Mapping[str, Any]) -> str:
    return _encode(json.dumps(content).encode())
