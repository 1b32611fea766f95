"""Fit: the host is read and compared with the configuration before anything is touched.

All problems are reported together, each with the value seen. A kind that cannot be read is a warning: a user
with rights in one namespace must not be refused for not seeing the nodes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kinky.accelerator import Accelerator
from kinky.config.model import KinkyConfig
from kinky.config.store_kinds import HOST_NAMESPACE
from kinky.errors import HostError
from kinky.fit.findings import Findings
from kinky.fit.ground import check_label, check_offer
from kinky.fit.lease import check_lease
from kinky.fit.network import (
    check_families,
    check_overlaps,
    fetch_api_service,
    list_host_networks,
    list_service_ranges,
)
from kinky.fit.reading import Reading, fetch_reading
from kinky.fit.record import check_record
from kinky.fit.rights import fetch_missing
from kinky.fit.room import check_room
from kinky.keys import clock
from kinky.kube import resources
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.host import HostApi
from kinky.kube.quantities import parse_quantity
from kinky.kube.records import KVM_DEVICE
from kinky.kube.virt_settings import VirtSettings
from kinky.ownership.record import fetch_record
from kinky.ownership.record_format import ClusterRecord, RecordError
from kinky.stores.secrets_store import UnreachableHostError, check_store_server
from kinky.topology.restarts import list_restarts

UNATTESTED = (
    "host.encryptionAtRest = unknown: the keys of the inner cluster may lie in the host's etcd in the clear; "
    "a copy of that etcd opens the inner cluster"
)


@dataclass(frozen=True, kw_only=True)
class HostFit:
    """Everything that was read of the host."""

    accelerator: Accelerator
    warnings: tuple[str, ...]


def check_fit(
    cfg: KinkyConfig,
    api: HostApi,
    *,
    stack: str,
    image: str = "",
    image_kubernetes_version: str | None = None,
    image_holds: Collection[str] | None = None,
) -> HostFit:
    """Read the host and compare it with the configuration; touches nothing.

    Args:
        stack: Organization, project and stack, as Pulumi names them.
        image: Reference of the chosen node image; empty when it is not known.
        image_kubernetes_version: The version that the chosen node image was built for, if known.
        image_holds: The system images in it, when they are known.

    Raises:
        HostError: with all problems.
    """
    findings = Findings()
    findings.warnings += [UNATTESTED] if cfg.host.encryption_at_rest == "unknown" else []
    findings.refuse(
        _check_image(cfg, image_kubernetes_version, image_holds),
        f"kinky image build --release {cfg.release.name} makes an image for it",
    )
    fit = _read_host(cfg, api, stack, image, findings) if _is_answering(api, findings) else None
    if findings.problems or fit is None:
        count = "1 problem" if len(findings.problems) == 1 else f"{len(findings.problems)} problems"
        raise HostError(
            f"the host cluster does not fit: {count}; nothing was touched",
            details=findings.problems,
            hint="; ".join(findings.hints) or None,
        )
    return fit


def _check_image(cfg: KinkyConfig, built_for: str | None, holds: Collection[str] | None) -> list[str]:
    """Compare the node image at hand, as far as it is known, with the release of the cluster."""
    wanted = cfg.cluster.kubernetes_version
    if built_for not in (None, wanted):
        return [f"the node image was built for Kubernetes {built_for}, cluster.kubernetesVersion is {wanted}"]
    # An older KinKy may have built it, for the same Kubernetes with other addons; no registry serves what is missing.
    missing = sorted(set(cfg.release.system_images.values()).difference(holds)) if holds is not None else []
    return [f"the node image does not hold {', '.join(missing)}"] if missing else []


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


def _read_host(cfg: KinkyConfig, api: HostApi, stack: str, image: str, findings: Findings) -> HostFit | None:
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
        exists, labels = _check_namespace(cfg, api, findings)
        if exists and labels is not None:
            check_label(cfg, api, labels, findings)
        findings.refuse(
            fetch_missing(api, cfg),
            "ask the host's administrator; docs/rights.md lists the rights and when each is needed",
        )
        reading = fetch_reading(api, cfg, exists=exists, served=served, labels=labels)
        findings.warnings += [reading.unread] if reading.unread else []
        _check_networks(cfg, api, reading, findings)
        _check_store_path(cfg, api, findings)
        if exists:
            _check_contents(cfg, api, stack, image, findings)
            check_lease(cfg, api, stack, findings)
        check_room(api, cfg, reading, findings)
        accelerator = _check_kubevirt(cfg, reading, findings) if served else Accelerator.UNKNOWN
        _check_members(cfg, accelerator, findings)
    except ApiError as error:
        findings.refuse([error.message], "the host answered once and then did not: try again")
        return None
    return HostFit(accelerator=accelerator, warnings=tuple(findings.warnings))


def _check_namespace(cfg: KinkyConfig, api: HostApi, findings: Findings) -> tuple[bool, Mapping[str, str] | None]:
    """Look for the namespace and its labels; if it cannot be read it may exist, and its contents will show it."""
    try:
        body = api.fetch(resources.NAMESPACES, api.namespace)
    except ApiError as error:
        if error.status != 403:
            raise
        return True, None
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
    return body is not None, ((body or {}).get("metadata") or {}).get("labels") or {}


def _check_networks(cfg: KinkyConfig, api: HostApi, reading: Reading, findings: Findings) -> None:
    """Check that the host's networks do not overlap ours, and that our Services can get addresses."""
    service = None if list_service_ranges(reading) else fetch_api_service(api)
    networks, unknown = list_host_networks(cfg, reading, service)
    problems, doubts = check_families(reading, service)
    findings.warnings += [*unknown, *doubts]
    findings.refuse(
        check_overlaps(cfg, networks), "choose other inner networks: network.podCidrs, network.serviceCidrs"
    )
    findings.refuse(problems, "choose a host whose Services have IPv4 addresses")


