"""What a person reads when the secrets store fails: before the gate is open the whole message, later its fault.

docs/troubleshooting.md says what to do about each; the last test looks that it does.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from kinky import paths
from kinky.components.secrets_store import PROOF_LIMIT_SECONDS
from kinky.errors import HostError, WaitError
from kinky.findings import Finding
from kinky.gate import proof
from kinky.kube import resources
from kinky.reach.reach import Reach
from tests.unit.fake_store import CANARIES, INNER_SECRETS, STORE, STORES, Operator, build_token, set_store
from tests.unit.test_store import ACCESS, host, operator, prove  # noqa: F401 - fixtures

HINT = "hint: kubectl describe clustersecretstore kinky; kubectl logs -n kinky-system deploy/external-secrets"
RENEW = "hint: pulumi up renews it"
GUIDE = (paths.project_root() / "docs" / "troubleshooting.md").read_text()


def unreachable(running: Operator) -> None:
    set_store(running.inner, "False", "InvalidProviderConfig")


def silent(running: Operator) -> None:
    running.limit = 0


def stale(running: Operator) -> None:
    running.limit = 1


def yes_man(running: Operator) -> None:
    running.answers = {"unknown", "decoy"}


def too_wide(running: Operator) -> None:
    running.answers = {"decoy"}


def put_token(life: timedelta) -> Callable[[Operator], None]:
    def put(running: Operator) -> None:
        token = base64.b64encode(build_token(life).encode()).decode()
        running.inner.add(INNER_SECRETS, "host-store-token", data={"token": token})

    return put


def message(item: int, what: str, *details: str, final: bool = False, hint: str = HINT) -> str:
    """Build what is told: with the item's number, what was seen, and what External Secrets says of the canary."""
    how = "cannot be met" if final else "not met in 30 s"
    lines = [f'inner cluster "dev": requirement {item} of 7 {how}: {what}', *(f"  {detail}" for detail in details)]
    return "\n".join([*lines, "  ExternalSecret canary: no condition Ready yet", hint])


