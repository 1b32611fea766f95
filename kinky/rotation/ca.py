"""The CAs of cluster, front proxy and etcd: trusted first, then signing; the old ones go last.

At every moment each node, pod and admin trusts whatever the others present, also while it boots. So the new ones are
trusted everywhere before one of them signs, and the old ones until nothing presents what they signed. Workers need two
rounds and not three. Certificates of the new CA are good as soon as all API servers trust it, so workers get them
together with the trust.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from kinky.findings import Finding, Severity
from kinky.keys.cas import (
    Files,
    add_next,
    forget_former,
    get_ca,
    get_next,
    keep_signing,
    sign_with_next,
)
from kinky.keys.certificates import Pair, build_fingerprint, fetch_signed_at, split_certificates
from kinky.keys.material import CAS, fetch_key_files, replace_key_files
from kinky.keys.node_credentials import ensure_node_ca, fetch_credentials_name
from kinky.kube import resources
from kinky.kube.inner import InnerApi
from kinky.names import FINGERPRINT_LENGTH, NAMESPACE_SYSTEM, pki_secret
from kinky.operations.journal import Journal
from kinky.operations.plan import SubStep
from kinky.operations.renewal import build_renewals
from kinky.operations.replacement import LOOK_LIMIT_SECONDS, Proof, build_replacements
from kinky.ownership.record import note_ca_bundle
from kinky.progress import Phase
from kinky.retry import Pending
from kinky.rotation.ca_proof import (
    check_node,
    check_refuses_former,
    check_signs,
    check_trusts_next,
)
from kinky.rotation.item import Item, KeyState
from kinky.rotation.published_cas import PUBLISH_LIMIT_SECONDS, wait_published
from kinky.rotation.site import KeySite

ALONE_LIMIT_SECONDS = 600.0
"""Nothing is waited for but answers; each node is asked through a forward of its own."""
SIGNING_FILE = "ca-issuer.crt"
"""Where a guest puts the one certificate that its controller-manager signs with (role-control-plane)."""


def build_steps(site: KeySite, journal: Journal) -> list[SubStep]:
    """Build the sub-steps; each change of the trust or of the signing one is followed by a round of replacements."""

    def planes(round_name: str, title: str, check: Callable[[KeySite, InnerApi], str | Pending]) -> list[SubStep]:
        nodes = site.control_planes
        proof = Proof(title="has the new keys", ask=partial(check, site))
        return build_replacements(site, journal, nodes, round_name=round_name, title=title, proof=proof)

    return [
        SubStep(
            name="add",
            title="new CAs are on the host, trusted beside the old",
            run=lambda _: _change(site, lambda files: add_next(files, site.cluster)),
        ),
        *planes("trusted", "it trusts both, the old ones sign", check_trusts_next),
        *_build_published(site, journal, "told", "both CAs"),
        *_build_workers(site, journal, "sign", "its certificates are of the new CA, it trusts both", get_next),
        SubStep(
            name="issue",
            title="the new CAs sign, also for the admin",
            run=lambda _: _issue(site),
        ),
        *planes("signing", "it has certificates of the new CAs", check_signs),
        SubStep(
            name="alone",
            title="no node presents a certificate of an old CA",
            run=lambda running: _prove_alone(site, running),
            limit_seconds=site.scale(ALONE_LIMIT_SECONDS),
        ),
        SubStep(
            name="drop",
            title="the old CAs are dropped from the host",
            run=lambda _: _change(site, keep_signing),
        ),
        *planes("dropped", "it trusts the new CAs alone", check_refuses_former),
        *_build_published(site, journal, "told-alone", "the new CAs alone"),
        *_build_workers(site, journal, "trust", "it trusts the new CA alone", get_ca),
        SubStep(
            name="forget",
            title="the client of the old CA, made for the proof, is gone",
            run=lambda _: _change(site, forget_former),
        ),
    ]


def check(site: KeySite) -> list[Finding]:
    """Find controller-managers that would end: those of a node image that is older than this rotation."""
    inner = site.reach.inner()
    findings = []
    for node in site.control_planes:
        name = f"kube-controller-manager-{node}"
        pod = inner.fetch(resources.PODS, name, namespace=NAMESPACE_SYSTEM) or {}
        containers = (pod.get("spec") or {}).get("containers") or []
        arguments = [argument for container in containers for argument in container.get("command") or []]
        if not any(argument.endswith(f"/{SIGNING_FILE}") for argument in arguments):
            findings.append(
                Finding(
                    code="node.image",
                    severity=Severity.CRITICAL,
                    subject=f"the controller-manager of {node}",
                    seen=f"does not sign with {SIGNING_FILE}: the node image is older than this rotation; build it"
                    " again (kinky image build) and kinky up",
                )
            )
    return findings


def _build_published(site: KeySite, journal: Journal, name: str, what: str) -> list[SubStep]:
    """Build the sub-steps after which every pod of the control planes has started with these CAs.

    Those of the workers start with them because their nodes are replaced afterwards.
    """
    return [
        SubStep(
            name=name,
            title=f"pods are told {what}",
            run=lambda running: wait_published(site, running),
            limit_seconds=site.scale(PUBLISH_LIMIT_SECONDS),
        ),
        *build_renewals(site, journal, site.control_planes, round_name=name, what=what),
    ]


def _build_workers(
    site: KeySite, journal: Journal, name: str, title: str, choose: Callable[[Files], Pair]
) -> list[SubStep]:
    """Build the sub-steps by which each worker boots with the certificates and the trust that are chosen for it."""
    steps: list[SubStep] = []
    for worker in site.workers:
        steps.append(
            SubStep(
                name=f"{name}/{worker}",
                title=f"what {worker} boots with is on the host",
                run=partial(_give, site, worker, choose),
            )
        )
        steps += build_replacements(site, journal, [worker], round_name=f"{name}-boot", title=title)
    return steps


def _give(site: KeySite, worker: str, choose: Callable[[Files], Pair], _running: Phase) -> str:
    """Have a worker's Secret hold the chosen CA's certificates and trust; those that it has it keeps."""
    ca = choose(fetch_key_files(site.host, site.cluster))
    secret = fetch_credentials_name(site.host, worker)
    ensure_node_ca(site.host, site.cluster, worker, secret_name=secret, ca=ca)
    first, *others = _list_short(ca.certificate)
    return f"{secret}: of {first}" + (f", which trusts {others[0]} too" if others else " alone")


def _issue(site: KeySite) -> str:
    """Have the new CAs sign; the admin's own credential is made again by the next call, and accepted."""
    found = _change(site, sign_with_next)
    user = site.reach.ask(
        "accepts the admin's new credential",
        lambda inner: inner.fetch_user(),
        limit_seconds=site.scale(LOOK_LIMIT_SECONDS),
    )
    return f"{found}; accepted as {user}"


