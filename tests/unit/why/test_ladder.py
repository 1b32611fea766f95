"""The ladder: one fault of each rung, and the sentence and the next step that it must give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kinky.accelerator import Accelerator
from kinky.cli.why import describe
from kinky.kube.records import VmStatus
from kinky.why.facts import OPEN, REFUSED, SILENT, ClusterFacts, NodeFacts
from kinky.why.ladder import RUNGS, explain
from tests.unit.climbs_of import at, boots
from tests.unit.why.facts_of import CLUSTER, booting, facts, kube_node, plane, pod, stages, vm, vmi

AWAY = replace(CLUSTER, inner_fault='inner cluster "dev": cannot list nodes: connection refused')
HOLE = replace(CLUSTER, gate_fault="ValidatingAdmissionPolicyBinding kinky-gate is not there")
DENIED = replace(CLUSTER, foreign_policies=("deny-all",))
NO_MEMORY = "0/1 nodes are available: 1 Insufficient memory."
NO_MODEL = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
QUOTA = 'FailedCreate: Error creating pod: pods "x" is forbidden: exceeded quota: small, requested: pods=1'
FOREIGN = "disk kinky-data holds a foreign file system labelled data"
SILENT_GUEST = {"node": kube_node(ready=False, reason="Kubelet stopped posting node status."), "ready_unknown": True}
AFTER_DISKS = ("kernel", "data-disk", "user-data")

FAULTS = {
    "image that is not there": (
        facts(vm=vm("ErrImagePull"), vmi=vmi("Scheduling"), pod=pod(waiting=("volumeroot: ErrImagePull no",))),
        CLUSTER,
        "image",
        "cannot get the node image kinky.internal/node:v1.36.3-0123",
        "kinky host up",
    ),
    "claim that cannot bind": (
        plane(
            vm=vm("WaitingForVolumeBinding"), vmi=vmi("Pending"), pod=pod(unscheduled=UNBOUND), claim_phase="Pending"
        ),
        AWAY,
        "scheduled",
        "waits for the volume of claim dev-control-plane-0-etcd, which is Pending",
        "kubectl describe pvc dev-control-plane-0-etcd -n kinky-dev",
    ),
    "cpuModel that no node has": (
        facts(vm=vm("ErrorUnschedulable"), vmi=vmi("Scheduling"), pod=pod(unscheduled=NO_MODEL), cpu_model="Z80"),
        CLUSTER,
        "scheduled",
        "no node of the host offers the processor model Z80",
        "virtualMachine.cpuModel",
    ),
    "more memory than the host has": (
        facts(vm=vm("ErrorUnschedulable"), vmi=vmi("Scheduling"), pod=pod(unscheduled=NO_MEMORY), memory="900Gi"),
        CLUSTER,
        "scheduled",
        "no node of the host has enough memory for dev-worker-0, and it wants 900Gi",
        "memoryMib",
    ),
    "a quota that is full": (
        facts(vm=vm("Starting"), vmi=vmi("Pending"), pod=None, events=(QUOTA,)),
        CLUSTER,
        "VM accepted",
        "because ResourceQuota small is full",
        "kubectl describe resourcequota small -n kinky-dev",
    ),
    "a NetworkPolicy that denies": (
        booting(*AFTER_DISKS, "network", "credentials"),
        DENIED,
        "API reachable",
        "cannot reach the API, which answers from outside; NetworkPolicy deny-all",
        "kubectl get networkpolicies -n kinky-dev",
    ),
    "S-Service deleted": (
        facts(service_address=""),
        CLUSTER,
        "S-address given",
        "the Service dev-worker-0 on the host is gone",
        "pulumi refresh",
    ),
    "the only keys deleted": (
        plane(missing_secrets=("dev-pki",)),
        CLUSTER,
        "Secrets there",
        "the Secret dev-pki of dev-control-plane-0 was deleted",
        "restore it from a copy",
    ),
    "credentials Secret deleted": (
        facts(missing_secrets=("dev-worker-0-credentials-1",)),
        CLUSTER,
        "Secrets there",
        "the Secret dev-worker-0-credentials-1 of dev-worker-0 was deleted",
        "pulumi refresh",
    ),
    "user-data Secret damaged": (
        facts(damaged_secret="dev-worker-0-user-data-1"),
        CLUSTER,
        "Secrets there",
        "holds no user-data of KinKy",
        "kubectl delete secret dev-worker-0-user-data-1 -n kinky-dev",
    ),
    "image of another Kubernetes version": (
        booting(stages=stages("kernel", "data-disk", "user-data", failed="version", text="exit status 1")),
        CLUSTER,
        "cloud-init",
        "carries another Kubernetes than the stack's v1.36.3",
        "image.reference",
    ),
    "foreign file system on the data disk": (
        booting(stages=stages("kernel", failed="data-disk", text=FOREIGN)),
        CLUSTER,
        "data disk",
        "the data disk of dev-worker-0 cannot be used: disk kinky-data holds a foreign file system",
        "kubectl delete vmi dev-worker-0 -n kinky-dev",
    ),
    "API server stopped": (
        plane(node=None, network_pod="", kubelet_port=OPEN, api_port=REFUSED, console_kept=False, stages=()),
        AWAY,
        "API reachable",
        "the API server of dev-control-plane-0 does not run",
        "kubectl delete vmi dev-control-plane-0 -n kinky-dev",
    ),
    "gate's binding deleted": (
        booting(*AFTER_DISKS, "network", "credentials", "endpoint"),
        HOLE,
        "gate",
        "the gate has a hole, so it does not register: ValidatingAdmissionPolicyBinding kinky-gate is not there",
        "kinky gate open --stack dev",
    ),
    "kubelet stopped": (
        facts(**SILENT_GUEST, kubelet_port=REFUSED),
        CLUSTER,
        "kubelet",
        "the kubelet of dev-worker-0 does not run, although its guest does",
        "kubectl delete vmi dev-worker-0",
    ),
    "flannel killed and kept away": (
        facts(node=kube_node(ready=False, reason="NetworkReady=false cni plugin not initialized"), network_pod=""),
        CLUSTER,
        "network",
        "the pod network of dev-worker-0 is not up: there is no pod of flannel on it",
        "kubectl describe daemonset flannel",
    ),
    "a frozen guest": (
        facts(**SILENT_GUEST, kubelet_port=SILENT),
        CLUSTER,
        "kubelet",
        "the guest of dev-worker-0 is frozen",
        "kubectl delete vmi dev-worker-0",
    ),
    "a paused VM": (
        facts(vm=vm("Paused")),
        CLUSTER,
        "VM accepted",
        "is paused",
        "virtctl unpause vm dev-worker-0 -n kinky-dev",
    ),
    "no VM": (facts(vm=None, vmi=None, pod=None), CLUSTER, "VM accepted", "has no VM", "kinky up --stack dev"),
    "a silent console": (
        booting(stages=()),
        CLUSTER,
        "guest kernel",
        "has not said a word",
        "kubectl delete vmi dev-worker-0",
    ),
    "no user-data": (
        booting(stages=stages("kernel", failed="user-data", text="exit status 1")),
        CLUSTER,
        "cloud-init",
        "no user-data arrived",
        "pulumi refresh",
    ),
    "another address": (
        facts(node=kube_node(internal_ip="10.0.2.2")),
        CLUSTER,
        "registered",
        "registered as 10.0.2.2, declared is 10.96.0.3",
        "kubectl delete vmi",
    ),
    "cordoned": (facts(cordoned=True), CLUSTER, "schedulable", "Ready and cordoned", "kubectl uncordon dev-worker-0"),
    "the path to a living API server": (
        plane(node=None, api_port=OPEN, kubelet_port=OPEN, console_kept=False, stages=()),
        AWAY,
        "API reachable",
        "the published path to it does not lead there",
        "kinky status --capability api --stack dev",
    ),
    "a launcher that cannot mount": (
        facts(vm=vm("Starting"), vmi=vmi("Scheduling"), events=('FailedMount: secret "x" not found',)),
        CLUSTER,
        "launcher",
        "cannot mount a volume",
        "kubectl describe pod",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_at_its_rung_with_a_next_step(name: str) -> None:
    node, cluster, rung, sentence, step = FAULTS[name]
    found = explain(node, cluster)
    assert (found.missing, found.is_up) == (rung, False)
    assert sentence in found.sentence and "\n" not in found.sentence
    assert step in found.next_step and "{" not in found.next_step
    assert found.reached == tuple(each for each, _ in RUNGS)[: len(found.reached)]


@pytest.mark.parametrize("node", [facts(), plane(node=kube_node(name="x"))], ids=["worker", "control plane"])
def test_a_node_that_is_up_stands_on_every_rung(node: NodeFacts) -> None:
    found = explain(node, CLUSTER)
    assert found.is_up and len(found.reached) == len(RUNGS) and found.sentence.endswith("takes pods")


@pytest.mark.parametrize("kept", [True, False])
def test_a_console_that_is_not_kept_proves_nothing_against_a_node_that_reports(kept: bool) -> None:
    assert explain(facts(console_kept=kept, stages=()), CLUSTER).is_up


def test_the_console_is_evidence_only_inside_the_guest() -> None:
    within = booting(stages=stages("kernel", failed="data-disk", text=FOREIGN), console_end=("the last line",))
    assert "the last line" in explain(within, CLUSTER).evidence
    outside = facts(service_address="", console_end=("the last line",))
    assert explain(outside, CLUSTER).evidence == ()


@pytest.mark.parametrize("printable", ["Stopped", "Starting", "CrashLoopBackOff", "Unknown"])
def test_whatever_the_vm_says_there_is_a_sentence(printable: str) -> None:
    state: VmStatus = vm(printable, failed_starts=2)
    found = explain(facts(vm=state, vmi=None, node=None), CLUSTER)
    assert found.missing == "launcher" and printable in found.sentence


def test_every_mixture_of_facts_gets_one_sentence() -> None:
    clusters: tuple[ClusterFacts, ...] = (CLUSTER, AWAY, HOLE)
    names = ("kernel", "data-disk", "user-data", "network", "credentials", "endpoint", "gate", "kubelet")
    for cluster in clusters:
        for length in range(len(names) + 1):
            for maker in (booting, plane):
                node = maker(stages=stages(*names[:length]), node=None)
                found = explain(node, cluster)
                assert found.sentence and found.next_step and not found.is_up


def test_a_node_that_is_stuck_is_told_so_with_the_usual_time_of_its_host() -> None:
    times = dict.fromkeys(("VM", "instance", "placed", "scheduled", "running"), "2026-12-01T06:00:00Z")
    node = booting("kernel", times=times, pod=pod(accelerator=Accelerator.CONTAINER))
    cluster = replace(CLUSTER, boots=boots(12.0))
    for seconds, word in ((20, None), (30, "slow"), (90, "stuck")):
        pace = explain(node, replace(cluster, now=at(seconds))).pace
        assert (pace and pace.word) == word
    found = explain(node, replace(cluster, now=at(90)))
    assert "    stuck: no progress to data disk for 89 s; this host usually takes 12 s" in describe([found])
    assert explain(node, cluster).pace is None and explain(facts(), cluster).pace is None
