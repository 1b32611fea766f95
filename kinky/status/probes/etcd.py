"""P8: etcd's members, its leader, its spare, its alarms, and how full its database is.

Each member is asked over its client port with a certificate of etcd's own CA, which lives for minutes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from kinky.errors import KinkyError
from kinky.keys.certificates import LeafRequest, Pair, make_leaf
from kinky.kube.tls import build_context
from kinky.manifests.services import ETCD_CLIENT_PORT
from kinky.status.observation import Observation, State, Watch, is_blind
from kinky.status.parallel import Job, run_side_by_side
from kinky.status.probes.api import LOOPBACK
from kinky.status.target import Target
from kinky.status.wire import Place, WireError, ask

CAPABILITY: Final = "etcd"
SECONDS: Final = 3.0
LIMIT_SECONDS: Final = 8.0
CERTIFICATE_LIFE: Final = timedelta(minutes=10)
QUOTA_BYTES: Final = 2 * 1024**3
"""etcd's default, for a member that does not tell its own."""
FULL_WARNING: Final = 0.8
FULL_CRITICAL: Final = 0.95


@dataclass(frozen=True, kw_only=True)
class Member:
    """The answer of one member; `fault` is the reason for a missing answer."""

    node: str
    fault: str = ""
    leader: str = ""
    members: int = 0
    alarms: tuple[str, ...] = ()
    filled: float = 0.0
    """Part of the quota that the database takes."""
    blind: bool = False
    """Whether it was the prober that had no way."""


def look(target: Target) -> list[Observation]:
    """Ask all members side by side."""
    watch = Watch(CAPABILITY, f"{len(target.planes)} members")
    try:
        keys = target.fetch_keys()
    except KinkyError as error:
        return [watch.blind(error)]
    ca = Pair(keys["etcd-ca.crt"], keys["etcd-ca.key"])
    leaf = make_leaf(ca, LeafRequest(common_name="kinky:status", life=CERTIFICATE_LIFE))
    jobs = {node.name: _build_job(target, node.name, ca.certificate, leaf) for node in target.planes}
    return [judge_members(list(run_side_by_side(jobs).values()), watch, stack=target.stack)]


def judge_members(members: list[Member], watch: Watch, *, stack: str) -> Observation:
    """Say what the members' answers amount to."""
    if all(member.blind for member in members):
        return watch.see(State.UNKNOWN, "no-way", members[0].fault)
    alive = [member for member in members if not member.fault]
    dead = "; ".join(f"{member.node}: {member.fault}" for member in members if member.fault)
    hint = next((f"kinky why {member.node} --stack {stack}" for member in members if member.fault), "")
    told = f"{len(alive)} of {len(members)} members answer"
    if len(alive) <= len(members) // 2:
        return watch.bad("no-quorum", f"{told}, a quorum is {len(members) // 2 + 1}: {dead}", hint=hint)
    if not any(member.leader for member in alive):
        return watch.bad("no-leader", f"{told}, and none knows a leader", hint=hint)
    alarms = sorted({alarm for member in alive for alarm in member.alarms})
    filled = max(member.filled for member in alive)
    full = f"the database takes {filled:.0%} of its quota"
    if alarms or filled >= FULL_CRITICAL:
        reason = f"alarm {', '.join(alarms)}" if alarms else full
        return watch.bad("alarm", reason, hint="delete what fills it, then defragment: docs/status.md, etcd")
    if dead:
        return watch.warn("no-spare", f"{told}, so the next failure stops all writes: {dead}", hint=hint)
    if filled >= FULL_WARNING:
        return watch.warn("full", full, hint="kubectl get events,jobs -A shows the largest parts")
    known = max(member.members for member in alive)
    if known != len(members):
        return watch.warn("members", f"{told}, but {known} are registered", hint=f"kinky up --stack {stack}")
    return watch.good(f"{told}, with a leader; {full}")


def parse_member(node: str, status: Mapping[str, Any], members: Mapping[str, Any], alarms: Mapping[str, Any]) -> Member:
    """Parse the three answers of a member; int64 is text in etcd's JSON."""
    quota = int(status.get("dbSizeQuota") or 0) or QUOTA_BYTES
    leader = str(status.get("leader") or "0")
    return Member(
        node=node,
        leader="" if leader == "0" else leader,
        members=len(members.get("members") or []),
        alarms=tuple(str(each.get("alarm", "")) for each in alarms.get("alarms") or []),
        filled=int(status.get("dbSize") or 0) / quota,
    )


def _build_job(target: Target, node: str, ca: bytes, leaf: Pair) -> Job[Member]:
    def work() -> Member:
        try:
            with target.open_port(node, ETCD_CLIENT_PORT) as port:
                place = Place(
                    address=LOOPBACK,
                    port=port,
                    host=LOOPBACK,
                    context=build_context(ca, leaf.certificate, leaf.key),
                    server_name=LOOPBACK,
                )
                answers = [
                    _post(place, path, body, seconds=target.limit(SECONDS))
                    for path, body in (
                        ("/v3/maintenance/status", b"{}"),
                        ("/v3/cluster/member/list", b"{}"),
                        ("/v3/maintenance/alarm", b'{"action": "GET"}'),
                    )
                ]
        except WireError as error:
            return Member(node=node, fault=error.detail)
        except KinkyError as error:
            return Member(node=node, fault=error.message, blind=is_blind(error))
        return parse_member(node, *answers)

    return Job(
        work=work,
        limit_seconds=LIMIT_SECONDS,
        late=lambda: Member(node=node, fault=f"no answer for {LIMIT_SECONDS:g} s"),
        failed=lambda error: Member(node=node, fault=f"not asked: {type(error).__name__}", blind=True),
    )


def _post(place: Place, path: str, body: bytes, *, seconds: float) -> dict[str, Any]:
    answer = ask(place, path, seconds=seconds, method="POST", body=body)
    try:
        parsed = json.loads(answer.body)
    except ValueError:
        parsed = None
    if answer.status != 200 or not isinstance(parsed, dict):
        raise WireError("wrong-body", f"{path} answers {answer.status}")
    return parsed
