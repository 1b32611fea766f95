"""P1: the published endpoint, each address by itself, TLS by the cluster's CA, readiness and identity."""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.errors import KinkyError
from kinky.kube.connection import UnavailableError
from kinky.status.observation import Observation, Side, State, Watch
from kinky.status.target import Target
from kinky.status.wire import Answer, Place, WireError, ask, resolve

CAPABILITY: Final = "api"
SECONDS: Final = 2.0
PATHS: Final = ("/readyz", "/livez")
LOOPBACK: Final = "127.0.0.1"
HINTS: Final = {
    "wrong-ca": "another cluster answers at this address: look at where it leads; kinky rotate status --stack {stack}",
    "wrong-name": "another server answers at this address: look at where it leads",
    "expired": "restart its control plane: kubectl delete vmi {plane} -n {namespace} on the host",
    "not-yet-valid": "compare the clocks: kinky status --capability clock --stack {stack}",
    "redirect": "something between us and the API answers: look at proxies and load balancers on the way",
    "wrong-body": "something between us and the API answers: look at proxies and load balancers on the way",
    "not-this-cluster": "kinky up --stack {stack} compares host and cluster; docs/troubleshooting.md",
}
OTHERWISE: Final = "kinky why {plane} --stack {stack}"


def look(target: Target) -> list[Observation]:
    """Look at the published endpoint from outside, at each of its addresses."""
    target.reach.heal()
    host, port = target.endpoint
    try:
        addresses = resolve(host)
    except WireError as error:
        watch = Watch(CAPABILITY, host)
        return [watch.bad(error.reason, error.detail, hint=find_hint(target, error.reason), facts=_facts(target))]
    many = len({family for _, family in addresses}) > 1
    return [_look_at(target, address, port, family if many else "") for address, family in addresses]


def look_inside(target: Target) -> list[Observation]:
    """Report what the host believes: a control plane's VM is ready when its own API server answers the host's probe."""
    seen = []
    for node in target.planes:
        watch = Watch(CAPABILITY, node.name, Side.INSIDE)
        try:
            vmi = target.host.fetch_vmi(node.name)
        except KinkyError as error:
            seen.append(watch.blind(error))
            continue
        hint = find_hint(target, "")
        if vmi is not None and vmi.ready:
            seen.append(watch.good("the host's own probe of this API server is content"))
        else:
            told = f"VM instance {vmi.phase}, not Ready" if vmi else "there is no VM instance"
            seen.append(watch.bad("not-ready", told, hint=hint.replace(target.planes[0].name, node.name)))
    return seen


def find_hint(target: Target, reason: str) -> str:
    """Return the step that helps with a reason."""
    text = HINTS.get(reason, OTHERWISE)
    return text.format(stack=target.stack, plane=target.planes[0].name, namespace=target.host.namespace)


def ask_server(place: Place, *, seconds: float) -> Answer:
    """Ask one API server whether it is ready and alive; raises WireError when it is not."""
    for path in PATHS:
        answer = ask(place, path, seconds=seconds)
        if 300 <= answer.status < 400:
            raise WireError("redirect", f"it redirects {path} instead of answering")
        if answer.status != 200:
            raise WireError("not-ready", f"{path} answers {answer.status}")
        if answer.body.strip() != b"ok":
            raise WireError("wrong-body", f"{path} answers 200 with another text than an API server's")
    return answer


def _look_at(target: Target, address: str, port: int, family: str) -> Observation:
    watch = Watch(CAPABILITY, f"{address}:{port}", family=family)
    place = Place(
        address=address,
        port=port,
        host=names.endpoint_host(target.cluster),
        context=target.build_context(),
        server_name=names.endpoint_host(target.cluster),
    )
    try:
        ask_server(place, seconds=target.limit(SECONDS))
    except WireError as error:
        hint = find_hint(target, error.reason)
        return watch.bad(error.reason, error.detail, hint=hint, facts=_facts(target))
    return _compare_identity(target, watch)


def _compare_identity(target: Target, watch: Watch) -> Observation:
    """Compare the cluster's identity: a cluster that was made again has our name and another UID."""
    try:
        uid = target.reach.inner().fetch_cluster_uid()
    except UnavailableError as error:
        return watch.bad("no-answer", error.message, hint=find_hint(target, ""), facts=_facts(target))
    except KinkyError as error:
        return watch.see(State.WARNING, "identity-unknown", f"ready, and its identity cannot be read: {error.message}")
    if target.known_uid and uid and uid != target.known_uid:
        told = f"this is not the cluster declared: its identity is {uid}, in its record stands {target.known_uid}"
        return watch.bad("not-this-cluster", told, hint=find_hint(target, "not-this-cluster"))
    return watch.good("200 for /readyz and /livez, certificate of our CA")


def _facts(target: Target) -> dict[str, str]:
    return {"path": target.path}