G2 = "G2: a fresh value arrives in the inner cluster"
G3 = "G3: a second value replaces the first"
G4 = "G4: an unknown key is refused"
G5 = "G5: what is beside the store is refused"
G7 = "G7: what the store is read with expires within the allowed time"
FAULTS: dict[str, tuple[Callable[[Operator], None], str]] = {
    "unreachable": (
        unreachable,
        message(
            1,
            "G1: the secrets store is Ready with reason Valid",
            "last seen: ClusterSecretStore kinky: Ready=False InvalidProviderConfig",
        ),
    ),
    "silent": (silent, message(2, G2, "last seen: Secret kinky-system/canary is not there yet")),
    "stale": (stale, message(3, G3, "last seen: Secret kinky-system/canary holds an older value")),
    "answers any key": (
        yes_man,
        message(4, G4, "ExternalSecret kinky-system/unknown got a value from the store", final=True),
    ),
    "gives too much": (
        too_wide,
        message(5, G5, "ExternalSecret kinky-system/decoy got a value from the store", final=True),
    ),
    "token expired": (
        put_token(timedelta(minutes=-10)),
        message(7, G7, "the store's token has expired at TIME", final=True, hint=RENEW),
    ),
    # The host's clock is what a token's end is counted from: ten minutes ahead of ours, it seems to live longer.
    "clock of the host ten minutes ahead": (
        put_token(timedelta(hours=24, minutes=10)),
        message(7, G7, "the store's token lives for 24.2 h more, configured are at most 24.0 h", final=True),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_store_is_told_in_full(fault: str, request: pytest.FixtureRequest) -> None:
    running = request.getfixturevalue("operator")
    spoil, expected = FAULTS[fault]
    spoil(running)
    with pytest.raises((HostError, WaitError)) as caught:
        prove()
    assert re.sub(r"20\d\d-\d\d-\d\dT[\d:]+Z", "TIME", str(caught.value)) == expected


@pytest.mark.parametrize(("hours", "minutes"), [(24, 4), (0, 1)])
def test_clocks_that_differ_by_less_than_five_minutes_are_no_fault(
    hours: int, minutes: int, request: pytest.FixtureRequest
) -> None:
    put_token(timedelta(hours=hours, minutes=minutes))(request.getfixturevalue("operator"))
    assert len(prove().items) == 7


def test_a_store_that_takes_half_a_minute_is_slow_and_no_fault(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each value takes 30 s; the gate of `up` waits for 600 s in all."""
    running: Operator = request.getfixturevalue("operator")
    copy, since = running._copy, [0.0]

    def copy_late() -> None:
        copies = running.copies
        if running.now - since[0] >= 30:
            copy()
        since[0] = running.now if running.copies > copies else since[0]

    monkeypatch.setattr(running, "_copy", copy_late)
    with pytest.raises(WaitError, match="not met in 20 s: G2: "):
        prove(limit_seconds=20)
    started = since[0] = running.now
    prove(limit_seconds=PROOF_LIMIT_SECONDS)
    assert 60 <= running.now - started < 70


def check(running: Operator) -> list[Finding]:
    """Look at the store as `kinky gate show` does, its canary synced unless a test has said otherwise."""
    canary = running.inner.objects[f"{CANARIES}/canary"]
    canary.setdefault("status", {"conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced"}]})
    return proof.check_proved(Reach(ACCESS, "https://x").inner(), "kinky", STORE)


def test_a_store_that_works_has_no_faults(request: pytest.FixtureRequest) -> None:
    assert check(request.getfixturevalue("operator")) == []


def refuse_canary(running: Operator) -> None:
    failed = {"type": "Ready", "status": "False", "reason": "SecretSyncedError", "message": "could not get secret data"}
    running.inner.objects[f"{CANARIES}/canary"]["status"] = {"conditions": [failed]}


def expire_token(running: Operator) -> None:
    put_token(timedelta(seconds=-1))(running)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        # S13: the store's own check is minutes apart, so what it last said is one of two things that tell.
        (
            lambda running: set_store(running.inner, "False", "InvalidProviderConfig"),
            "ClusterSecretStore kinky says Ready=False InvalidProviderConfig",
        ),
        (
            lambda running: set_store(running.inner, "True", "ValidationUnknown"),
            "ClusterSecretStore kinky says Ready=True ValidationUnknown",
        ),
        (lambda running: running.inner.objects.pop(f"{STORES}/kinky"), "ClusterSecretStore kinky is not there"),
        # S17: the store calls itself Valid, and what is read with its token is refused.
        (refuse_canary, "ExternalSecret canary says Ready=False SecretSyncedError: could not get secret data"),
        (expire_token, "the store's token has expired at "),
    ],
)
def test_s13_s17_a_store_that_was_proved_and_fails_now_is_told(
    spoil: Callable[[Operator], None], expected: str, request: pytest.FixtureRequest
) -> None:
    running = request.getfixturevalue("operator")
    spoil(running)
    (fault,) = check(running)
    assert str(fault).startswith(f"CRITICAL: the secrets store does not work: {expected}")


TOLD = {
    "PULUMI_CONFIG_PASSPHRASE_FILE names an empty file",
    "the passphrase is not the one that the stack was made with",
    "G1: the secrets store is Ready with reason Valid",
    *(G2, G3, G4, G5, G7),
    "G6: the inner API server writes Secrets to etcd encrypted",
    "the store's token has expired at",
    "the store's token lives for",
    "CRITICAL: the secrets store does not work",
    f"CRITICAL: {resources.ADMISSION_POLICIES.kind} kinky-gate is not there",
    "was opened without evidence",
    "the gate was closed by hand at",
    "the gate is closed until the secrets store is proved",
    *("the server is sealed (503)", "it cannot be reached", "no answer in 20 s"),
    *("its TLS certificate is not verified", "your token is not valid, or has expired (403)"),
    "your token is not allowed to do this (403)",
}


@pytest.mark.parametrize("told", sorted(TOLD))
def test_troubleshooting_says_what_to_do(told: str) -> None:
    assert f"`{told}" in GUIDE
