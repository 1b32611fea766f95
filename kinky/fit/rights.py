"""Whether the admin may do on the host what KinKy will do, asked verb by verb."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from kinky.config.model import KinkyConfig
from kinky.config.store_kinds import HOST_NAMESPACE
from kinky.kube import resources
from kinky.kube.host import HostApi
from kinky.kube.resources import Resource
from kinky.proxies import is_loopback

PARALLEL_CALLS = 8
PORT_FORWARD_VERBS = ("get", "create")
"""The API checks the verb get for a WebSocket; since Kubernetes 1.35 it checks create too."""
READ_WRITE = ("get", "list", "create", "patch", "delete")


@dataclass(frozen=True, kw_only=True)
class Need:
    """Verbs on one kind of object, and when they are needed."""

    resource: Resource
    verbs: tuple[str, ...]
    subresource: str = ""
    namespace: str = ""
    """A namespace other than the cluster's own."""
    name: str = ""
    """Name of the only object of the kind that is needed; empty for all."""
    when: str = "always"
    """The condition in words."""
    applies: Callable[[KinkyConfig], bool] = lambda _: True
    applies_to: Callable[[str], bool] = lambda _: True
    """Called with the URL of the host's API in the kubeconfig."""

    @property
    def kind(self) -> str:
        """Name the kind as RBAC rules do, such as `virtualmachines.kubevirt.io`."""
        plural = f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural
        kind = f"{plural}.{self.resource.group}" if self.resource.group else plural
        return f"{kind}/{self.name}" if self.name else kind


NEEDS = (
    Need(
        resource=resources.NAMESPACES,
        verbs=("create", "get", "delete"),
        when="`host.createNamespace` is true",
        applies=lambda cfg: cfg.host.create_namespace,
    ),
    Need(
        resource=resources.NAMESPACES,
        verbs=("patch",),
        when="`host.embedded` and `host.createNamespace` are true: the label of the accelerator",
        applies=lambda cfg: cfg.host.embedded and cfg.host.create_namespace,
    ),
    Need(resource=resources.VIRTUAL_MACHINES, verbs=READ_WRITE),
    Need(resource=resources.VIRTUAL_MACHINE_INSTANCES, verbs=("get", "list", "delete")),
    Need(resource=resources.SECRETS, verbs=(*READ_WRITE, "update")),
    Need(resource=resources.SERVICES, verbs=READ_WRITE),
    Need(resource=resources.CONFIG_MAPS, verbs=READ_WRITE),
    Need(resource=resources.SERVICE_ACCOUNTS, verbs=READ_WRITE),
    Need(resource=resources.SERVICE_ACCOUNTS, verbs=("create",), subresource="token"),
    Need(resource=resources.ROLES, verbs=READ_WRITE),
    Need(resource=resources.ROLE_BINDINGS, verbs=READ_WRITE),
    Need(resource=resources.NETWORK_POLICIES, verbs=READ_WRITE),
    Need(resource=resources.PODS, verbs=("get", "list")),
    # Objects that KubeVirt and the host derive from ours are listed at the end, to see that they are gone.
    Need(resource=resources.PVCS, verbs=("list",)),
    Need(resource=resources.ENDPOINT_SLICES, verbs=("list",)),
    Need(resource=resources.POD_DISRUPTION_BUDGETS, verbs=("list",)),
    Need(
        resource=resources.PVCS,
        verbs=("get", "create", "patch", "delete"),
        when="`cluster.ephemeral` is false",
        applies=lambda cfg: not cfg.cluster.ephemeral,
    ),
    Need(
        resource=resources.JOBS,
        verbs=READ_WRITE,
        when="`cluster.lease` is set; `kinky lease`",
        applies=lambda cfg: cfg.cluster.lease is not None,
    ),
    Need(
        resource=resources.PODS,
        verbs=("get",),
        subresource="log",
        when="`virtualMachine.serialConsoleLog` is not `never`; `kinky scan`",
        applies=lambda cfg: cfg.virtual_machine.serial_console_log != "never",
    ),
    Need(
        resource=resources.PODS,
        verbs=PORT_FORWARD_VERBS,
        subresource="portforward",
        when="`access.mode` is `forward`, or there are 3 control planes, each asked by a rotation; `kinky rotate ca`, "
        "`kinky status`, `kinky why`",
        applies=lambda cfg: cfg.access.mode == "forward" or cfg.control_plane.replicas > 1,
    ),
    Need(resource=resources.EVENTS, verbs=("list",), when="`kinky scan`, `kinky why`", applies=lambda _: False),
    Need(
        resource=resources.SERVICES,
        verbs=("get",),
        namespace="default",
        name="kubernetes",
        when="`secretsStore.kind` is `hostNamespace`, and the kubeconfig has a loopback address, which a node "
        "cannot reach",
        applies=lambda cfg: cfg.secrets_store.kind == HOST_NAMESPACE,
        applies_to=lambda server: is_loopback(urlsplit(server).hostname or ""),
    ),
    Need(
        resource=resources.NODES,
        verbs=("list",),
        when="`access.mode` is `nodePort`: which addresses the nodes have",
        applies=lambda cfg: cfg.access.mode == "nodePort",
    ),
)
"""All rights that KinKy cannot do without on the host; any other missing right is a warning."""


