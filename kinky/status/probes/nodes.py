"""P10: each node through its own address: what its kubelet presents from outside, beside what the Node object says."""

from __future__ import annotations

from typing import Final

from kinky.errors import KinkyError
from kinky.kube.records import NodeStatus
from kinky.manifests.services import KUBELET_PORT
from kinky.status.observation import Observation, Side, State, Watch
from kinky.status.parallel import Job, run_side_by_side
from kinky.status.probes.api import LOOPBACK
from kinky.status.target import Target
from kinky.status.wire import Place, WireError, ask

CAPABILITY: Final = "nodes"
SECONDS: Final = 3.0
LIMIT_SECONDS: Final = 8.0


def look(target: Target) -> list[Observation]:
    """Ask the kubelets of all nodes side by side."""
    return list(run_side_by_side({node.name: _build_job(target, node.name) for node in target.nodes}).values())


def look_inside(target: Target) -> list[Observation]:
    """Report the Node objects; an address other than the declared one is a fault that users meet, whatever they say."""
    inside = Watch(CAPABILITY, "Node objects", Side.INSIDE)
    try:
        found = target.reach.inner().fetch_nodes()
    except KinkyError as error:
        return [inside.blind(error)]
    seen = [_describe_inside(target, node.name, found.get(node.name)) for node in target.nodes]
    try:
        addresses = target.fetch_addresses()
    except KinkyError as error:
        return [*seen, inside.blind(error)]
    wrong = [_compare_address(target, name, addresses.get(name, ""), node) for name, node in sorted(found.items())]
    return [*seen, *(each for each in wrong if each is not None)]


def _describe_inside(target: Target, name: str, node: NodeStatus | None) -> Observation:
    watch, hint = Watch(CAPABILITY, name, Side.INSIDE), f"kinky why {name} --stack {target.stack}"
    if node is None:
        return watch.bad("not-registered", f"{name} is not registered", hint=hint)
    return watch.good(f"{name} is Ready") if node.ready else watch.bad("not-ready", f"{name}: {node.reason}", hint=hint)


def _compare_address(target: Target, name: str, declared: str, node: NodeStatus) -> Observation | None:
    """Compare the Node's InternalIP with the declared address; None when they agree or nothing is declared."""
    if name not in {each.name for each in target.nodes} or node.internal_ip == declared:
        return None
    told = f"{name} reports InternalIP {node.internal_ip or 'none'}, declared is {declared or 'none: no Service'}"
    return Watch(CAPABILITY, name).bad("wrong-address", told, hint=f"kinky why {name} --stack {target.stack}")


def _build_job(target: Target, node: str) -> Job[Observation]:
    watch, hint = Watch(CAPABILITY, node), f"kinky why {node} --stack {target.stack}"

    def work() -> Observation:
        try:
            with target.open_port(node, KUBELET_PORT) as port:
                place = Place(address=LOOPBACK, port=port, host=node, context=target.build_context(), server_name=node)
                # Whatever it answers: a verified certificate of this node's kubelet is the proof.
                ask(place, "/healthz", seconds=target.limit(SECONDS))
        except WireError as error:
            return watch.bad(error.reason, f"the kubelet of {node}: {error.detail}", hint=hint)
        except KinkyError as error:
            return watch.unreached(error, hint=hint)
        return watch.good(f"the kubelet of {node} answers with its own certificate")

    return Job(
        work=work,
        limit_seconds=LIMIT_SECONDS,
        late=lambda: watch.bad("silent", f"the kubelet of {node} has not answered for {LIMIT_SECONDS:g} s", hint=hint),
        failed=lambda error: watch.see(State.UNKNOWN, "failed", f"not asked: {type(error).__name__}"),
    )
