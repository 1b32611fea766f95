"""The gate: no workload runs in the inner cluster before its secrets store was proved.

Three walls: the admission policy, the workers' taint, and the provider for workloads, which only the opened gate
yields. A latch and not a valve: once open, a store that fails stops nothing, and `up` never closes what is open.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from kinky import names
from kinky.errors import HostError
from kinky.findings import Finding, Severity
from kinky.forming.tables import wait_schema
from kinky.gate.proof import ProofSpec, StoreRecord, prove_store
from kinky.gate.wall import is_granted, write_wall
from kinky.keys.certificates import format_time
from kinky.kube import resources
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.inner import InnerApi
from kinky.kube.objects import is_condition_true
from kinky.kube.resources import Resource
from kinky.manifests.gate import CLOSED, OPEN, STATE_KEY, build_closed_state, build_grant
from kinky.progress import phase
from kinky.reach.reach import Reach
from kinky.retry import Pending

WALL_LIMIT_SECONDS = 120.0
"""An API server obeys a changed policy or right within a second; an emulated busy one, within some seconds."""
PROBE_NAMESPACE = "default"
CLOSED_BY_HAND = "closed by hand"
NUDGE_ANNOTATION = "kinky.dev/gate-opened-at"

OWNERS = (
    resources.REPLICA_SETS,
    resources.DAEMON_SETS,
    resources.STATEFUL_SETS,
    resources.JOBS,
    resources.REPLICATION_CONTROLLERS,
)
"""Kinds whose controllers create pods, and wait ever longer after each refusal."""


@dataclass(frozen=True, kw_only=True)
class GateState:
    """The inner cluster's own report about its gate."""

    state: str
    since: str
    reason: str
    evidence: StoreRecord | None
    """The evidence that opened the gate; None if it was never opened, or if somebody wrote `open` by hand."""

    @property
    def is_latched(self) -> bool:
        """Whether the gate was opened on evidence."""
        return self.state == OPEN and self.evidence is not None

    def get_evidence(self) -> StoreRecord:
        """Return the evidence of an open gate; raises HostError when somebody has taken it away meanwhile."""
        if self.evidence is None:
            raise HostError(f"the gate is {self.state} without evidence: {self.reason}", hint="kinky gate open")
        return self.evidence


def raise_wall(reach: Reach, *, limit_seconds: float) -> GateState:
    """Write the policy and the closed state, unless there is a state already; wait until the inner API obeys it.

    Workers register from then on. Meanwhile the API server makes its schema, which everything declared inside needs.
    """

    def write(inner: InnerApi) -> GateState:
        write_wall(inner)
        return fetch_state(inner)

    with phase(f"the gate of {reach.cluster} stands", limit_seconds=limit_seconds) as running:
        state = reach.ask("the gate is written", write, limit_seconds=limit_seconds, on_change=running.note)
        wait_obeyed(reach, state.state, limit_seconds=limit_seconds)
        wait_schema(reach, limit_seconds=limit_seconds)
    return state


def open_gate(reach: Reach, proof: ProofSpec, *, limit_seconds: float, by_hand: bool = False) -> GateState:
    """Open the gate on fresh evidence, free the workers, and have denied pods tried again.

    A gate that is open stays open without new evidence: workers that came later are freed.

    Args:
        by_hand: The admin wants evidence of now, and may open what was closed by hand.
    """
    state = fetch_state(reach.inner())
    if by_hand or not state.is_latched:
        if state.reason == CLOSED_BY_HAND and not by_hand:
            raise HostError(
                f'inner cluster "{reach.cluster}": the gate was closed by hand at {state.since}',
                details=["pulumi up does not open what somebody closed"],
                hint="kinky gate open proves the secrets store and opens it",
            )
        evidence = prove_store(reach, proof, limit_seconds=limit_seconds)
        inner = reach.inner()
        write_wall(inner)
        _write_record(inner, OPEN, reason="the secrets store is proved", evidence=evidence)
        inner.apply(resources.ROLE_BINDINGS, build_grant(), namespace=names.NAMESPACE_KINKY)
    wait_obeyed(reach, OPEN, limit_seconds=WALL_LIMIT_SECONDS)
    reach.ask(
        f"workers lose taint {names.GATE_TAINT}",
        _free_workers,
        limit_seconds=WALL_LIMIT_SECONDS,
        every_seconds=1.0,
        hint="kubectl describe nodes; pulumi up tries again",
    )
    inner = reach.inner()
    _nudge_owners(inner)
    return fetch_state(inner)


def close_gate(reach: Reach) -> GateState:
    """Close the gate by hand: no pod is created or bound from now on; what runs goes on."""
    inner = reach.inner()
    evidence = fetch_state(inner).evidence
    write_wall(inner)
    # The record first: an `up` after a kill in between must not open what somebody was closing.
    _write_record(inner, CLOSED, reason=CLOSED_BY_HAND, evidence=evidence)
    inner.delete(resources.ROLE_BINDINGS, names.GATE, namespace=names.NAMESPACE_KINKY)
    wait_obeyed(reach, CLOSED, limit_seconds=WALL_LIMIT_SECONDS)
    return fetch_state(inner)


