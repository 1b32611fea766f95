"""Fit: the host is read and compared with the configuration before anything is touched.

All problems are told together, each with what was seen. What cannot be read is a warning: a user
with rights in one namespace must not be refused for not seeing the nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kinky.bootstrap import clock
from kinky.bootstrap.fit_network import check_overlaps, fetch_host_networks
from kinky.bootstrap.fit_quota import check_quotas, parse_quantity
from kinky.bootstrap.fit_record import check_record
from kinky.bootstrap.fit_rights import fetch_missing
from kinky.bootstrap.secrets_store import UnreachableHostError, check_store_server
from kinky.config.model import KinkyConfig
from kinky.config.store import HOST_NAMESPACE
from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.host import HostApi
from kinky.names import cluster_selector
from kinky.topology.nodes import build_nodes

KVM, EMULATION, UNKNOWN = "kvm", "emulation", "unknown"
KVM_DEVICE = "devices.kubevirt.io/kvm"
UNATTESTED = (
    "host.encryptionAtRest = unknown: the keys of the inner cluster may lie in the host's etcd in the clear; "
    "a copy of that etcd opens the inner cluster"
)


@dataclass(frozen=True, kw_only=True)
class HostFit:
    """What was read of the host."""

    accelerator: str
    """kvm, emulation, or unknown where the host does not tell."""
    warnings: tuple[str, ...]


@dataclass
class Findings:
    """Problems with their hints, and warnings, gathered while the host is read."""

    problems: list[str] = field(default_factory=list)
    hints: dict[str, None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, problems: list[str], hint: str) -> None:
        """Add problems of one sort, and what helps."""
        if problems:
            self.problems += problems
            self.hints[hint] = None


def check_fit(
    cfg: KinkyConfig, access: HostAccess, *, stack: str, image_kubernetes_version: str | None = None
) -> HostFit:
    """Read the host and compare it with the configuration; touches nothing.

    Args:
        stack: Organization, project and stack, as Pulumi names them.
        image_kubernetes_version: What the chosen node image was built for, when that is known.

    Raises:
        HostError: with all problems.
    """
    findings = Findings()
    findings.warnings += [UNATTESTED] if cfg.host.encryption_at_rest == "unknown" else []
    findings.refuse(
        _check_image(cfg, image_kubernetes_version), "kinky image build makes an image for the wanted version"
    )
    api = HostApi.connect(access)
    fit = _read_host(cfg, api, stack, findings) if _is_answering(api, findings) else None
    if findings.problems or fit is None:
        count = "1 problem" if len(findings.problems) == 1 else f"{len(findings.problems)} problems"
        raise HostError(
            f"the host cluster does not fit: {count}; nothing was touched",
            details=findings.problems,
            hint="; ".join(findings.hints) or None,
        )
    return fit


def _check_image(cfg: KinkyConfig, built_for: str | None) -> list[str]:
    """Compare the version of the node image at hand, if it is known, with the one that is asked for."""
    wanted = cfg.cluster.kubernetes_version
    if built_for in (None, wanted):
        return []
    return [f"the node image was built for Kubernetes {built_for}, cluster.kubernetesVersion is {wanted}"]


def _is_answering(api: HostApi, findings: Findings) -> bool:
    """Ask for the version, which needs no right: it tells whether the host answers at all."""
    try:
        api.fetch_version()
    except ApiError as error:
        findings.refuse(
            [f"{error.message} (server {api.server})"],
            "check that the host runs: kinky host status, or kubectl version with its kubeconfig",
        )
        return False
    return True


def _read_host(cfg: KinkyConfig, api: HostApi, stack: str, findings: Findings) -> HostFit | None:
    """Run all checks that need an answering host."""
    difference = clock.describe_difference(api)
    findings.refuse([difference] if difference else [], clock.HINT)
    try:
        served = api.is_served(resources.VIRTUAL_MACHINES)
        if not served:
            findings.refuse(
                ["cannot create virtual machines: the API kubevirt.io/v1 is not served"],
                "install KubeVirt on the host, or start a local one: kinky host up",
            )
        exists = _check_namespace(cfg, api, findings)
        findings.refuse(
            fetch_missing(api, cfg),
            "ask the host's administrator; docs/configuration.md lists the rights and when each is needed",
        )
        networks, unread = fetch_host_networks(api, cfg)
        findings.warnings += unread
        findings.refuse(
            check_overlaps(cfg, networks), "choose other inner networks: network.podCidrs, network.serviceCidrs"
        )
        _check_store_path(cfg, api, findings)
        if exists:
            _check_contents(cfg, api, stack, findings, served=served)
        accelerator = _read_kubevirt(cfg, api, findings) if served else UNKNOWN
    except ApiError as error:
        findings.refuse([error.message], "the host answered once and then did not: try again")
        return None
    return HostFit(accelerator=accelerator, warnings=tuple(findings.warnings))


def _check_namespace(cfg: KinkyConfig, api: HostApi, findings: Findings) -> bool:
    """Look for the namespace; one that cannot be read may be there, and its contents will tell."""
    try:
        body = api.fetch(resources.NAMESPACES, api.namespace)
    except ApiError as error:
        if error.status != 403:
            raise
        return True
    if body is None and not cfg.host.create_namespace:
        findings.refuse(
            [f"namespace {api.namespace} is not there, and host.createNamespace is false"],
            f"create it with kubectl create namespace {api.namespace}, or set host.createNamespace: true",
        )
    deleting = body is not None and (body.get("status") or {}).get("phase") == "Terminating"
    findings.refuse(
        [f"namespace {api.namespace} is being deleted"] if deleting else [],
        "wait until it is gone, then run pulumi up again",
    )
    return body is not None


def _check_store_path(cfg: KinkyConfig, api: HostApi, findings: Findings) -> None:
    """Check that pods can be told how to reach a store that is on the host, and would trust it."""
    if cfg.secrets_store.kind != HOST_NAMESPACE:
        return
    try:
        unseen = check_store_server(api)
        findings.warnings += [unseen] if unseen else []
    except UnreachableHostError as error:
        findings.refuse([error.message], str(error.hint))


def _check_contents(cfg: KinkyConfig, api: HostApi, stack: str, findings: Findings, *, served: bool) -> None:
    """Check what a namespace that exists holds: another stack's cluster, and quotas."""
    cluster = cfg.cluster.name
    try:
        for problems, hint in check_record(cfg, api, stack):
            findings.refuse(problems, hint)
        quotas = api.fetch_quotas()
        present = frozenset(api.fetch_vms(cluster_selector(cluster))) if served else frozenset()
        findings.refuse(
            check_quotas(quotas, build_nodes(cfg), present=present),
            "raise the quota, or lower replicas, memoryMib or etcdGib in the stack file",
        )
    except ApiError as error:
        if error.status != 403:
            raise
        findings.warnings.append(error.message)


