"""Whether the port for the inner API is free: on this machine, or on the host's nodes."""

import errno
from collections.abc import Sequence

from kinky import names, paths
from kinky.config.model import KinkyConfig
from kinky.config.values import NODE_PORTS
from kinky.kube.connection import JsonObject
from kinky.reach.exposure import FORWARD, NODE_PORT
from kinky.reach.forward import SPEC_FILE, find_port_error, find_running, read_spec


def check_local_port(cfg: KinkyConfig) -> list[str]:
    """Check whether another program has the forward's port; the cluster's own forward may run already."""
    port, cluster = cfg.local_port, cfg.cluster.name
    if cfg.access.mode != FORWARD or is_free(port):
        return []
    recorded = sorted((paths.state_dir() / "clusters").glob(f"*/{SPEC_FILE}"))
    specs = [spec for path in recorded if (spec := read_spec(path)) and find_running(path.parent)]
    holders = [spec.cluster for spec in specs if spec.local_port == port]
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
    # The range of the host in use cannot be read.
    if asked in NODE_PORTS or any(port not in NODE_PORTS for port in used):
        return [], []
    usual = f"{NODE_PORTS[0]} to {NODE_PORTS[-1]}"
    return [], [f"access.nodePort = {asked} is not in {usual}, the default range of a host"]


def _list_node_ports(service: JsonObject) -> set[int]:
    """List the ports of the nodes that a Service has."""
    spec = service.get("spec") or {}
    found = [item.get("nodePort") for item in spec.get("ports") or []] + [spec.get("healthCheckNodePort")]
    return {int(port) for port in found if port}


def is_free(port: int) -> bool:
    """Tell whether nobody listens on the local port."""
    error = find_port_error(port)
    return error is None or error.errno != errno.EADDRINUSE