def fetch_state(inner: InnerApi) -> GateState:
    """Fetch the state: open is what has the right to be, whatever the record says; the record tells why."""
    granted = is_granted(inner)
    state = OPEN if granted else CLOSED
    body = inner.fetch(resources.CONFIG_MAPS, names.GATE, namespace=names.NAMESPACE_KINKY)
    if body is None:
        missing = f"ConfigMap {names.NAMESPACE_KINKY}/{names.GATE} is not there"
        return GateState(state=state, since="", reason=missing, evidence=None)
    data = body.get("data") or {}
    agrees = data.get(STATE_KEY) == state
    return GateState(
        state=state,
        since=str(data.get("since") or body["metadata"].get("creationTimestamp", "")),
        reason=str(data.get("reason", "")) if agrees else f"the record says {data.get(STATE_KEY)}",
        # A gate that was closed and then opened past kinky has no evidence.
        evidence=_parse_evidence(str(data.get("evidence", ""))) if agrees or not granted else None,
    )


def check_state(state: GateState) -> list[Finding]:
    """Find why a gate is not open on evidence; a gate that an admin has closed is only a warning."""
    if state.is_latched:
        return []
    if state.state == OPEN:
        code, seen = "gate.without-evidence", "was opened without evidence"
    else:
        code, seen = "gate.closed", f"is closed: {state.reason}"
    by_hand = state.state == CLOSED and state.reason == CLOSED_BY_HAND
    return [
        Finding(
            code=code,
            severity=Severity.WARNING if by_hand else Severity.CRITICAL,
            subject="the gate",
            seen=seen,
            hint="kinky gate open proves the secrets store and opens it",
        )
    ]


def fetch_tainted(inner: InnerApi) -> list[str]:
    """Return the names of the nodes that still have the gate's taint."""
    return sorted(str(node["metadata"]["name"]) for node in inner.fetch_all(resources.NODES) if _is_tainted(node))


def wait_obeyed(reach: Reach, state: str, *, limit_seconds: float) -> None:
    """Wait until the API server that answers refuses pods, or does not: it learns of a change a moment later."""

    def check(inner: InnerApi) -> bool | Pending:
        status, message = inner.probe_binding(PROBE_NAMESPACE, names.GATE)
        refused = f"'{names.GATE}'" in message and "denied request" in message
        return True if refused == (state != OPEN) else Pending(f"a dry run was answered with {status}: {message}")

    reach.ask(
        f"the inner API obeys the gate, which is {state}",
        check,
        limit_seconds=limit_seconds,
        every_seconds=1.0,
        hint=f"kubectl get validatingadmissionpolicy {names.GATE} -o yaml shows what the API server makes of it",
    )


def is_lacking(body: JsonObject) -> bool:
    """Tell whether an owner of pods has fewer than it wants, so that a refusal may be the cause."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    if "replicas" in spec:
        return int(status.get("replicas") or 0) < int(spec["replicas"] or 0)
    if "desiredNumberScheduled" in status:
        return int(status.get("currentNumberScheduled") or 0) < int(status["desiredNumberScheduled"])
    over = is_condition_true(status, "Complete") or is_condition_true(status, "Failed")
    return not over and not spec.get("suspend") and not status.get("active")


def _write_record(inner: InnerApi, state: str, *, reason: str, evidence: StoreRecord | None) -> None:
    """Write the state with its time and what it was set on."""
    body = build_closed_state()
    body["data"] = {STATE_KEY: state, "since": format_time(datetime.now(UTC)), "reason": reason}
    if evidence is not None:
        body["data"]["evidence"] = json.dumps(asdict(evidence))
    inner.put(resources.CONFIG_MAPS, body, namespace=names.NAMESPACE_KINKY)


def _parse_evidence(text: str) -> StoreRecord | None:
    """Parse recorded evidence; anything that is not a record is left out."""
    try:
        return StoreRecord.parse(json.loads(text))
    except (KeyError, TypeError, ValueError):
        return None


def _free_workers(inner: InnerApi) -> bool | Pending:
    """Take the gate's taint off every node; a node whose taints change meanwhile is looked at again."""
    left = [
        str(node["metadata"]["name"])
        for node in inner.fetch_all(resources.NODES)
        if _is_tainted(node) and not _free(inner, node)
    ]
    return Pending(f"taints of {', '.join(left)} have changed meanwhile") if left else True


def _free(inner: InnerApi, node: JsonObject) -> bool:
    taints = node["spec"]["taints"]
    kept = [taint for taint in taints if taint.get("key") != names.GATE_TAINT]
    operations = [
        {"op": "test", "path": "/spec/taints", "value": taints},
        {"op": "replace", "path": "/spec/taints", "value": kept},
    ]
    return inner.patch_json(resources.NODES, str(node["metadata"]["name"]), operations)


def _is_tainted(node: JsonObject) -> bool:
    taints: Sequence[JsonObject] = (node.get("spec") or {}).get("taints") or []
    return any(taint.get("key") == names.GATE_TAINT for taint in taints)


def _nudge_owners(inner: InnerApi) -> None:
    """Change owners that lack pods: their controllers look again at once, whatever their back-off."""
    stamp = {"metadata": {"annotations": {NUDGE_ANNOTATION: format_time(datetime.now(UTC))}}}
    for kind in OWNERS:
        for body in inner.fetch_all(kind):
            namespace = str(body["metadata"]["namespace"])
            if namespace not in names.NAMESPACES_OF_OURS and is_lacking(body):
                _nudge(inner, kind, str(body["metadata"]["name"]), namespace, stamp)


def _nudge(inner: InnerApi, kind: Resource, name: str, namespace: str, stamp: JsonObject) -> None:
    try:
        inner.patch(kind, name, stamp, namespace=namespace)
    except ApiError as error:
        # It may be gone since the list; then nobody waits for its pods.
        if error.status != 404:
            raise