def _read_kubevirt(cfg: KinkyConfig, api: HostApi, findings: Findings) -> str:
    """Read whether KubeVirt is ready and how VMs' processors run: unknown without rights over the cluster."""
    asked = cfg.host.accelerator
    try:
        found = api.fetch_all(resources.KUBEVIRTS)
        nodes = api.fetch_all(resources.NODES)
    except ApiError as error:
        if error.status != 403:
            # Taken for a host that does not tell, one slow answer would change every VM.
            raise
        return UNKNOWN if asked == "auto" else asked
    body = found[0] if found else {}
    phase = (body.get("status") or {}).get("phase")
    findings.refuse(
        [f"KubeVirt is not ready: phase {phase}"] if phase not in (None, "Deployed") else [],
        "kubectl get kubevirt -A shows why; wait until its phase is Deployed",
    )
    offered = find_accelerator(body, nodes)
    if offered == UNKNOWN:
        findings.refuse(
            [f"VMs cannot start: no node offers {KVM_DEVICE}, and KubeVirt's useEmulation is not on"],
            "set useEmulation: true in the KubeVirt object's developerConfiguration, or add nodes with /dev/kvm",
        )
    elif asked not in ("auto", offered):
        switch = "on" if offered == EMULATION else "not on"
        findings.refuse(
            [f"host.accelerator = {asked}: KubeVirt's useEmulation is {switch}, so VMs run by {offered}"],
            "leave host.accelerator: auto, or change useEmulation in the KubeVirt object",
        )
    return offered


def find_accelerator(kubevirt: JsonObject, nodes: Sequence[JsonObject]) -> str:
    """Find how VMs' processors run: with useEmulation on, KubeVirt gives no VM the kvm device, wherever one is."""
    configuration = (kubevirt.get("spec") or {}).get("configuration") or {}
    if (configuration.get("developerConfiguration") or {}).get("useEmulation"):
        return EMULATION
    amounts = [((node.get("status") or {}).get("allocatable") or {}).get(KVM_DEVICE, "0") for node in nodes]
    return KVM if any(parse_quantity(str(amount)) > 0 for amount in amounts) else UNKNOWN