def _check_store_path(cfg: KinkyConfig, api: HostApi, findings: Findings) -> None:
    """Check that pods can reach a store that is on the host, and would trust it."""
    if cfg.secrets_store.kind != HOST_NAMESPACE:
        return
    try:
        unseen = check_store_server(api)
        findings.warnings += [unseen] if unseen else []
    except UnreachableHostError as error:
        findings.refuse([error.message], str(error.hint))


def _check_contents(cfg: KinkyConfig, api: HostApi, stack: str, image: str, findings: Findings) -> None:
    """Check an existing namespace for another stack's cluster, other settings, and names that are taken."""
    try:
        found = _fetch_record(cfg, api, findings)
        for problems, hint in check_record(cfg, api, stack, found):
            findings.refuse(problems, hint)
        findings.warnings += list_restarts(found.settings, cfg, image=image) if found else []
    except ApiError as error:
        if error.status != 403:
            raise
        findings.warnings.append(error.message)


def _fetch_record(cfg: KinkyConfig, api: HostApi, findings: Findings) -> ClusterRecord | None:
    """Read the cluster's record; without it no change can be judged, so a damaged one is refused."""
    try:
        return fetch_record(api, cfg.cluster.name)
    except RecordError as error:
        findings.refuse(["; ".join([error.message, *error.details])], str(error.hint))
        return None


def _check_kubevirt(cfg: KinkyConfig, reading: Reading, findings: Findings) -> Accelerator:
    """Check that KubeVirt is ready, and find how VMs' processors run: unknown without rights over the cluster."""
    asked = cfg.host.asked_accelerator
    if asked is Accelerator.CONTAINER and reading.nodes is not None:
        check_offer(reading.nodes, findings)
    if reading.kubevirts is None or reading.nodes is None:
        return asked or Accelerator.UNKNOWN
    body = reading.kubevirts[0] if reading.kubevirts else {}
    phase = (body.get("status") or {}).get("phase")
    findings.refuse(
        [f"KubeVirt is not ready: phase {phase}"] if phase not in (None, "Deployed") else [],
        "kubectl get kubevirt -A shows why; wait until its phase is Deployed",
    )
    offered = find_accelerator(reading.settings, reading.nodes)
    if offered is Accelerator.UNKNOWN:
        findings.refuse(
            [f"VMs cannot start: no node offers {KVM_DEVICE}, and KubeVirt's useEmulation is not on"],
            "set useEmulation: true in the KubeVirt object's developerConfiguration, or add nodes with /dev/kvm",
        )
    elif asked not in (None, Accelerator.CONTAINER, offered):
        switch = "on" if offered is Accelerator.EMULATION else "not on"
        findings.refuse(
            [f"host.accelerator = {asked}: KubeVirt's useEmulation is {switch}, so VMs run by {offered}"],
            "leave host.accelerator: auto, or change useEmulation in the KubeVirt object",
        )
    return Accelerator.CONTAINER if asked is Accelerator.CONTAINER else offered


def _check_members(cfg: KinkyConfig, accelerator: Accelerator, findings: Findings) -> None:
    """Refuse several control planes where the host emulates: they starve each other (docs/decisions/0024)."""
    replicas = cfg.control_plane.replicas
    if accelerator is not Accelerator.EMULATION or replicas == 1:
        return
    faster = "set host.accelerator: container" if cfg.host.embedded else "choose a host with hardware virtualisation"
    findings.refuse(
        [f"controlPlane.replicas = {replicas}: this host emulates processors, and emulation carries one control plane"],
        f"{faster}, or set controlPlane.replicas: 1",
    )


def find_accelerator(settings: VirtSettings, nodes: Sequence[JsonObject]) -> Accelerator:
    """Find how VMs' processors run: with useEmulation on, KubeVirt gives no VM the kvm device, wherever one is."""
    if settings.emulates:
        return Accelerator.EMULATION
    amounts = [((node.get("status") or {}).get("allocatable") or {}).get(KVM_DEVICE, "0") for node in nodes]
    has_device = any(parse_quantity(str(amount)) > 0 for amount in amounts)
    return Accelerator.KVM if has_device else Accelerator.UNKNOWN
