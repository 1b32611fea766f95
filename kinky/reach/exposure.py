"""How the admin reaches the inner API: through a forward, a NodePort, or a load balancer of the host."""

from dataclasses import dataclass

from kinky import names
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.host import HostApi
from kinky.kube.objects import is_condition_true
from kinky.reach.forward import LOOPBACK, ensure_forward
from kinky.retry import Pending, wait_until

FORWARD = "forward"
NODE_PORT = "nodePort"
LOAD_BALANCER = "loadBalancer"


@dataclass(frozen=True)
class PublishSpec:
    """The access mode with what it needs."""

    mode: str
    local_port: int | None = None
    """Port on this machine in mode forward; None takes the cluster's own."""
    node_port: int | None = None
    """Port on the host's nodes in mode nodePort; None takes what the endpoint Service was given."""


def ensure_published(api: HostApi, cluster: str, publish: PublishSpec, *, limit_seconds: float) -> str:
    """Publish the inner API in the asked way and return its URL; in mode forward this starts the forward."""
    if publish.mode == FORWARD:
        port = forward_port(cluster, publish.local_port)
        ensure_forward(api.access, cluster, local_port=port)
        return f"https://{LOOPBACK}:{port}"
    name = names.endpoint_service(cluster)

    def check() -> str | Pending:
        service = api.fetch_here(resources.SERVICES, name)
        if service is None:
            return Pending(f"Service {name} is not there")
        if publish.mode == NODE_PORT:
            return _find_node_port_url(api, service, publish.node_port)
        return _find_load_balancer_url(service)

    return wait_until(
        check,
        what=f"address of Service {api.namespace}/{name} for access.mode {publish.mode}",
        deadline_seconds=limit_seconds,
        hint="with access.mode: forward nothing is needed from the host but its API",
    )


def forward_port(cluster: str, local_port: int | None) -> int:
    """Return the local port of the cluster's forward."""
    return local_port if local_port is not None else names.forward_port(cluster)


def _find_node_port_url(api: HostApi, service: JsonObject, asked: int | None) -> str | Pending:
    """Find the URL of a NodePort: any Ready node of the host serves it."""
    ports = (service.get("spec") or {}).get("ports") or []
    given = next((item.get("nodePort") for item in ports if item.get("port") == names.ENDPOINT_PORT), None)
    if given is None:
        return Pending("the Service has no nodePort")
    if asked is not None and given != asked:
        raise HostError(
            f"Service {service['metadata']['name']} has nodePort {given}, not {asked} as access.nodePort says",
            hint="run pulumi up again, or leave access.nodePort out",
        )
    for node in _fetch_nodes(api):
        status = node.get("status") or {}
        addresses = {item["type"]: item["address"] for item in status.get("addresses") or []}
        address = addresses.get("ExternalIP") or addresses.get("InternalIP")
        if address and is_condition_true(status, "Ready"):
            return _build_url(str(address), int(given))
    return Pending("no node of the host is Ready")


def _fetch_nodes(api: HostApi) -> list[JsonObject]:
    """List the host's nodes; a right that is missing does not come by waiting, as an API that is silent does."""
    try:
        return api.fetch_all(resources.NODES)
    except ApiError as error:
        if error.status != 403:
            raise
        raise HostError(
            f"{error.message}: access.mode nodePort needs a node's address",
            hint="ask the host's administrator for the right to list nodes, or choose another access.mode",
        ) from error


def _find_load_balancer_url(service: JsonObject) -> str | Pending:
    """Find the URL of a load balancer, once the host has given it an address."""
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    for ingress in balancer.get("ingress") or []:
        address = ingress.get("ip") or ingress.get("hostname")
        if address:
            return _build_url(str(address), names.ENDPOINT_PORT)
    return Pending("the host has given the Service no address yet")


def _build_url(address: str, port: int) -> str:
    """Build a URL; an IPv6 address stands in brackets."""
    return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"
