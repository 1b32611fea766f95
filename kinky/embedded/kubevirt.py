"""KubeVirt on the host: its operator's manifest, rendered from the module's files, and the object that asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kinky.accelerator import Accelerator
from kinky.artefacts import layers
from kinky.embedded import cluster, kubevirt_images
from kinky.embedded.layout import Layout
from kinky.errors import CommandError, HostError
from kinky.file_lock import file_lock
from kinky.progress import phase
from kinky.retry import Pending, wait_until

NAMESPACE = "kubevirt"
DEPLOY_SECONDS = 600
GENERATED = ("kv-resource.yaml", "rbac-operator.authorization.k8s.yaml.in")


def install(place: Layout, *, renew: bool) -> None:
    """Start KubeVirt's operator, which takes a while until it answers; quick when it is already there.

    Args:
        renew: Start KubeVirt's pods again, because their images changed.
    """
    if renew and is_applied(place):
        _restart_pods(place)
    _install_operator(place)


def deploy(place: Layout, *, accelerator: Accelerator, since: float) -> None:
    """Bring KubeVirt to phase Deployed once its operator is installed; quick when it is already there.

    Args:
        since: When the host started; what pods said before that does not count.

    Raises:
        WaitError: It was not deployed in time; the error tells the phase and what the pods lack.
    """
    with phase("KubeVirt deployed", limit_seconds=DEPLOY_SECONDS) as running:
        _tell_labeller(place, accelerator=accelerator)
        wait_until(
            lambda: request(place, accelerator=accelerator),
            what="KubeVirt's operator takes the request",
            deadline_seconds=DEPLOY_SECONDS,
            on_change=running.note,
            hint=f"kubectl --kubeconfig {place.kubeconfig} -n {NAMESPACE} get pods",
        )
        wait_until(
            lambda: check_deployed(place, since=since),
            what="KubeVirt is deployed on the embedded host",
            deadline_seconds=DEPLOY_SECONDS,
            every_seconds=3,
            on_change=running.note,
            tolerate=(CommandError,),
            hint=f"kubectl --kubeconfig {place.kubeconfig} -n {NAMESPACE} get pods",
        )


def _install_operator(place: Layout) -> None:
    """Apply what the operator needs, unless this very manifest was applied before, and the operator itself."""
    manifest = ensure_manifest()
    marker = place.root / "kubevirt-applied"
    # The folder's name identifies its content, because the cache may move.
    applied = manifest.parent.name
    if not (marker.is_file() and marker.read_text() == applied and is_applied(place)):
        server_side = ("apply", "--server-side", "--force-conflicts", "-f")
        cluster.kubectl(place.kubeconfig, *server_side, manifest, reason="install KubeVirt's operator")
        marker.write_text(applied)
    cluster.apply(place, [build_operator()], reason="run KubeVirt's operator")


def ensure_manifest() -> Path:
    """Return the operator's manifest without its Deployment, rendered first if need be."""
    folder = layers.images_dir() / f"manifest-{kubevirt_images.version()}"
    path = folder / "operator.yaml"
    with file_lock(folder.with_name(f"{folder.name}.lock")):
        if path.is_file():
            return path
        manifests = kubevirt_images.module_folder() / "manifests"
        generated = {name: (manifests / "generated" / name).read_text() for name in GENERATED}
        text = render_operator((manifests / "release" / "kubevirt-operator.yaml.in").read_text(), generated)
        folder.mkdir(exist_ok=True)
        partial = folder / "operator.partial.yaml"
        partial.write_text(text)
        partial.replace(path)
    return path


def render_operator(template: str, generated: dict[str, str]) -> str:
    """Fill the module's template in and leave out its last document, the Deployment, which `build_operator` gives.

    Raises:
        HostError: The template has a placeholder that is not known.
    """
    text, separator, _ = template.rpartition("\n---\napiVersion: apps/v1\nkind: Deployment\n")
    if not separator:
        raise HostError("KubeVirt's operator template has no Deployment at its end")
    for name, content in generated.items():
        text = text.replace('{{index .GeneratedManifests "' + name + '"}}', content)
    text = text.replace("{{.Namespace}}", NAMESPACE)
    if "{{" in text:
        unknown = text[text.index("{{") :].splitlines()[0]
        raise HostError(f"KubeVirt's operator template has an unknown placeholder: {unknown}")
    return text


def build_operator() -> dict[str, object]:
    """Return the operator's Deployment: one replica, our image names."""
    labels = {"kubevirt.io": "virt-operator", "name": "virt-operator"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "virt-operator", "namespace": NAMESPACE, "labels": {"kubevirt.io": "virt-operator"}},
        "spec": {
            "replicas": 1,
            # With one replica and one node there is no room, and no need, for a second while the first goes.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"kubevirt.io": "virt-operator"}},
            "template": {"metadata": {"labels": labels}, "spec": _operator_pod()},
        },
    }


