"""Whether the port for the inner API is free: on this machine, or on the host's nodes."""

import errno
import json
import socket
from collections.abc import Sequence
from pathlib import Path

from kinky import names, paths, process
from kinky.bootstrap.exposure import FORWARD, NODE_PORT
from kinky.bootstrap.forward import LOOPBACK, PID_FILE, SPEC_FILE
from kinky.config.model import KinkyConfig
from kinky.kube.connection import JsonObject

USUAL_NODE_PORTS = range(30000, 32768)
"""The default range of an API server; the range in use cannot be read."""


def check_local_port(cfg: KinkyConfig) -> list[str]:
    """Check whether another program has the forward's port; the cluster's own forward may run already."""
    port, cluster = cfg.local_port, cfg.cluster.name
    if cfg.access.mode != FORWARD or is_free(port):
        return []
    specs = sorted((paths.state_dir() / "clusters").glob(f"*/{SPEC_FILE}"))
    holders = [spec.parent.name for spec in specs if _read_port(spec) == port and _is_running(spec)]
    if cluster in holders:
        return []
    by = f"the forward of inner cluster {holders[0]}" if holders else "another program"
    source = "access.localPort" if cfg.access.local_port else f"the port that follows from cluster.name {cluster}"
    return [f"local port {port} ({source}) is taken by {by}"]


def check_node_port(
    cfg: KinkyConfig, services: Sequence[JsonObject] | None, namespace: str
) -> tuple[list[str], list[str]]:
    """Check whether another Service has the port on the host's nodes; returns problems and warnings."""
    asked = cfg.access.node_port
    if cfg.access.mode != NODE_PORT or asked is None:
        return [], []
    own = (namespace, names.endpoint_service(cfg.cluster.name))
    used: set[int] = set()
    for body in services or []:
        metadata, ports = body["metadata"], _list_node_ports(body)
        if asked in ports and (metadata.get("namespace"), metadata["name"]) != own:
            owner = f"{metadata.get('namespace')}/{metadata['name']}"
            return [f"access.nodePort = {asked}: Service {owner} of the host has it"], []
        used |= ports
    if asked in USUAL_NODE_PORTS or any(port not in USUAL_NODE_PORTS for port in used):
        return [], []
    usual = f"{USUAL_NODE_PORTS[0]} to {USUAL_NODE_PORTS[-1]}"
    return [], [f"access.nodePort = {asked} is not in {usual}, the default range of a host"]


def _list_node_ports(service: JsonObject) -> set[int]:
    """List the ports of the nodes that a Service has."""
    spec = service.get("spec") or {}
    found = [item.get("nodePort") for item in spec.get("ports") or []] + [spec.get("healthCheckNodePort")]
    return {int(port) for port in found if port}


def is_free(port: int) -> bool:
    """Tell whether nobody listens on the local port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Otherwise connections that have just ended would count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _is_running(spec: Path) -> bool:
    """Tell whether the process of a recorded forward runs; a killed forward leaves its record."""
    try:
        pid = int((spec.parent / PID_FILE).read_text())
    except (OSError, ValueError):
        return False
    return process.is_alive(pid, expect=str(spec))


def _read_port(spec: Path) -> int | None:
    """Read which port a recorded forward has; None when none is recorded."""
    try:
        return int(json.loads(spec.read_text())["local_port"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
