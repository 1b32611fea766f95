"""The admin's own token for a server with Vault's API: from a file or the environment, never from a config."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from kinky import paths
from kinky.errors import KinkyError
from kinky.given_paths import resolve_given

FILE_VARIABLE: Final = "VAULT_TOKEN_FILE"
VARIABLE: Final = "VAULT_TOKEN"
HOME_FILE: Final = ".vault-token"


def read_token(*, environ: Mapping[str, str] = os.environ, home: Path | None = None) -> str:
    """Read the token (secret): the file that $VAULT_TOKEN_FILE names, else $VAULT_TOKEN, else ~/.vault-token.

    Raises:
        KinkyError: No token was given, or its file can be read by others.
    """
    if environ.get(FILE_VARIABLE):
        given = Path(environ[FILE_VARIABLE])
        return _read_private(resolve_given(given), shown=paths.show_named(given))
    if token := environ.get(VARIABLE, "").strip():
        return _check_characters(token, f"${VARIABLE}")
    file = (home or Path.home()) / HOME_FILE
    if not file.exists():
        raise KinkyError(
            "secrets store: there is no token of yours for its server",
            details=[f"looked for: the file that ${FILE_VARIABLE} names, ${VARIABLE}, {file}"],
            hint=f"log in there (bao login, vault login), or export {FILE_VARIABLE}=<a file of mode 0600>",
        )
    return _read_private(file, shown=str(file))


def find_tokens(*, environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Iterator[tuple[str, str]]:
    """Yield every token of the admin's (secret) after its place, also those that `read_token` would not choose."""
    if token := environ.get(VARIABLE, "").strip():
        yield f"${VARIABLE}", token
    for file in (environ.get(FILE_VARIABLE), (home or "~") / Path(HOME_FILE)):
        # A token file that is missing, unreadable or in an unknown home cannot have been used from here.
        with contextlib.suppress(OSError, UnicodeDecodeError, RuntimeError):
            if file and (token := (path := resolve_given(file)).read_text().strip()):
                yield str(path), token


def _read_private(file: Path, *, shown: str) -> str:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KinkyError(f"secrets store: cannot read the token from {shown}: {reason}") from None
    if mode & 0o077:
        raise KinkyError(
            f"secrets store: the file with the token can be read by others, mode {mode:04o}: {file}",
            hint=f"chmod 600 {file}",
        )
    if not token:
        raise KinkyError(f"secrets store: the file with the token is empty: {file}", hint="log in there again")
    return _check_characters(token, str(file))


def _check_characters(token: str, where: str) -> str:
    """Refuse a token that a header cannot hold; the client's own error would quote it."""
    place = next((place for place, letter in enumerate(token, 1) if not "!" <= letter <= "~"), None)
    if place is not None:
        raise KinkyError(
            f"secrets store: the token in {where} has a character at place {place} that a token cannot have",
            hint="it must be one line of ASCII without spaces: log in there again",
        )
    return token