def _operator_pod() -> dict[str, object]:
    probe = {
        "httpGet": {"scheme": "HTTPS", "port": 8443, "path": "/metrics"},
        "initialDelaySeconds": 5,
        "timeoutSeconds": 10,
        "periodSeconds": 20,
    }
    container = {
        "name": "virt-operator",
        "image": kubevirt_images.reference("virt-operator"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["virt-operator"],
        "args": ["--port", "8443", "-v", "2"],
        "ports": [{"name": "metrics", "containerPort": 8443}, {"name": "webhooks", "containerPort": 8444}],
        "env": [
            {"name": "VIRT_OPERATOR_IMAGE", "value": kubevirt_images.reference("virt-operator")},
            {"name": "KUBEVIRT_VERSION", "value": kubevirt_images.version()},
        ],
        "readinessProbe": probe,
        "resources": {"requests": {"cpu": "10m", "memory": "100Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "certificates", "mountPath": "/etc/virt-operator/certificates", "readOnly": True},
            {"name": "profile-data", "mountPath": "/profile-data"},
        ],
    }
    return {
        "serviceAccountName": "kubevirt-operator",
        "priorityClassName": "kubevirt-cluster-critical",
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "certificates", "secret": {"secretName": "kubevirt-operator-certs", "optional": True}},
            {"name": "profile-data", "emptyDir": {}},
        ],
    }


def build_request(*, accelerator: Accelerator) -> dict[str, object]:
    """Return the KubeVirt object: one replica of each part, software emulation where KVM was not proved."""
    emulates = accelerator is not Accelerator.KVM
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "KubeVirt",
        "metadata": {"name": "kubevirt", "namespace": NAMESPACE},
        "spec": {
            "imagePullPolicy": "IfNotPresent",
            "infra": {"replicas": 1},
            "configuration": {"developerConfiguration": {"useEmulation": emulates, "featureGates": []}},
        },
    }


def request(place: Layout, *, accelerator: Accelerator) -> bool | Pending:
    """Ask for KubeVirt as it shall be; what is there already is left alone, because the operator checks each change."""
    wanted = build_request(accelerator=accelerator)
    try:
        present = cluster.fetch(place, "kubevirt", "kubevirt", "-n", NAMESPACE, reason="see what was asked for")
        if present is None or not holds(present["spec"], wanted["spec"]):
            cluster.apply(place, [wanted], reason="ask for KubeVirt")
    except CommandError as error:
        return Pending(error.details[-1])
    return True


def holds(present: object, wanted: object) -> bool:
    """Tell whether everything wanted is present; the API adds defaults of its own."""
    if isinstance(present, Mapping) and isinstance(wanted, Mapping):
        return all(holds(present.get(key), value) for key, value in wanted.items())
    # An empty list is dropped by the API.
    return present == wanted or (present is None and wanted == [])


def _tell_labeller(place: Layout, *, accelerator: Accelerator) -> None:
    """Leave word for the node labeller in the launcher image, which looks at the device only."""
    mark = place.root / "node-labeller" / kubevirt_images.EMULATION_MARK
    if accelerator is Accelerator.KVM:
        mark.unlink(missing_ok=True)
    else:
        mark.touch()


def is_applied(place: Layout) -> bool:
    """Tell whether the API serves KubeVirt's own object."""
    try:
        cluster.fetch(place, "kubevirts.kubevirt.io", "-n", NAMESPACE, reason="see whether KubeVirt is installed")
    except CommandError:
        return False
    return True


def check_deployed(place: Layout, *, since: float) -> bool | Pending:
    """Return True once KubeVirt is deployed and its parts are ready now, not only when it was last looked at."""
    kubevirt = cluster.fetch(place, "kubevirt", "kubevirt", "-n", NAMESPACE, reason="see KubeVirt's phase")
    seen = (kubevirt or {}).get("status", {}).get("phase", "none")
    pods = cluster.fetch(place, "pods", "-n", NAMESPACE, reason="see KubeVirt's pods")["items"]
    waiting = describe_waiting(pods, since=since)
    if seen == "Deployed" and not waiting:
        return True
    return Pending(f"phase {seen}" + (f", waiting for {', '.join(waiting)}" if waiting else ""))


def describe_waiting(pods: Sequence[Mapping[str, Any]], *, since: float) -> list[str]:
    """Return the parts of KubeVirt that are not ready, each with the reason that its containers give."""
    found = set()
    for pod in pods:
        status = pod["status"]
        if status.get("phase") == "Succeeded" or _is_ready(status, since=since):
            continue
        containers = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
        reasons = {entry["state"]["waiting"].get("reason", "") for entry in containers if "waiting" in entry["state"]}
        telling = sorted(reasons - {"", "PodInitializing", "ContainerCreating"})
        name = pod["metadata"]["labels"].get("kubevirt.io", pod["metadata"]["name"])
        found.add(f"{name} ({', '.join(telling)})" if telling else name)
    return sorted(found)


def _is_ready(status: Mapping[str, Any], *, since: float) -> bool:
    """Tell whether the pod is ready with containers of this start; the API keeps what was true before the last stop."""
    running = [entry["state"].get("running") for entry in status.get("containerStatuses", ())]
    if not running or any(entry is None or cluster.seconds_of(entry["startedAt"]) < since for entry in running):
        return False
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in status.get("conditions", ()))


def _restart_pods(place: Layout) -> None:
    everything = ("delete", "pods", "--all", "-n", NAMESPACE, "--wait=false")
    cluster.kubectl(place.kubeconfig, *everything, reason="start KubeVirt with its new images")