def build_rights(cfg: KinkyConfig, *, server: str = "") -> Iterator[tuple[Need, str]]:
    """Yield the rights that this configuration needs on a host with this URL, each with one of its verbs."""
    needs = (need for need in NEEDS if need.applies(cfg) and need.applies_to(server))
    yield from ((need, verb) for need in needs for verb in need.verbs)


def fetch_missing(api: HostApi, cfg: KinkyConfig) -> list[str]:
    """Ask for each right, and describe those that are missing, one line for each kind of object."""
    rights = list(build_rights(cfg, server=api.server))

    def ask(right: tuple[Need, str]) -> bool:
        need, verb = right
        return api.is_allowed(
            verb, need.resource, subresource=need.subresource, namespace=need.namespace, name=need.name
        )

    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        answers = list(pool.map(ask, rights))
    missing: dict[tuple[str, str], list[str]] = {}
    for (need, verb), allowed in zip(rights, answers, strict=True):
        if not allowed:
            place = f"namespace {need.namespace or api.namespace}" if need.resource.namespaced else "the whole host"
            missing.setdefault((place, need.kind), []).append(verb)
    return [f"{place}: no right to {', '.join(verbs)} {kind}" for (place, kind), verbs in missing.items()]


def render_rights() -> str:
    """Render docs/rights.md."""
    rows = [f"| {_render_place(need)} | `{need.kind}` | {', '.join(need.verbs)} | {need.when} |" for need in NEEDS]
    return "\n".join([RIGHTS_HEAD, *rows, ""])


RIGHTS_HEAD = """\
# Rights on the host

Generated from kinky/fit/rights.py by `kinky generate`; do not edit it here.

Your own account on the host needs these rights. Before anything is touched, `up` asks the host for each right that the
configuration needs, and names the missing ones. With `createNamespace: false`, a Role in the namespace can give all
but the last two rows.

KinKy also reads some other objects, to find more problems before `up` and to explain a failure. Without rights on
them, `up` prints one warning and goes on:

- of the whole host: nodes, pods, StorageClasses, volumes, priority classes, Service networks, the KubeVirt object, and
  Services with `access.nodePort`
- the Service `default/kubernetes`, where no row asks for it
- the namespace `kube-system`, whose UID is the host's identity; without it the namespace of the VMs gives one
- of the namespace: quotas, limit ranges and events

Pulumi's provider also tries to watch objects and events. Without these rights it asks again every few seconds.

| Where | Kind | Verbs | Needed when |
|---|---|---|---|"""


def _render_place(need: Need) -> str:
    if need.namespace:
        return f"namespace `{need.namespace}`"
    return "the namespace" if need.resource.namespaced else "the whole host"
