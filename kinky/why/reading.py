"""Reading what host, guest and inner API say of a node; what cannot be read is left out, and never an error."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from kinky import names
from kinky.config.model import KinkyConfig
from kinky.errors import KinkyError
from kinky.forming.boots import read_boots
from kinky.forming.causes import fetch_launchers, fetch_telling_events
from kinky.forming.climbs import find_times
from kinky.forming.diagnose import fetch_console, parse_stages, select_console_lines
from kinky.gate.wall import check_wall
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.host import CONSOLE_CONTAINER, HostApi
from kinky.kube.objects import decode_secret, fetch_condition, is_condition_true
from kinky.kube.records import NodeStatus, VmiStatus, VmStatus
from kinky.manifests.addons.flannel import APP as FLANNEL
from kinky.manifests.body import app_selector
from kinky.manifests.services import KUBELET_PORT
from kinky.manifests.storage import has_etcd_claim
from kinky.reach.reach import Reach
from kinky.topology.nodes import NodeSpec
from kinky.why.facts import OPEN, REFUSED, SILENT, UNKNOWN, ClusterFacts, NodeFacts

T = TypeVar("T")
PORT_SECONDS: Final = 2.0
NONSENSE: Final = b"GET / HTTP/1.0\r\n\r\n"
"""A server that speaks TLS answers it with an error, or hangs up."""
CLOUD_CONFIG: Final = b"#cloud-config"


@dataclass(frozen=True, kw_only=True)
class Ways:
    """The ways to what is read."""

    stack: str
    config: KinkyConfig
    reach: Reach
    """Leads to both APIs."""
    open_port: Callable[[str, int], AbstractContextManager[int]]
    """Leads a port of this machine to a port of a node."""

    @property
    def host(self) -> HostApi:
        """The host's API."""
        return self.reach.host()


@dataclass(frozen=True, kw_only=True)
class InnerFacts:
    """The inner API's facts about all nodes, read once."""

    fault: str = ""
    nodes: Mapping[str, JsonObject] | None = None
    network_pods: Mapping[str, str] | None = None
    gate_fault: str = ""


def read_inner(ways: Ways) -> InnerFacts:
    """Read the inner API once for all nodes."""
    try:
        inner = ways.reach.inner()
        bodies = {str(body["metadata"]["name"]): body for body in inner.fetch_all(resources.NODES)}
        selector = ",".join(f"{key}={value}" for key, value in app_selector(FLANNEL).items())
        pods = inner.fetch_all(resources.PODS, namespace=names.NAMESPACE_SYSTEM, selector=selector)
        faults = check_wall(inner)
    except KinkyError as error:
        return InnerFacts(fault=error.message)
    states = {str((pod.get("spec") or {}).get("nodeName", "")): _describe_pod(pod) for pod in pods}
    return InnerFacts(nodes=bodies, network_pods=states, gate_fault=faults[0].sentence if faults else "")


def read_cluster(ways: Ways, inner: InnerFacts) -> ClusterFacts:
    """Read what all nodes share."""
    policies = _try(lambda: ways.host.fetch_all_here(resources.NETWORK_POLICIES)) or []
    ours = names.network_policy(ways.config.cluster.name)
    return ClusterFacts(
        cluster=ways.config.cluster.name,
        stack=ways.stack,
        namespace=ways.host.namespace,
        kubernetes_version=ways.config.cluster.kubernetes_version,
        inner_fault=inner.fault,
        gate_fault=inner.gate_fault,
        foreign_policies=tuple(
            sorted(str(body["metadata"]["name"]) for body in policies if body["metadata"]["name"] != ours)
        ),
        boots=read_boots(ways.reach.access),
        now=datetime.now(UTC) - ways.host.clock_ahead,
    )


