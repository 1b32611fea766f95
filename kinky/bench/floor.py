"""The floor of the bench: the same nodes form a cluster on bare ground, with no KubeVirt and no host cluster."""

from __future__ import annotations

import ipaddress
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from kinky import names, process
from kinky.config.model import KinkyConfig
from kinky.errors import HostError
from kinky.keys.certificates import LeafRequest, Pair, make_leaf
from kinky.keys.material import make_cluster_files
from kinky.keys.node_credentials import make_node_files
from kinky.kube.access import InnerAccess
from kinky.kube.inner import InnerApi
from kinky.manifests import gate
from kinky.manifests.addons.table import Stage, build_addons
from kinky.nodeimage.floor import Floor, FloorNode
from kinky.reach.credential import CREDENTIAL_LIFE
from kinky.render.node import render_node
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import NodeSpec, build_nodes

FIRST_ADDRESS: Final = ipaddress.ip_address("10.0.2.97")
"""The guests answer for addresses of this network on `lo`; see kinky.nodeimage.floor."""
LIMIT_SECONDS: Final = 1200.0

Starter = Callable[[Sequence[FloorNode], Path], AbstractContextManager[Floor]]
"""Starts the nodes on some ground, with their files in a folder; they end with the block."""


def measure_floor(config: KinkyConfig, start: Starter, *, kubectl: Path) -> dict[str, Any]:
    """Form a stack's cluster from nothing; return the seconds to its API, to Ready nodes, and the guests' own.

    Raises:
        KinkyError: A node failed, or the cluster did not form in time.
    """
    nodes = build_nodes(config)
    files = make_cluster_files(config.cluster.name)
    with _private_folder() as folder:
        machines = folder / "machines"
        machines.mkdir()
        with start(_floor_nodes(config, nodes, files), machines) as cluster:
            server = f"https://127.0.0.1:{cluster.api_port}"
            api = InnerApi.connect(_access(config.cluster.name, server, files, folder))
            ready = cluster.wait_until(
                lambda: _is_ready(api), what="the API of the floor answers", deadline_seconds=LIMIT_SECONDS
            )
            _apply_network(config, server, folder, kubectl=kubectl)
            formed = cluster.wait_until(
                lambda: _are_nodes_ready(api, nodes),
                what="the nodes of the floor are Ready",
                deadline_seconds=LIMIT_SECONDS,
            )
            guests = {name: times.uptime_seconds for name, times in cluster.times.items()}
    return {"apiOutside200": round(ready, 1), "nodesReady": round(formed, 1), "guests": guests}


def _floor_nodes(config: KinkyConfig, nodes: Sequence[NodeSpec], files: Mapping[str, bytes]) -> list[FloorNode]:
    given = {node.name: str(FIRST_ADDRESS + index) for index, node in enumerate(nodes)}
    # There is no Service in front of the control planes here, so the first of them is the endpoint.
    addresses = Addresses.parse(
        endpoint=[str(FIRST_ADDRESS)], nodes={name: [address] for name, address in given.items()}
    )
    ca = Pair(files["ca.crt"], files["ca.key"])
    return [
        FloorNode(
            name=node.name,
            role=node.role,
            cores=node.cores,
            memory_mib=node.memory_mib,
            address=given[node.name],
            user_data=render_node(config, node, nodes, addresses).user_data,
            credentials=(
                files if node.role == names.CONTROL_PLANE else make_node_files(ca, node.name, given[node.name])
            ),
            data_gib=node.data_gib,
            etcd_gib=node.etcd_gib or 2,
        )
        for node in nodes
    ]


def _access(cluster: str, server: str, files: Mapping[str, bytes], folder: Path) -> InnerAccess:
    ca = Pair(files["ca.crt"], files["ca.key"])
    request = LeafRequest(common_name="kinky:bench", organizations=["system:masters"], life=CREDENTIAL_LIFE)
    leaf = make_leaf(ca, request)
    (folder / "ca.crt").write_bytes(files["ca.crt"])
    (folder / "admin.pem").write_bytes(leaf.certificate + leaf.key)
    return InnerAccess(
        cluster=cluster,
        server=server,
        tls_server_name=names.endpoint_host(cluster),
        ca_file=folder / "ca.crt",
        credential_file=folder / "admin.pem",
    )


def _apply_network(config: KinkyConfig, server: str, folder: Path, *, kubectl: Path) -> None:
    """Apply what `up` applies before nodes can be Ready; a worker registers only when the gate stands."""
    bodies = [
        *gate.build_gate(),
        *build_addons(config, Stage.NETWORK),
    ]
    credential = folder / "admin.pem"
    command: list[str | Path] = [
        *(kubectl, "--server", server, "--tls-server-name", names.endpoint_host(config.cluster.name)),
        *("--certificate-authority", folder / "ca.crt", "--client-certificate", credential, "--client-key", credential),
        # Not validated: kubectl would have the API server make its schema, which a floor does without.
        *("--kubeconfig", "/dev/null", "apply", "--server-side", "--validate=false", "--filename", "-"),
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}).encode()
    process.run(command, reason="give the floor its node network", stdin=listed, timeout_seconds=120)


def _is_ready(api: InnerApi) -> bool:
    try:
        return api.is_ready()
    except HostError:
        # Nothing listens yet.
        return False


def _are_nodes_ready(api: InnerApi, nodes: Sequence[NodeSpec]) -> bool:
    try:
        found = api.fetch_nodes()
    except HostError:
        return False
    return all(node.name in found and found[node.name].ready for node in nodes)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Yield a folder for keys and disks (mode 0700), removed afterwards; not in memory: disks are large."""
    with tempfile.TemporaryDirectory(prefix="kinky-floor-", dir="/var/tmp") as folder:
        yield Path(folder)
