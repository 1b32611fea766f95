"""P7: every certificate that the stack has made or serves, by its end, with the command that renews it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from kinky import names
from kinky.errors import KinkyError
from kinky.keys.certificates import fetch_not_after, fetch_signed_at, format_time, split_certificates
from kinky.keys.material import CAS
from kinky.keys.node_credentials import CLIENT_CERTIFICATE, SERVING_CERTIFICATE
from kinky.kube import resources
from kinky.kube.objects import decode_secret
from kinky.status.observation import Observation, State, Watch
from kinky.status.probes.api import ask_server
from kinky.status.target import Target
from kinky.status.wire import Place, WireError, resolve

CAPABILITY: Final = "certificates"
SECONDS: Final = 3.0
LONG: Final = timedelta(days=60)
"""A certificate with a shorter life is made to be renewed often, so only the share of its life counts."""
WARNING: Final = (timedelta(days=30), 0.20)
CRITICAL: Final = (timedelta(days=7), 0.05)
NOT_AFTER: Final = "not_after"


def look(target: Target) -> list[Observation]:
    """Look at all certificates; each is one observation, so that the report can list them."""
    watch = Watch(CAPABILITY, "certificates")
    now = datetime.now(UTC)
    try:
        found = [*_find_cas(target), *_find_workers(target)]
    except KinkyError as error:
        return [watch.blind(error)]
    served = _find_served(target)
    found += [served] if served else []
    return [judge_life(subject, pem, command, now=now) for subject, pem, command in found]


def judge_life(subject: str, pem: bytes, command: str, *, now: datetime) -> Observation:
    """Say how much of a certificate's life is left."""
    watch = Watch(CAPABILITY, subject)
    try:
        ends, signed = fetch_not_after(pem), fetch_signed_at(pem)
    except ValueError:
        return watch.bad("not-a-certificate", f"{subject} is not a certificate", hint=command)
    left, life = ends - now, ends - signed
    facts = {NOT_AFTER: format_time(ends), "command": command}
    told = f"{subject} ends at {format_time(ends)}"
    if left <= timedelta(0):
        return watch.bad("expired", f"{subject} has expired at {format_time(ends)}", hint=command, facts=facts)
    days = f"in {left.days} days" if left.days else f"in {left.total_seconds() / 3600:.1f} h"
    if left < _find_limit(CRITICAL, life):
        return watch.bad("expires-soon", f"{told}, {days}", hint=command, facts=facts)
    if left < _find_limit(WARNING, life):
        return watch.warn("expires", f"{told}, {days}", hint=command, facts=facts)
    return watch.good(f"{told}, {days}", facts=facts)


def _find_limit(rule: tuple[timedelta, float], life: timedelta) -> timedelta:
    fixed, share = rule
    return max(fixed, life * share) if life > LONG else life * share


def _find_cas(target: Target) -> Iterator[tuple[str, bytes, str]]:
    keys: Mapping[str, bytes] = target.fetch_keys()
    command = f"kinky rotate ca --stack {target.stack}"
    for name in CAS:
        parts = split_certificates(keys[f"{name}.crt"])
        for number, part in enumerate(parts):
            yield (name if not number else f"{name} ({number + 1} of {len(parts)})"), part, command


def _find_workers(target: Target) -> Iterator[tuple[str, bytes, str]]:
    """Yield the certificates of the Secrets that the workers' VMs name, read with one call for each kind."""
    command = f"kinky rotate worker-certificates --stack {target.stack}"
    selector = names.cluster_selector(target.cluster)
    for body in target.host.fetch_all_here(resources.SECRETS, selector=f"{selector},{names.LABEL_ROLE}={names.WORKER}"):
        node = (body["metadata"].get("labels") or {}).get(names.LABEL_NODE, "")
        data = decode_secret(body)
        for file in (CLIENT_CERTIFICATE, SERVING_CERTIFICATE):
            if file in data:
                yield f"{node} {file}", data[file], command


def _find_served(target: Target) -> tuple[str, bytes, str] | None:
    """Read the certificate that the API server presents; None when it presents none that we trust."""
    host, port = target.endpoint
    name = names.endpoint_host(target.cluster)
    try:
        (address, _), *_rest = resolve(host)
        place = Place(address=address, port=port, host=name, context=target.build_context(), server_name=name)
        answer = ask_server(place, seconds=target.limit(SECONDS))
    except WireError:
        # Why it does not answer is the probe `api`'s to tell.
        return None
    command = f"kubectl delete vmi {target.planes[0].name} -n {target.host.namespace} (each boot makes a new one)"
    return "served by the API", ssl.DER_cert_to_PEM_cert(answer.certificate).encode(), command


def sort_by_end(seen: list[Observation]) -> list[Observation]:
    """Return the certificates by the end of their life, the first to end first."""
    known = [each for each in seen if each.state is not State.UNKNOWN and NOT_AFTER in each.facts]
    return sorted(known, key=lambda each: each.facts[NOT_AFTER])
