"""The sandbox's own network: loopback, a bridge that carries the node's address, and the pods' CNI configuration.

There is no way out of it and none in, save the listener in `proxy`: everything a pod needs was imported before.
"""

from __future__ import annotations

import json
from pathlib import Path

from kinky import process
from kinky.embedded import layout
from kinky.errors import HostError

SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    # Service traffic between two pods on the bridge must pass the NAT rules in both directions.
    "net/bridge/bridge-nf-call-iptables": "1",
}


def configure_node() -> None:
    """Set up the interfaces of the network namespace this process is in.

    Raises:
        CommandError: The kernel refused an interface or a route.
        HostError: The kernel lacks a setting.
    """
    for command in (
        ["ip", "link", "set", "lo", "up"],
        # A bridge rather than a dummy device, which some kernels lack.
        ["ip", "link", "add", layout.NODE_BRIDGE, "type", "bridge"],
        ["ip", "address", "add", layout.NODE_CIDR, "dev", layout.NODE_BRIDGE],
        ["ip", "link", "set", layout.NODE_BRIDGE, "up"],
        # Without a route the kernel refuses a Service address before kube-proxy's rules could translate it.
        ["ip", "route", "add", layout.SERVICE_CIDR, "dev", layout.NODE_BRIDGE, "src", layout.NODE_ADDRESS],
    ):
        process.run(command, reason="set up the embedded host's network", timeout_seconds=20)
    for name, value in SYSCTLS.items():
        try:
            (Path("/proc/sys") / name).write_text(value)
        except OSError as error:
            raise HostError(f"kernel setting {name} cannot be set to {value}: {error.strerror}") from error


def build_cni() -> dict[str, object]:
    """Return the CNI configuration list of the pod network."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "isDefaultGateway": True,
        "hairpinMode": True,
        # Nothing to masquerade towards: the sandbox has no way out.
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            # Addresses are forgotten with the pods' namespaces when the host stops.
            "dataDir": "/run/cni/networks",
            "ranges": [[{"subnet": layout.POD_CIDR}]],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "kinky-host", "plugins": [bridge, portmap]}


def write_cni(directory: Path) -> None:
    """Write the CNI configuration list where containerd reads it."""
    (directory / "10-kinky-host.conflist").write_text(json.dumps(build_cni(), indent=2))