def _prove_alone(site: KeySite, running: Phase) -> str:
    """Prove of each node that what it presents is of the new CAs."""
    for node in site.nodes:
        found = site.reach.ask(
            f"{node} presents no certificate of an old CA",
            lambda inner, node=node: check_node(site, inner, node),  # type: ignore[misc]
            limit_seconds=site.scale(ALONE_LIMIT_SECONDS),
            on_change=running.note,
        )
        running.note(found)
    return f"{len(site.nodes)} nodes"


def _change(site: KeySite, change: Callable[[Files], Files]) -> str:
    """Change the CAs on the host and tell which ones are there now, the signing one first."""
    replace_key_files(site.host, site.cluster, change)
    files = fetch_key_files(site.host, site.cluster)
    note_ca_bundle(site.host, files["ca.crt"])
    return "; ".join(f"{name} {', '.join(_list_short(files[f'{name}.crt']))}" for name in CAS)


def _list_short(bundle: bytes) -> list[str]:
    return [build_fingerprint(certificate)[:FINGERPRINT_LENGTH] for certificate in split_certificates(bundle)]


def find_keys(site: KeySite) -> Iterator[KeyState]:
    """Yield the CAs, of each name the signing one first."""
    files = fetch_key_files(site.host, site.cluster)
    for name in CAS:
        for number, certificate in enumerate(split_certificates(files[f"{name}.crt"])):
            yield KeyState(
                subject=f"{pki_secret(site.cluster)} {name} {'trusted' if number else 'signing'}",
                fingerprint=build_fingerprint(certificate)[:FINGERPRINT_LENGTH],
                made_at=fetch_signed_at(certificate),
            )


ITEM = Item(
    name="ca",
    summary="new CAs; restarts every control plane three times and every worker twice",
    build_steps=build_steps,
    find_keys=find_keys,
    check=check,
    replaces_control_planes=True,
    asks_each_node=True,
    rounds=("trusted/", "sign-boot/", "signing/", "dropped/", "trust-boot/"),
)
