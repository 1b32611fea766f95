"""P2: the published workload answers a fresh question through its published path.

Each look sends a new random challenge. The workload answers with its HMAC by the secret that it read from the store. So
a default page, a cached answer or a replayed one is never right, and no value of the store is shown.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, Final

from kinky import names
from kinky.errors import KinkyError
from kinky.kube import resources
from kinky.manifests.store_values import WORKLOAD_KEY, WORKLOAD_VALUE
from kinky.manifests.workload import APP
from kinky.status.observation import Observation, Side, State, Watch
from kinky.status.probes.api import LOOPBACK
from kinky.status.target import Target
from kinky.status.wire import Place, WireError, ask

CAPABILITY: Final = "service"
SECONDS: Final = 3.0
NODES: Final = 2
"""Nodes whose NodePort is asked: the second one only if the first does not serve."""
STALE: Final = "it answers with proof of another question: a copy, or a secret that is not the store's"


def look(target: Target) -> list[Observation]:
    """Ask the workload from outside; nothing when the stack has no workload."""
    return [_look_outside(target)] if target.config.workload.enabled else []


def look_inside(target: Target) -> list[Observation]:
    """Report how many endpoints the inside believes to be ready."""
    return [_look_inside(target)] if target.config.workload.enabled else []


def build_proof(secret: bytes, challenge: str) -> str:
    """Build the answer that the workload must give to a challenge."""
    return hmac.new(secret, challenge.encode(), hashlib.sha256).hexdigest()


def check_answer(body: bytes, *, status: int, proof: str) -> tuple[str, str]:
    """Return why a page is not the workload's answer to this question, as code and words; empty when it is."""
    if 300 <= status < 400:
        return "redirect", "it redirects instead of answering"
    if status != 200:
        return "status", f"it answers {status}"
    said = dict(line.partition("=")[::2] for line in body.decode(errors="replace").split("\n"))
    if "proof" not in said:
        return "wrong-body", "it answers 200 with another page than the workload's"
    return ("", "") if hmac.compare_digest(said["proof"], proof) else ("stale", STALE)


def _look_outside(target: Target) -> Observation:
    """Ask through the NodePort of one node, and of a second one if the first does not answer rightly."""
    watch = Watch(CAPABILITY, f"{names.NAMESPACE_WORKLOAD}/{APP}")
    try:
        secret = (target.store.read(WORKLOAD_VALUE) or {}).get(WORKLOAD_KEY) if target.store else None
    except KinkyError as error:
        return watch.blind(error)
    if secret is None:
        told = f"the store has no value {WORKLOAD_VALUE} to compare with"
        return watch.see(State.UNKNOWN, "no-value", told, hint=f"kinky up --stack {target.stack}")
    failed: list[Observation] = []
    for node in (target.workers or target.planes)[:NODES]:
        seen = _ask_through(target, watch, node.name, secret)
        if seen.state is not State.BAD:
            return seen if not failed else watch.warn(failed[0].reason, failed[0].detail, hint=failed[0].hint)
        failed.append(seen)
    return failed[0]


def _ask_through(target: Target, watch: Watch, node: str, secret: bytes) -> Observation:
    port = target.config.workload.node_port
    more: dict[str, Any] = {
        "hint": f"kinky why {node} --stack {target.stack}",
        "facts": {"path": f"API of the host, launcher pod of {node}, NodePort {port}, pod network"},
    }
    challenge = secrets.token_hex(16)
    try:
        with target.open_port(node, port) as local:
            place = Place(address=LOOPBACK, port=local, host=APP)
            answer = ask(place, f"/?challenge={challenge}", seconds=target.limit(SECONDS))
    except WireError as error:
        return watch.bad(error.reason, f"NodePort {port} of {node}: {error.detail}", **more)
    except KinkyError as error:
        return watch.unreached(error, **more)
    reason, told = check_answer(answer.body, status=answer.status, proof=build_proof(secret, challenge))
    if reason:
        return watch.bad(reason, f"NodePort {port} of {node}: {told}", **more)
    return watch.good("answers with proof of this look's question")


def _look_inside(target: Target) -> Observation:
    watch = Watch(CAPABILITY, "EndpointSlices", Side.INSIDE)
    try:
        slices = target.reach.inner().fetch_all(
            resources.ENDPOINT_SLICES,
            namespace=names.NAMESPACE_WORKLOAD,
            selector=f"kubernetes.io/service-name={APP}",
        )
    except KinkyError as error:
        return watch.blind(error)
    endpoints = [each for body in slices for each in body.get("endpoints") or []]
    ready = [each for each in endpoints if (each.get("conditions") or {}).get("ready")]
    if not ready:
        return watch.bad("no-endpoints", "no endpoint is ready", hint=f"kubectl get pods -n {names.NAMESPACE_WORKLOAD}")
    if len(ready) < len(endpoints):
        return watch.warn("few-endpoints", f"{len(ready)} of {len(endpoints)} endpoints are ready")
    return watch.good(f"{len(ready)} of {len(endpoints)} endpoints are ready")
