"""From created VMs to a cluster that is proved from outside: the tables of requirements, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kinky import names
from kinky.forming.checks import NodesCheck, StageCheck, VmCheck
from kinky.forming.climbing import Climbers
from kinky.forming.diagnose import describe_nodes
from kinky.forming.pending import replace_unstarted
from kinky.forming.requirements import Requirement, run_requirements
from kinky.keys.certificates import build_fingerprint
from kinky.keys.material import fetch_ca
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.progress import phase
from kinky.reach.credential import write_inner_kubeconfig
from kinky.reach.exposure import PublishSpec, ensure_published
from kinky.reach.reach import Reach
from kinky.retry import Pending

VMS_RUN = "VMs run"
GUEST_FAR_ENOUGH = "a control plane's guest has started Kubernetes"
API_ANSWERS = "the inner API answers through the published path with a certificate of the cluster's CA"
API_READY = "the inner API is ready and knows the admin"
NODES_REGISTERED = "all nodes have registered with their S-address"
NODES_READY = "all nodes are Ready"

VM_HINT = "kubectl describe vm -n {namespace} shows more; the VMs stay as they are: pulumi up tries again"
STAY_HINT = "kubectl describe vmi -n {namespace} shows more; pulumi up tries again, pulumi destroy removes all"


@dataclass(frozen=True, kw_only=True)
class OutsideRecord:
    """Proof that the inner API answers from outside, and how to reach it."""

    server: str
    kubeconfig: str
    cluster_uid: str
    kubernetes_version: str
    ca_fingerprint: str
    tls_seconds: float
    """Seconds until the published path answered with a verified certificate."""
    ready_seconds: float
    """Seconds until /readyz was 200 to an authenticated call."""


@dataclass(frozen=True)
class NodeRow:
    """One node as the inner API shows it."""

    name: str
    role: str
    address: str
    version: str
    ready_at: str


@dataclass(frozen=True)
class NodesRecord:
    """All declared nodes, Ready."""

    nodes: tuple[NodeRow, ...]
    seconds: float


class Outside:
    """The published path of one inner API: publishes it, heals it, and asks through it."""

    def __init__(self, reach: Reach, publish: PublishSpec, *, limit_seconds: float) -> None:
        """Publish nothing yet: before the VMs run there is nothing to reach."""
        self.reach = reach
        """The way by what is published, once it is."""
        self._publish = publish
        self._is_published = False
        self._limit_seconds = limit_seconds

    def check_answers(self) -> str | Pending:
        """Ask whether anything answers that the cluster's CA vouches for, ready or not."""
        ready = self._open().is_ready()
        return f"{self.reach.server}" + ("" if ready else " (not ready yet)")

    def check_ready(self) -> str | Pending:
        """Ask whether it is ready and takes our credential."""
        api = self._open()
        if not api.is_ready():
            return Pending(f"{self.reach.server} answers, /readyz is not 200 yet")
        user = api.fetch_user()
        if not api.fetch_cluster_uid():
            return Pending(f"{self.reach.server} is ready, namespace kube-system is not there yet")
        return f"200 for {user}"

    def _open(self) -> InnerApi:
        """Publish, or heal what is published, and open the API through it."""
        host, cluster = self.reach.host(), self.reach.cluster
        server = ensure_published(host, cluster, self._publish, limit_seconds=self._limit_seconds)
        if not self._is_published or server != self.reach.server:
            self.reach, self._is_published = self.reach.at(server), True
        return self.reach.inner()


