"""The passphrase that encrypts a stack's secret values, and the mark that Pulumi leaves in the stack's file.

Only stacks on the embedded host get a passphrase by themselves: they and their state live and die on this machine. For
any other stack the admin owns it, and a missing one is an error before anything is touched.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kinky import names, paths
from kinky.config.backend import parse_backend
from kinky.errors import ConfigError

VALUE: Final = names.PASSPHRASE_VARIABLE
FILE: Final = names.PASSPHRASE_FILE_VARIABLE
_SALT: Final = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)


def ensure_passphrase(
    stack: str,
    *,
    embedded: bool,
    secrets_provider: str | None,
    backend: str,
    environ: Mapping[str, str],
) -> dict[str, str]:
    """Return the variables that give Pulumi the passphrase; the embedded host's file is made at its first use.

    Raises:
        ConfigError: The stack needs a passphrase and has none, or has a passphrase that protects nothing.
    """
    if not _needs_passphrase(secrets_provider, backend):
        return {}
    if VALUE in environ:
        if not environ[VALUE].strip():
            raise ConfigError(f'stack "{stack}": {VALUE} is empty, which protects nothing', hint=_HINT)
        return {}
    own, given = paths.passphrase_file(), environ.get(FILE)
    if given and Path(given) != own:
        _check_file(stack, Path(given))
        return {}
    if given and not embedded:
        # It was made unasked, for stacks that die with this machine: whoever clears that away would lose this state.
        raise ConfigError(f'stack "{stack}": {FILE} names the file of the embedded host\'s stacks: {own}', hint=_HINT)
    if not embedded:
        raise ConfigError(f'stack "{stack}": no passphrase: {FILE} is not set', hint=_HINT)
    path = _ensure_file(own)
    _check_file(stack, path)
    return {FILE: str(path)}


def forget_salt(stack_file: Path) -> None:
    """Remove Pulumi's salt from a stack's file, once no state is left that was encrypted with it.

    Pulumi writes it when a stack is made; kept, it would refuse the next passphrase and leave the checkout changed.
    """
    text = stack_file.read_text()
    without = _SALT.sub("", text)
    if without != text:
        stack_file.write_text(without)


_HINT: Final = f"write the passphrase into a file of mode 0600 and export {FILE}=<that file>"


def _check_file(stack: str, path: Path) -> None:
    """Refuse a file that is missing, empty, or everybody's; Pulumi would take an empty one without a word."""
    if not path.is_file():
        raise ConfigError(
            f'stack "{stack}": {FILE} names a file that does not exist: {paths.show_named(path)}', hint=_HINT
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ConfigError(
            f'stack "{stack}": {FILE} names a file that others may use, mode {mode:04o}: {path}',
            hint=f"chmod 600 {path}; if others had access to the machine, make the stack again with another passphrase",
        )
    try:
        empty = not path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(
            f'stack "{stack}": {FILE} names a file that cannot be read: {path}: {error.strerror}', hint=_HINT
        ) from None
    if empty:
        raise ConfigError(f'stack "{stack}": {FILE} names an empty file: {path}', hint=_HINT)


def _needs_passphrase(secrets_provider: str | None, backend: str) -> bool:
    # A Pulumi service keeps the key itself; the stack's file names other providers.
    return secrets_provider in (None, "default", "passphrase") and not parse_backend(backend).is_service


def _ensure_file(path: Path) -> Path:
    if not path.exists():
        handle = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        # The rename is what makes a killed first run leave no half passphrase.
        path.with_suffix(".new").rename(path)
    return path
