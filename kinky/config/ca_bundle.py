"""Checks and reads the certificates of the CAs that may sign the certificate of the secrets store's server."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kinky.config.problem import Problem
from kinky.given_paths import resolve_given

if TYPE_CHECKING:
    from kinky.config.model import KinkyConfig

KEY: Final = ("secretsStore", "vault", "caFile")


def check_ca(cfg: KinkyConfig, *, base: Path) -> list[Problem]:
    """Return what is wrong with `secretsStore.vault.caFile`; a relative path starts at `base`. No file, no problem."""
    server = cfg.secrets_store.vault
    if server is None or server.ca_file is None:
        return []
    try:
        text = read_ca(cfg, base=base)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except OSError as error:
        # An SSLError is one too; its text names lines of OpenSSL's source.
        why = "holds no certificate" if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"
        return [Problem(KEY, server.ca_file, why)]
    except ValueError:
        return [Problem(KEY, server.ca_file, "holds no certificate")]
    if "PRIVATE KEY" in text:
        return [Problem(KEY, server.ca_file, "holds a private key; it must hold certificates only")]
    return []


def read_ca(cfg: KinkyConfig, *, base: Path) -> str:
    """Read the file; empty when none is configured. Raises OSError."""
    server = cfg.secrets_store.vault
    if server is None or server.ca_file is None:
        return ""
    return resolve_given(server.ca_file, base=base).read_text()