def read_node(ways: Ways, spec: NodeSpec, inner: InnerFacts) -> NodeFacts:
    """Read all that is known of one node."""
    host, name = ways.host, spec.name
    body = _try(lambda: host.fetch_here(resources.VIRTUAL_MACHINES, name))
    vmi_body = _try(lambda: host.fetch_here(resources.VIRTUAL_MACHINE_INSTANCES, name))
    launchers = _try(lambda: fetch_launchers(host, name)) or []
    console = _try(lambda: fetch_console(host, name)) or ""
    service = _try(lambda: host.fetch_here(resources.SERVICES, name)) or {}
    claim = names.etcd_claim(name) if spec.is_control_plane and has_etcd_claim(ways.config, spec) else ""
    claim_body = (_try(lambda: host.fetch_here(resources.PVCS, claim)) if claim else None) or {}
    node = (inner.nodes or {}).get(name)
    status = NodeStatus.parse(node) if node else None
    unknown = _is_unknown(node)
    template = _find_template(body)
    missing, damaged = _look_at_secrets(host, template)
    running = vmi_body is not None and (vmi_body.get("status") or {}).get("phase") == "Running"
    return NodeFacts(
        name=name,
        is_control_plane=spec.is_control_plane,
        vm=VmStatus.parse(body) if body else None,
        vmi=VmiStatus.parse(vmi_body) if vmi_body else None,
        pod=launchers[0] if launchers else None,
        events=tuple(_try(lambda: fetch_telling_events(host, name, launchers)) or ()),
        image=_find_image(template),
        cpu_model=str(((template.get("domain") or {}).get("cpu") or {}).get("model") or ""),
        memory=str(((template.get("domain") or {}).get("memory") or {}).get("guest") or ""),
        claim=claim,
        claim_phase=str((claim_body.get("status") or {}).get("phase") or ""),
        service_address=str((service.get("spec") or {}).get("clusterIP") or ""),
        missing_secrets=missing,
        damaged_secret=damaged,
        console_kept=any(CONSOLE_CONTAINER in pod.containers for pod in launchers),
        stages=parse_stages(console),
        console_end=tuple(select_console_lines(console)),
        node=status,
        ready_unknown=unknown,
        network_pod=(inner.network_pods or {}).get(name, ""),
        cordoned=bool(((node or {}).get("spec") or {}).get("unschedulable")),
        taints=tuple(str(taint.get("key")) for taint in ((node or {}).get("spec") or {}).get("taints") or []),
        kubelet_port=ask_port(ways, name) if running and (status is None or unknown) else UNKNOWN,
        api_port=ask_port(ways, name, names.ENDPOINT_PORT)
        if running and inner.fault and spec.is_control_plane
        else UNKNOWN,
        times=dict(find_times(body, vmi_body, launchers[0] if launchers else None, node)),
    )


def ask_port(ways: Ways, node: str, port_of_node: int = KUBELET_PORT) -> str:
    """Ask a port of a node from outside: a guest that is frozen answers nothing, one without a server there refuses."""
    try:
        with (
            ways.open_port(node, port_of_node) as port,
            socket.create_connection(("127.0.0.1", port), PORT_SECONDS) as sock,
        ):
            sock.settimeout(PORT_SECONDS)
            return _listen(sock)
    except OSError as error:
        return REFUSED if error.errno in (errno.ECONNRESET, errno.ECONNREFUSED) else UNKNOWN
    except KinkyError:
        return UNKNOWN


def _listen(sock: socket.socket) -> str:
    """Tell what is at the far end of a way, which itself always accepts: it closes the connection if it is refused."""
    try:
        return OPEN if sock.recv(1) else REFUSED
    except TimeoutError:
        # Held open, by a server that waits for our word or by a way into a guest that is frozen.
        pass
    try:
        sock.sendall(NONSENSE)
        sock.recv(1)
    except TimeoutError:
        return SILENT
    except OSError:
        return OPEN
    return OPEN


def _look_at_secrets(host: HostApi, template: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Return the Secrets of a VM that are gone, and the user-data Secret if it holds none."""
    missing, damaged = [], ""
    for name, is_user_data in _list_secrets(template):
        try:
            body = host.fetch_here(resources.SECRETS, name)
        except KinkyError:
            continue
        if body is None:
            missing.append(name)
        elif is_user_data and not decode_secret(body).get("userdata", b"").startswith(CLOUD_CONFIG):
            damaged = name
    return tuple(missing), damaged


def _list_secrets(template: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    for volume in template.get("volumes") or []:
        if "secret" in volume:
            yield str(volume["secret"].get("secretName", "")), False
        reference = (volume.get("cloudInitNoCloud") or {}).get("secretRef") or {}
        if reference.get("name"):
            yield str(reference["name"]), True


def _find_template(body: JsonObject | None) -> dict[str, Any]:
    return dict((((body or {}).get("spec") or {}).get("template") or {}).get("spec") or {})


def _find_image(template: Mapping[str, Any]) -> str:
    disks = [volume["containerDisk"] for volume in template.get("volumes") or [] if "containerDisk" in volume]
    return str(disks[0].get("image", "")) if disks else ""


def _is_unknown(node: JsonObject | None) -> bool:
    ready = fetch_condition((node or {}).get("status") or {}, "Ready") or {}
    return ready.get("status") == "Unknown"


def _describe_pod(pod: JsonObject) -> str:
    status = pod.get("status") or {}
    return f"{status.get('phase', 'Unknown')}, {'Ready' if is_condition_true(status, 'Ready') else 'not Ready'}"


def _try(read: Callable[[], T]) -> T | None:
    found: list[T] = []
    with suppress(KinkyError):
        found.append(read())
    return found[0] if found else None
