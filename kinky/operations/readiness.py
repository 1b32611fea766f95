"""Whether a cluster is fit for an operation, before anything is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kinky import names
from kinky.errors import HostError, WaitError
from kinky.findings import Finding, Severity
from kinky.fit.rights import PORT_FORWARD_VERBS
from kinky.gate.gate import check_state, fetch_state
from kinky.gate.wall import check_wall
from kinky.kube import resources
from kinky.operations.journal import Journal
from kinky.operations.operation import Operation
from kinky.operations.site import Site

ANSWER_LIMIT_SECONDS = 30.0
"""An operation is started only on a cluster that answers; the forward may first have to come back."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The needs of an operation, besides nodes that are Ready and an open gate."""

    lasting_etcd: bool = False
    """Whether it replaces control planes, and with them the etcd of an ephemeral cluster."""
    windows: bool = False
    """Whether it asks nodes one by one, through forwards to their pods."""
    check: Callable[[], list[Finding]] = list
    """Finds the reasons against this operation alone, on a cluster that answers."""


def open_journal(site: Site, operation: Operation, needs: Needs) -> Journal:
    """Open the journal of an operation that the cluster is fit for; touches nothing.

    An operation in progress continues whatever the nodes look like: that it was cut off may be why they look so.

    Raises:
        HostError: The cluster is not fit; it tells all reasons.
    """
    if needs.lasting_etcd and site.is_ephemeral:
        raise HostError(
            f"cannot {operation}: it replaces control planes, and cluster {site.cluster} is ephemeral: its etcd would"
            " go with them; nothing was touched",
            hint="recreate the cluster: kinky destroy, then kinky up",
        )
    journal = Journal(site.host, site.cluster, operation)
    progress = journal.read()
    journal.require_alone()
    if needs.windows:
        # Also to continue: without it each wait for a proof would last until its limit.
        _require_windows(site, operation)
    if progress.excludes_others:
        return journal
    findings = [*_check_vms(site), *_check_inner(site)] or needs.check()
    if findings:
        raise HostError(
            f"cannot {operation}: cluster {site.cluster} is not fit for it; nothing was touched",
            details=[finding.sentence for finding in findings],
            hint="kinky up brings nodes back; kinky gate show reports on the gate",
        )
    return journal


def _require_windows(site: Site, operation: Operation) -> None:
    missing = [
        verb for verb in PORT_FORWARD_VERBS if not site.host.is_allowed(verb, resources.PODS, subresource="portforward")
    ]
    if missing:
        verbs = ", ".join(missing)
        raise HostError(
            f"cannot {operation}: your account is not allowed to {verbs} pods/portforward in namespace"
            f" {site.host.namespace} of the host; nothing was touched",
            hint=f"ask for that right there (verb {verbs}, resource pods/portforward), then call it again",
        )


def _check_vms(site: Site) -> list[Finding]:
    """Find the declared nodes that have no VM."""
    found = site.host.fetch_vms(names.cluster_selector(site.cluster))
    return [_find("node.vm", node, "has no VM") for node in site.nodes if node not in found]


def _check_inner(site: Site) -> list[Finding]:
    """Find what the inner API shows to be wrong: a gate that is not open on evidence, and nodes that are not Ready."""
    limit = site.scale(ANSWER_LIMIT_SECONDS)
    try:
        site.reach.ask("its API answers", lambda inner: inner.fetch_version(), limit_seconds=limit)
    except WaitError as error:
        return [_find("api.silent", "the inner API", f"does not answer: {'; '.join([error.message, *error.details])}")]
    inner = site.reach.inner()
    findings = [*check_state(fetch_state(inner)), *check_wall(inner)]
    nodes = inner.fetch_nodes()
    for name in site.nodes:
        if name not in nodes:
            findings.append(_find("node.absent", name, "is not registered"))
        elif not nodes[name].ready:
            findings.append(_find("node.not-ready", name, f"is not Ready: {nodes[name].reason}"))
    return findings


def _find(code: str, subject: str, seen: str) -> Finding:
    return Finding(code=code, severity=Severity.CRITICAL, subject=subject, seen=seen)
