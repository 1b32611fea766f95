"""Paths that a user gives: each is made absolute before it goes to a program with another working directory.

A path in a stack's file starts at the checkout; one on the command line or in a variable starts where the command was
called. A `~` is the home directory in all of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PATHS: Final = (
    "KINKY_CACHE_DIR",
    "KINKY_STATE_DIR",
    "PULUMI_HOME",
    "PULUMI_CREDENTIALS_PATH",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "VAULT_TOKEN_FILE",
    # Trust, for Go and Python.
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    # Programs for the login to the host; they run below Pulumi too.
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AZURE_CONFIG_DIR",
    "CLOUDSDK_CONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS",
)
_LISTS: Final = ("KUBECONFIG", "SSL_CERT_DIR")


def resolve_given(path: str | Path, *, base: Path | None = None) -> Path:
    """Return a given path as an absolute one.

    Args:
        base: Where a relative path starts; by default the working directory.
    """
    given = Path(path)
    # Without a home directory, or for an unknown user, the ~ stays.
    with contextlib.suppress(RuntimeError):
        given = given.expanduser()
    return ((base or Path()) / given).absolute()


def resolve_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return each variable that holds a path and is set, with that path absolute."""
    resolved = {name: str(resolve_given(environ[name])) for name in _PATHS if environ.get(name)}
    for name in _LISTS:
        parts = [str(resolve_given(part)) for part in environ.get(name, "").split(os.pathsep) if part]
        resolved |= {name: os.pathsep.join(parts)} if parts else {}
    return resolved