def prove_outside(
    reach: Reach,
    control_planes: Sequence[str],
    publish: PublishSpec,
    *,
    kinky_command: str,
    limit_seconds: float,
) -> OutsideRecord:
    """Publish the inner API, write its kubeconfig, and wait for an authenticated 200 through the published path."""
    api, cluster = reach.host(), reach.cluster
    outside = Outside(reach, publish, limit_seconds=limit_seconds)
    table = build_outside_table(api, cluster, control_planes, outside, limit_seconds=limit_seconds)
    climbers = Climbers(reach, control_planes, has_inner=False)
    replace_unstarted(api)
    with phase(f"inner API of {cluster} answers from outside", limit_seconds=limit_seconds) as running:
        met = run_requirements(
            cluster,
            table,
            limit_seconds=limit_seconds,
            phase=running,
            explain=lambda: [*describe_nodes(api, control_planes), *climbers.describe()],
            remark=climbers.tell_changes,
        )
    kubeconfig = write_inner_kubeconfig(api, cluster, outside.reach.server, kinky_command=kinky_command)
    inner = outside.reach.inner()
    return OutsideRecord(
        server=outside.reach.server,
        kubeconfig=kubeconfig,
        cluster_uid=inner.fetch_cluster_uid(),
        kubernetes_version=inner.fetch_version(),
        ca_fingerprint=build_fingerprint(fetch_ca(api, cluster).certificate),
        tls_seconds=round(met[API_ANSWERS], 1),
        ready_seconds=round(met[API_READY], 1),
    )


def build_outside_table(
    api: HostApi, cluster: str, control_planes: Sequence[str], outside: Outside, *, limit_seconds: float
) -> list[Requirement]:
    """Build the requirements from VMs to an API that is ready, in order."""
    vms = VM_HINT.format(namespace=api.namespace)
    stay = STAY_HINT.format(namespace=api.namespace)
    return [
        Requirement(
            description=VMS_RUN, check=VmCheck(api, cluster, control_planes, limit_seconds=limit_seconds), hint=vms
        ),
        Requirement(
            description=GUEST_FAR_ENOUGH,
            check=StageCheck(api, control_planes, limit_seconds=limit_seconds),
            hint=stay,
            every_seconds=3.0,
        ),
        Requirement(description=API_ANSWERS, check=outside.check_answers, hint=stay, every_seconds=3.0),
        Requirement(description=API_READY, check=outside.check_ready, hint=stay),
    ]


def wait_schema(reach: Reach, *, limit_seconds: float) -> None:
    """Ask once for the schema, so that it is made before the Pulumi provider's many calls ask for it all at once."""
    reach.ask(
        "the inner API serves its schema",
        lambda inner: inner.fetch_schema_size(),
        limit_seconds=limit_seconds,
        hint="kubectl get --raw /openapi/v2 shows how long it takes; pulumi up tries again",
    )


def prove_nodes_ready(reach: Reach, nodes: Mapping[str, str], *, limit_seconds: float) -> NodesRecord:
    """Wait until each node (given with its S-address) is registered under that address and Ready; note their boots."""
    host, cluster = reach.host(), reach.cluster
    climbers = Climbers(reach, list(nodes), has_inner=True)
    replace_unstarted(host)
    check = NodesCheck(reach, nodes, limit_seconds=limit_seconds)
    table = [
        Requirement(description=description, check=look, hint=STAY_HINT.format(namespace=host.namespace))
        for description, look in ((NODES_REGISTERED, check.check_registered), (NODES_READY, check.check_ready))
    ]

    def explain() -> list[str]:
        bad = [name for name in nodes if name not in check.found or not check.found[name].ready]
        return [*describe_nodes(host, bad), *climbers.describe()]

    with phase(f"{len(nodes)} nodes of {cluster} are Ready", limit_seconds=limit_seconds) as running:
        met = run_requirements(
            cluster,
            table,
            limit_seconds=limit_seconds,
            phase=running,
            explain=explain,
            remark=climbers.tell_changes,
        )
    climbers.note_boots()
    return NodesRecord(nodes=_build_rows(check, nodes), seconds=round(met[NODES_READY], 1))


def _build_rows(check: NodesCheck, nodes: Mapping[str, str]) -> tuple[NodeRow, ...]:
    """Build the node table, in the order of the declaration."""
    found = [check.found[name] for name in nodes]
    return tuple(
        NodeRow(
            name=node.name,
            role=names.CONTROL_PLANE if node.control_plane else names.WORKER,
            address=node.internal_ip,
            version=node.version,
            ready_at=node.ready_since,
        )
        for node in found
    )
