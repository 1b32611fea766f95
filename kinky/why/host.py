"""The rungs on the host: from the declaration to a running launcher."""

from __future__ import annotations

import re
from typing import Final

from kinky import names
from kinky.forming.vm_states import describe_state
from kinky.why.facts import ClusterFacts, NodeFacts
from kinky.why.step import REMAKE, Step

PULLING: Final = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
UP: Final = "kinky up --stack {stack}"
DELETE: Final = "kubectl delete vmi {node} -n {namespace} on the host"
RESTART: Final = f", then {DELETE}"
"""An instance keeps its first declaration, also while it waits for a node of the host."""
LOST_KEYS: Final = "restore it from a copy: it holds the cluster's only keys; without one kinky destroy --stack {stack}"
_NO_ROOM: Final = re.compile(r"Insufficient ([\w./-]*\w)")
_UNBOUND: Final = re.compile(
    r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim .* not found", re.IGNORECASE
)
_SELECTOR: Final = re.compile(r"node affinity/selector|didn't match.*(affinity|selector)", re.IGNORECASE)
_QUOTA: Final = re.compile(r"exceeded quota: ([\w.-]+)")


def check_declared(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The stack declares the node."""
    if node.declared:
        return None
    return Step(f"{node.name} is not declared by stack {cluster.stack}", "kinky why --stack {stack} lists its nodes")


def check_accepted(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The host has a VM of it and could make its instance."""
    if node.vm is None:
        return Step(f"{node.name} has no VM in namespace {cluster.namespace}", UP)
    told = [node.vm.failure, *(node.vmi.conditions if node.vmi else ()), *node.events]
    for text in told:
        quota = _QUOTA.search(text)
        if quota and not (node.vmi and node.vmi.phase == "Running"):
            return Step(
                f"the host refuses to start {node.name}, because ResourceQuota {quota[1]} is full",
                f"kubectl describe resourcequota {quota[1]} -n {{namespace}} on the host; raise it or free room",
                (text,),
            )
    if node.vm.printable == "Paused":
        return Step(
            f"the VM of {node.name} is paused, so its guest stands still", "virtctl unpause vm {node} -n {namespace}"
        )
    if node.vm.failure:
        return Step(
            f"KubeVirt cannot make the instance of {node.name}: {node.vm.failure}",
            "kubectl describe vm {node} -n {namespace}",
        )
    return None


def check_address(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The Service that gives the node its permanent address is there."""
    if node.service_address:
        return None
    sentence = f"the Service {node.name} on the host is gone, so nothing leads to the address of {node.name}"
    return Step(sentence, f"{REMAKE}; it waits for the node, which gets its new address by {DELETE}")


def check_secrets(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The Secrets that the VM boots from are there and whole."""
    if node.missing_secrets:
        gone = " and ".join(node.missing_secrets)
        return Step(
            f"the Secret {gone} of {node.name} was deleted from the host, so its next boot finds no credentials",
            LOST_KEYS if names.pki_secret(cluster.cluster) in node.missing_secrets else REMAKE + RESTART,
        )
    if node.damaged_secret:
        return Step(
            f"the Secret {node.damaged_secret} of {node.name} holds no user-data of KinKy: it was changed by hand",
            f"kubectl delete secret {node.damaged_secret} -n {{namespace}}; " + REMAKE + RESTART,
        )
    return None


def check_scheduled(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The launcher pod has a node of the host, and its claim a volume."""
    reason = node.pod.unscheduled if node.pod else ""
    waits = node.vm is not None and node.vm.printable in ("WaitingForVolumeBinding", "ErrorPvcNotFound")
    if waits or _UNBOUND.search(reason):
        return Step(
            f"{node.name} waits for the volume of claim {node.claim}, which is {node.claim_phase or 'not there'}",
            f"kubectl describe pvc {node.claim} -n {{namespace}}; for another class kinky destroy --stack {{stack}},"
            " then set controlPlane.etcdStorageClass",
            tuple(filter(None, (reason, *node.events))),
        )
    if not reason:
        return None
    room = _NO_ROOM.search(reason)
    if room:
        wanted = f", and it wants {node.memory}" if room[1] == "memory" and node.memory else ""
        return Step(
            f"no node of the host has enough {room[1]} for {node.name}{wanted}",
            "free or add room on the host; or lower memoryMib or cores in the stack file, then " + UP + RESTART,
            (reason,),
        )
    if node.cpu_model and _SELECTOR.search(reason):
        return Step(
            f"no node of the host offers the processor model {node.cpu_model} that {node.name} asks for",
            "set virtualMachine.cpuModel to null or to a model of the host, then " + UP + RESTART,
            (reason,),
        )
    return Step(
        f"the host's scheduler finds no node for {node.name}",
        "kubectl describe pod -l kinky.dev/node={node} -n {namespace}",
        (reason,),
    )


def check_image(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The node image is on the host's node."""
    waiting = [text for text in (node.pod.waiting if node.pod else ()) if any(word in text for word in PULLING)]
    if not waiting and not (node.vm and node.vm.printable in PULLING):
        return None
    return Step(
        f"the host cannot get the node image {node.image} for {node.name}",
        "kinky host up loads it on the embedded host; elsewhere push it to image.reference: kinky image list",
        tuple(waiting) or node.events,
    )


def check_launcher(node: NodeFacts, cluster: ClusterFacts) -> Step | None:
    """The VM's instance runs."""
    if node.vmi is not None and node.vmi.phase == "Running":
        return None
    state = describe_state(node.vm) if node.vm else "no VM"
    evidence = (*(node.pod.waiting if node.pod else ()), *(node.vmi.conditions if node.vmi else ()), *node.events)
    if node.vmi is None:
        return Step(
            f"{node.name} has no running instance: its VM is {state}",
            "kubectl describe vm {node} -n {namespace}",
            evidence,
        )
    phase = node.vmi.phase
    mount = next((text for text in node.events if text.startswith("FailedMount")), "")
    if mount:
        return Step(
            f"the launcher of {node.name} cannot mount a volume",
            "kubectl describe pod -l kinky.dev/node={node} -n {namespace}",
            (mount,),
        )
    return Step(
        f"the instance of {node.name} is {phase}, and its VM is {state}",
        "kubectl describe vmi {node} -n {namespace}",
        evidence,
    )
