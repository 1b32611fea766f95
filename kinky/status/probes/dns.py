"""P3: the published name leads to the declared address, and each DNS server of the cluster knows the API's Service."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import struct
from typing import TYPE_CHECKING, Final

from kinky import names
from kinky.errors import KinkyError
from kinky.kube import resources
from kinky.kube.access import StreamTerms
from kinky.kube.objects import is_condition_true
from kinky.manifests.addons.coredns import APP
from kinky.manifests.body import app_selector
from kinky.status.dns_message import build_question, parse_addresses
from kinky.status.observation import Observation, Side, State, Watch
from kinky.status.parallel import Job, run_side_by_side
from kinky.status.target import Target
from kinky.status.wire import WireError, resolve
from kinky.topology.addresses import api_addresses

if TYPE_CHECKING:
    from kinky.kube.port_forward import PodStream

CAPABILITY: Final = "dns"
PORT: Final = 53
SECONDS: Final = 3.0
LIMIT_SECONDS: Final = 8.0


def look(target: Target) -> list[Observation]:
    """Look at the published name, if there is one, and at the DNS of the cluster."""
    return [*_look_published(target), *_look_inner(target)]


def compare(target: Target, host: str, declared: list[str]) -> Observation:
    """Compare what a published name resolves to here with the addresses that the host declares."""
    watch = Watch(CAPABILITY, host)
    try:
        found = sorted(address for address, _ in resolve(host))
    except WireError as error:
        return watch.bad(error.reason, error.detail, hint="look at the zone of this name")
    if declared and not set(found) <= set(declared):
        told = f"{host} leads to {', '.join(found)}, declared is {', '.join(sorted(declared))}"
        hint = "correct its record, or wait until the old one is no longer cached"
        return watch.bad("old-address", told, hint=hint, facts={"path": f"DNS record of {host}"})
    return watch.good(f"{host} leads to {', '.join(found)}")


def _look_published(target: Target) -> list[Observation]:
    host, _ = target.endpoint
    try:
        ipaddress.ip_address(host)
        return []
    except ValueError:
        pass
    try:
        service = target.host.fetch_here(resources.SERVICES, names.endpoint_service(target.cluster)) or {}
    except KinkyError as error:
        return [Watch(CAPABILITY, host).blind(error)]
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return [compare(target, host, [str(each["ip"]) for each in ingress if each.get("ip")])]


def _look_inner(target: Target) -> list[Observation]:
    watch = Watch(CAPABILITY, "CoreDNS")
    selector = ",".join(f"{key}={value}" for key, value in app_selector(APP).items())
    try:
        bodies = target.reach.inner().fetch_all(resources.PODS, namespace=names.NAMESPACE_SYSTEM, selector=selector)
    except KinkyError as error:
        return [watch.blind(error)]
    running = [str(body["metadata"]["name"]) for body in bodies if (body.get("status") or {}).get("phase") == "Running"]
    ready = [body for body in bodies if is_condition_true(body.get("status") or {}, "Ready")]
    hint = f"kubectl get pods -n {names.NAMESPACE_SYSTEM} -l {selector}"
    inside = Watch(CAPABILITY, "pods of CoreDNS", Side.INSIDE)
    believed = (
        inside.good(f"{len(ready)} of {len(bodies)} Ready")
        if ready and len(ready) == len(bodies)
        else inside.bad("not-ready", f"{len(ready)} of {len(bodies)} pods of CoreDNS are Ready", hint=hint)
    )
    if not running:
        return [watch.bad("no-pod", "no pod of CoreDNS runs", hint=hint), believed]
    answers = list(run_side_by_side({pod: _build_job(target, pod, hint) for pod in running}).values())
    return [_sum_up(watch, answers), believed]


def _sum_up(watch: Watch, answers: list[Observation]) -> Observation:
    """Sum up: one server that answers rightly is enough for users, and the others are missing."""
    good = [each for each in answers if each.state is State.OK]
    bad = [each for each in answers if each.state is not State.OK]
    if not good:
        return bad[0]
    return watch.warn(bad[0].reason, bad[0].detail, hint=bad[0].hint) if bad else watch.good(good[0].detail)


def _build_job(target: Target, pod: str, hint: str) -> Job[Observation]:
    watch, wanted = Watch(CAPABILITY, "CoreDNS"), str(api_addresses(target.config).primary)
    name = f"kubernetes.default.svc.{target.config.cluster.domain}"

    def work() -> Observation:
        try:
            found = asyncio.run(asyncio.wait_for(_ask(target, pod, name), target.limit(SECONDS)))
        except TimeoutError:
            return watch.bad("silent", f"{pod} has not answered in time", hint=hint)
        except ValueError as error:
            return watch.bad("wrong-body", f"{pod}: {error}", hint=hint)
        except KinkyError as error:
            return watch.bad("no-way", f"{pod}: {error.message}", hint=hint)
        if found != [wanted]:
            told = f"{pod} says that {name} is {', '.join(found) or 'not known'}, declared is {wanted}"
            return watch.bad("wrong-answer", told, hint=hint)
        return watch.good(f"{name} is {wanted}")

    return Job(
        work=work,
        limit_seconds=LIMIT_SECONDS,
        late=lambda: watch.bad("silent", f"{pod} has not answered for {LIMIT_SECONDS:g} s", hint=hint),
        failed=lambda error: watch.see(State.UNKNOWN, "failed", f"not asked: {type(error).__name__}"),
    )


async def _ask(target: Target, pod: str, name: str) -> list[str]:
    """Ask one pod over TCP, through the inner API, as `kubectl port-forward` would."""
    from kinky.kube.port_forward import PortForwarder

    terms = StreamTerms(
        server=target.server,
        headers=(("Accept", "*/*"), ("User-Agent", "kinky")),
        ssl_context=target.build_context(),
        server_name=names.endpoint_host(target.cluster),
        proxy=None,
        proxy_headers={},
    )
    number = secrets.randbelow(65536)
    question = build_question(name, number=number)
    async with PortForwarder() as forwarder:
        stream = await forwarder.dial(terms, namespace=names.NAMESPACE_SYSTEM, pod=pod, port=PORT)
        try:
            await stream.send(struct.pack("!H", len(question)) + question)
            return parse_addresses(await _receive(stream), number=number)
        finally:
            await stream.close()


async def _receive(stream: PodStream) -> bytes:
    """Receive one message, which its length precedes."""
    content = b""
    while len(content) < 2 or len(content) < 2 + struct.unpack_from("!H", content)[0]:
        part = await stream.receive()
        if not part:
            raise ValueError("it closed the connection without an answer")
        content += part
    return content[2:]
