"""The allow-list: unexpected, expected and missing."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from kinky.scan.artefact import Artefact
from kinky.scan.expected import PLACES, Place
from kinky.scan.kind import Kind
from kinky.scan.report import Missing, judge
from kinky.scan.scanner import Findings, Tally
from kinky.scan.secret import KnownSecret, SecretClass

KEY = KnownSecret(SecretClass.PRIVATE_KEY, "dev-pki/ca.key", b"the key of the cluster")
VALUE = KnownSecret(SecretClass.STORE_VALUE, "dev-store-message/message", b"the message")
CREDENTIAL = KnownSecret(SecretClass.ADMIN_KEY, "credential.pem", b"the operator's key")


def hit(kind: str, name: str, secret: KnownSecret, *, private: bool = True) -> tuple[Artefact, KnownSecret]:
    return Artefact(Kind(kind), name, list, private), secret


AT_HOME = [
    hit("Secret", "dev-pki", KEY),
    hit("Secret", "dev-store-message", VALUE),
    hit("cluster folder", "clusters/dev/credential.pem", CREDENTIAL),
]


def findings(*hits: tuple[Artefact, KnownSecret]) -> Findings:
    tallies = {Kind.SECRET: Tally(7, 90, 1.0), Kind.POD_LOG: Tally(2, 9, 0.26)}
    return Findings(defaultdict(Tally, tallies), hits=list(hits), unread=["process 1 init environ: Permission denied"])


def test_all_is_well_when_each_secret_is_at_home_only() -> None:
    report = judge(findings(*AT_HOME), [KEY, VALUE, CREDENTIAL], PLACES)
    assert report.passed
    assert report.to_lines()[-1] == "9 artefacts, 99 bytes, 3 secrets, 1 s: 0 unexpected hits, 0 missing hits"


@pytest.mark.parametrize(
    "leak",
    [
        hit("git object", "blob 12", KEY),
        hit("process", "7 sleep environ", CREDENTIAL),
        hit("Secret", "dev-worker-0-user-data-12345678", KEY),
        hit("Secret", "dev-pki", VALUE),
        hit("ConfigMap", "dev-pki", KEY),
        hit("cluster folder", "clusters/dev/kubeconfig.yaml", CREDENTIAL),
        hit("cluster folder", "clusters/dev/credential.pem", CREDENTIAL, private=False),
        hit("path", "clusters/dev/credential.pem", CREDENTIAL),
    ],
    ids=lambda leak: f"{leak[0].kind} {leak[0].name}",
)
def test_a_hit_anywhere_else_is_a_leak(leak: tuple[Artefact, KnownSecret]) -> None:
    report = judge(findings(*AT_HOME, leak), [KEY, VALUE, CREDENTIAL], PLACES)
    assert not report.passed
    assert report.unexpected == (leak,)
    assert f"unexpected: {leak[1]} in {leak[0].kind} {leak[0].name}" in report.to_lines()


@pytest.mark.parametrize("number", range(3))
def test_a_secret_that_is_not_found_at_home_shows_that_the_scanner_is_blind(number: int) -> None:
    absent = AT_HOME[number][1]
    report = judge(findings(*(each for each in AT_HOME if each[1] != absent)), [KEY, VALUE, CREDENTIAL], PLACES)
    assert report.missing == (Missing(absent),)
    assert not report.passed
    assert any(line.startswith(f"missing: {absent}") for line in report.to_lines())


def test_one_place_of_several_is_enough_and_one_that_may_be_hit_is_not() -> None:
    may = Place(kind=Kind.VM_DISK, name="*", secret_class=KEY.secret_class, reason="r", must_hit=False)
    must = [Place(kind=Kind.SECRET, name=name, secret_class=KEY.secret_class, reason="r") for name in ("a", "b")]
    assert judge(findings(hit("Secret", "b", KEY)), [KEY], [may, *must]).passed
    blind = judge(findings(hit("VM disk", "x", KEY)), [KEY], [may, *must])
    assert (blind.unexpected, blind.missing) == ((), (Missing(KEY),))


def test_a_secret_that_is_allowed_nowhere_need_not_be_found() -> None:
    assert judge(findings(), [KEY], places=[]).passed


def test_json_names_and_counts_without_a_value() -> None:
    leak = hit("pod log", "launcher/compute", KEY)
    text = json.dumps(judge(findings(*AT_HOME, leak), [KEY, VALUE, CREDENTIAL], PLACES).to_json())
    assert not any(secret.reveal().decode() in text for secret in (KEY, VALUE, CREDENTIAL))
    told = json.loads(text)
    assert told["unexpectedHits"] == [
        {
            "kind": "pod log",
            "name": "launcher/compute",
            "class": "private key",
            "secret": "dev-pki/ca.key",
            "sha256": KEY.fingerprint,
        }
    ]
    assert told["missingHits"] == []
    assert told["expectedHits"][0] == {"kind": "Secret", "class": "private key", "hits": 1}
    totals = ("artefacts", "bytes", "seconds", "secrets")
    assert [told[name] for name in totals] == [9, 99, 1.3, 3]
    assert len(told["unread"]) == 1
    assert told["kinds"]["pod log"] == {
        "artefacts": 2,
        "bytes": 9,
        "seconds": 0.3,
        "expectedHits": 0,
        "unexpectedHits": 1,
        "missingHits": 0,
    }


def test_a_place_that_must_hold_a_secret_itself_is_not_made_up_for_by_another() -> None:
    own = Place(kind=Kind.CREDENTIALS_DISK, name="a/*", secret_class=KEY.secret_class, reason="r", itself=True)
    other = hit("credentials disk", "b/disk", KEY)
    report = judge(findings(*AT_HOME, other), [KEY, VALUE, CREDENTIAL], [*PLACES, own])
    assert report.missing == (Missing(KEY, own),)
    assert report.unexpected == (other,)
    (told,) = report.to_json()["missingHits"]
    assert (told["secret"], told["kind"], told["name"]) == (KEY.name, "credentials disk", "a/*")
    found = findings(*AT_HOME, hit("credentials disk", "a/disk", KEY))
    assert judge(found, [KEY, VALUE, CREDENTIAL], [*PLACES, own]).passed


def test_a_place_is_for_the_secrets_that_it_names() -> None:
    own = Place(
        kind=Kind.VM_DISK, name="*", secret_class=KEY.secret_class, reason="r", secret="dev-pki/sa.*", must_hit=False
    )
    leak = hit("VM disk", "data", KEY)
    assert judge(findings(*AT_HOME, leak), [KEY, VALUE, CREDENTIAL], [*PLACES, own]).unexpected == (leak,)


def test_a_marker_is_no_secret_but_may_be_missing() -> None:
    marker = KnownSecret(SecretClass.MARKER, "of something", b"kinky-data")
    must = Place(kind=Kind.VM_DISK, name="a", secret_class=SecretClass.MARKER, reason="r", itself=True)
    report = judge(findings(hit("VM disk", "b", marker)), [marker], [must])
    assert (report.secrets, report.unexpected, report.missing) == (0, (), (Missing(marker, must),))
