"""Container guests: an admission policy gives launcher pods of some namespaces another launcher, with privileges.

KubeVirt is neither changed nor asked: it declares, schedules, probes and reports such a guest as any other. The policy
touches the pods that KubeVirt's controller makes in a namespace with the label, and of these one container.
"""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.accelerator import Accelerator
from kinky.embedded import cluster, container_trial, kubevirt, kubevirt_images, layout
from kinky.embedded.layout import Layout
from kinky.progress import note

NAME: Final = "kinky-container-guests"
API: Final = "admissionregistration.k8s.io/v1"
CONTROLLER: Final = f"system:serviceaccount:{kubevirt.NAMESPACE}:kubevirt-controller"
"""The account that makes launcher pods. Other makers of pods in the namespace get no privileges by a label."""
LAUNCHER_CONTAINER: Final = "compute"
KINDS: Final = "mutatingadmissionpolicybindings,mutatingadmissionpolicies"
LABEL_TEXT: Final = f"{names.LABEL_ACCELERATOR}={Accelerator.CONTAINER}"
OFFER_TEXT: Final = (
    f"container guests: offered to namespaces with the label {LABEL_TEXT}; "
    "a guest's root is as good as root on this machine"
)


def offer(place: Layout) -> None:
    """Offer container guests where a trial succeeds, else say why not; both can be read from the host's node."""
    obstacle = container_trial.find_obstacle(place)
    if obstacle:
        _tell_node(place, obstacle)
        remove = ("delete", KINDS, NAME, "--ignore-not-found")
        cluster.kubectl(place.kubeconfig, *remove, reason="offer no container guests")
        note(f"container guests: not offered ({obstacle})")
        return
    cluster.apply(place, [build_policy(), build_binding()], reason="offer container guests")
    _tell_node(place, names.OFFERED)
    note(OFFER_TEXT)


def fetch_offer(place: Layout) -> str:
    """Return `offered` or the reason why not, as the host's node has it; empty where nothing was decided yet."""
    node = cluster.fetch(place, "node", layout.NODE_NAME, reason="see whether container guests are offered")
    annotations = ((node or {}).get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(names.CONTAINER_GUESTS, ""))


def build_policy() -> dict[str, object]:
    """Return the policy that swaps the launcher."""
    at = '"/spec/containers/" + string(variables.at)'
    image = kubevirt_images.reference(names.CONTAINER_LAUNCHER)
    privileges = (
        "Object.spec.containers.securityContext{privileged: true, runAsUser: 0, runAsGroup: 0, runAsNonRoot: false}"
    )
    return {
        "apiVersion": API,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                ],
                "namespaceSelector": {"matchLabels": {names.LABEL_ACCELERATOR: Accelerator.CONTAINER.value}},
                "objectSelector": {"matchLabels": {"kubevirt.io": "virt-launcher"}},
            },
            "matchConditions": [
                {"name": "made-by-kubevirt", "expression": f"request.userInfo.username == '{CONTROLLER}'"},
                # Without it `at` would be -1, which a JSON patch takes for the last container.
                {
                    "name": "has-launcher",
                    "expression": f"object.spec.containers.exists(c, c.name == '{LAUNCHER_CONTAINER}')",
                },
            ],
            # A pod that stayed as it was would start QEMU, where the stack asked for something else.
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "variables": [
                {
                    "name": "at",
                    "expression": f"object.spec.containers.map(c, c.name).indexOf('{LAUNCHER_CONTAINER}')",
                }
            ],
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {
                        "expression": "[\n"
                        f'  JSONPatch{{op: "replace", path: {at} + "/image", value: "{image}"}},\n'
                        # `add` also replaces, and works for a container that has none.
                        f'  JSONPatch{{op: "add", path: {at} + "/securityContext", value: {privileges}}}\n'
                        "]"
                    },
                }
            ],
        },
    }


def build_binding() -> dict[str, object]:
    """Return the binding without which the policy does nothing."""
    return {
        "apiVersion": API,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME},
    }


def _tell_node(place: Layout, text: str) -> None:
    annotation = f"{names.CONTAINER_GUESTS}={text}"
    arguments = ("annotate", "--overwrite", "node", layout.NODE_NAME, annotation)
    cluster.kubectl(place.kubeconfig, *arguments, reason="tell whether container guests are offered")
