"""A stack's settings as its file declares them, read without Pulumi."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kinky import paths
from kinky.config.dialect import parse_stack_file
from kinky.config.load import load_config, select_own
from kinky.config.model import KinkyConfig
from kinky.config.problem import Problem, refuse
from kinky.config.secrets_provider import check_secrets_provider
from kinky.errors import ConfigError

STACK_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""Pulumi's own rule; the name becomes a part of file names and of URNs."""


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """One file of stacks/, read and checked."""

    stack: str
    """Short stack name, such as dev."""
    path: Path
    config: KinkyConfig
    secrets_provider: str | None
    """Pulumi's setting for who encrypts secrets; None is a passphrase."""

    @property
    def cluster(self) -> str:
        """Name of the inner cluster."""
        return self.config.cluster.name

    @property
    def embedded(self) -> bool:
        """Whether the stack lives on the embedded host."""
        return self.config.host.embedded


def stack_path(stack: str) -> Path:
    """Return the path of a stack's file; `stack` may be qualified, as in organization/kinky/dev."""
    return paths.project_root() / "stacks" / f"Pulumi.{stack.rsplit('/', 1)[-1]}.yaml"


def list_stacks() -> list[str]:
    """Return the names of the stacks that have a file."""
    files = stack_path("dev").parent.glob("Pulumi.*.yaml")
    found = (file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in files)
    return sorted(name for name in found if STACK_NAME.fullmatch(name))


def choose_stack() -> str:
    """Return the only stack that has a file; raises ConfigError if there are several, because none of them is meant."""
    found = list_stacks()
    if len(found) == 1:
        return found[0]
    if not found:
        folder = stack_path("dev").parent
        raise ConfigError(f"no stack has a file in {folder}", hint="kinky init DIR writes a project with one stack")
    raise ConfigError(
        f"no stack was given, and {len(found)} have a file: {', '.join(found)}",
        hint=f'choose one: --stack {found[0]}, or for this shell: eval "$(kinky env --stack {found[0]})"',
    )


def read_stack_file(stack: str | None, *, given: Mapping[str, str] | None = None) -> StackFile:
    """Read and check a stack's file; raises ConfigError with all problems.

    Args:
        stack: Its name; None is the only stack that has a file.
        given: Settings in place of the file's, by their key, such as `host.accelerator`.
    """
    stack = choose_stack() if stack is None else stack
    if not STACK_NAME.fullmatch(stack.rsplit("/", 1)[-1]):
        raise ConfigError(
            f"stack {stack!r}: the name of a stack has letters, digits, '-', '_' and '.', and at most 100 of them",
            hint="rename its file in stacks",
        )
    path = stack_path(stack)
    source = str(path.relative_to(paths.project_root()))
    if not path.is_file():
        raise ConfigError(
            f'stack "{stack}": no file {source}',
            details=[f"stacks with a file: {', '.join(list_stacks()) or 'none'}"],
            hint="copy stacks/Pulumi.dev.yaml to that name and edit it, or choose another one: --stack",
        )
    document = _parse(path, source)
    refuse(check_secrets_provider(document.get("secretsprovider")), source=source)
    config = document.get("config") or {}
    if not isinstance(config, dict):
        refuse([Problem(("config",), config, "must be a mapping")], source=source)
    own = dict(select_own(config))
    for key, value in (given or {}).items():
        _set(own, key.split("."), value)
    return StackFile(
        stack=stack.rsplit("/", 1)[-1],
        path=path,
        config=load_config(own, source=source),
        secrets_provider=document.get("secretsprovider"),
    )


def _set(own: dict[str, Any], key: Sequence[str], value: str) -> None:
    """Put one setting into the configuration; a section of a wrong form stays, so that it is reported."""
    name, *rest = key
    if not rest:
        own[name] = value
        return
    section = own.get(name) or {}
    if isinstance(section, dict):
        own[name] = section = dict(section)
        _set(section, rest, value)


def _parse(path: Path, source: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: not YAML", details=[f"byte {error.start + 1} is not UTF-8"]) from None
    document = parse_stack_file(text, source=source)
    if not isinstance(document, dict):
        raise ConfigError(f"{source}: must be a mapping with the key config")
    return document
