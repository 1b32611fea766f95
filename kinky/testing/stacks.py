"""The stack of a test cluster: a copy of the tests' file with a name, a lease and a port of its own."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from kinky.config.dialect import parse_stack_file
from kinky.config.load import NAMESPACE, select_own
from kinky.errors import ConfigError, HostError
from kinky.given_paths import resolve_given
from kinky.reach.forward import find_port_error
from kinky.stacks.file import stack_path

HOST_NAMESPACE: Final = "kinky-tests"
"""It stays: an empty namespace for each cluster that was killed would be left otherwise."""
PORTS: Final = range(20000, 30000)
"""For forwards; above it the kernel takes ports for connections by itself."""
TRIES: Final = 50
PATHS: Final = (("host", "kubeconfig"), ("image", "archive"))
"""Settings that name a file; a relative one starts at the folder of the stack file that the tests name."""


def read_base(file: Path | None) -> dict[str, Any]:
    """Return the configuration that the tests' clusters share; without a file the embedded host's defaults.

    Raises:
        ConfigError: The file cannot be read, or is not a stack file.
    """
    if file is None:
        return {"host": {"embedded": True}}
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(
            f"{file}: cannot be read: {reason}", hint="pytest --kinky-stack FILE: name a stack file"
        ) from None
    document = parse_stack_file(text, source=str(file))
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise ConfigError(
            f"{file}: must be a mapping with the key config", hint="it has the form of stacks/Pulumi.ci.yaml"
        )
    base = dict(select_own(config))
    for section, key in PATHS:
        place = base.get(section)
        if isinstance(place, dict) and isinstance(place.get(key), str):
            base[section] = {**place, key: str(resolve_given(place[key], base=file.parent.absolute()))}
    return base


def build_configuration(
    base: Mapping[str, Any], changes: Mapping[str, Any], *, cluster: str, ttl: str, holder: str
) -> dict[str, Any]:
    """Return the configuration of one cluster: what the tests ask for, and what makes it leased and theirs alone.

    Args:
        changes: Sections in place of the base's, key by key; a list replaces a list.
    """
    config = dict(base)
    for key, value in changes.items():
        before = config.get(key)
        config[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    wanted_host = dict(config.get("host") or {})
    suffix = "-container" if wanted_host.get("accelerator") == "container" else ""
    # The factory makes the namespace: a cluster would take its own one away at its end, with all others in it.
    config["host"] = {
        **wanted_host,
        "namespace": wanted_host.get("namespace") or f"{HOST_NAMESPACE}{suffix}",
        "createNamespace": False,
    }
    lease = {"ttl": ttl, "holder": holder}
    config["cluster"] = {"ephemeral": True, **(config.get("cluster") or {}), "name": cluster, "lease": lease}
    config["workload"] = {"enabled": False, **(config.get("workload") or {})}
    if (config.get("access") or {}).get("mode", "forward") == "forward":
        config["access"] = {"localPort": choose_port(), **(config.get("access") or {})}
    return config


def write_stack(stack: str, config: Mapping[str, Any]) -> Path:
    """Write the file of a stack of this checkout, and return its path."""
    path = stack_path(stack)
    document = {"config": {f"{NAMESPACE}{key}": value for key, value in config.items()}}
    path.write_text(f"# Of a test run; it goes with its cluster.\n{yaml.safe_dump(document, sort_keys=False)}")
    return path


def choose_port() -> int:
    """Return a local port that nobody uses now; a random one, so that two runs do not choose the same."""
    tried = random.sample(PORTS, TRIES)
    found = next((port for port in tried if find_port_error(port) is None), None)
    if found is None:
        raise HostError(f"{TRIES} local ports from {PORTS[0]} to {PORTS[-1]} were tried, and none is free")
    return found
