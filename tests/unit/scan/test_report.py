"""The allow-list: unexpected, expected and missing."""

from __future__ import annotations

import json

import pytest

from kinky.scan.artefact import Artefact
from kinky.scan.expected import PLACES, Place
from kinky.scan.report import judge
from kinky.scan.scanner import Findings
from kinky.scan.secret import KnownSecret, SecretClass

KEY = KnownSecret(SecretClass.PRIVATE_KEY, "dev-pki/ca.key", b"the key of the cluster")
VALUE = KnownSecret(SecretClass.STORE_VALUE, "dev-store-message/message", b"the message")
CREDENTIAL = KnownSecret(SecretClass.OPERATOR_KEY, "credential.pem", b"the operator's key")


def hit(kind: str, name: str, secret: KnownSecret, *, private: bool = True) -> tuple[Artefact, KnownSecret]:
    return Artefact(kind, name, list, private), secret


AT_HOME = [
    hit("Secret", "dev-pki", KEY),
    hit("Secret", "dev-store-message", VALUE),
    hit("cluster folder", "clusters/dev/credential.pem", CREDENTIAL),
]


def findings(*hits: tuple[Artefact, KnownSecret]) -> Findings:
    return Findings(artefacts=9, bytes=99, hits=list(hits), unread=["process 1 init environ: Permission denied"])


def test_all_is_well_when_each_secret_is_at_home_only() -> None:
    report = judge(findings(*AT_HOME), [KEY, VALUE, CREDENTIAL], PLACES)
    assert report.passed
    assert report.to_lines()[-1] == "9 artefacts, 99 bytes, 3 secrets: 0 unexpected hits, 0 missing hits"


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
    assert report.missing == (absent,)
    assert not report.passed
    assert any(line.startswith(f"missing: {absent}") for line in report.to_lines())


def test_one_place_of_several_is_enough_and_one_that_may_be_hit_is_not() -> None:
    may = Place(kind="disk", name="*", secret_class=KEY.secret_class, reason="r", must_hit=False)
    must = [Place(kind="Secret", name=name, secret_class=KEY.secret_class, reason="r") for name in ("a", "b")]
    assert judge(findings(hit("Secret", "b", KEY)), [KEY], [may, *must]).passed
    blind = judge(findings(hit("disk", "x", KEY)), [KEY], [may, *must])
    assert (blind.unexpected, blind.missing) == ((), (KEY,))


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
    assert (told["artefacts"], told["bytes"], told["secrets"], len(told["unread"])) == (9, 99, 3, 1)
