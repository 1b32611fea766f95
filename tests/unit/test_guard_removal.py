"""A guard that is taken out makes the test that watches it fail (S2, S6 to S9, S11); a test that cannot fail is none.

Each case takes one guard out of the code, calls the very function of the suite that watches it, and wants it to fail
by its own assertion. That the same function passes with the guard in place, the suite itself shows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from kinky.gate import proof
from kinky.kube.objects import fetch_condition
from kinky.manifests import gate
from kinky.manifests.body import Body
from kinky.reach.reach import Reach
from kinky.scan import encodings, unfold
from kinky.scan.kind import Kind
from kinky.stores import evidence
from tests.unit import test_manifests_inner as manifests
from tests.unit import test_store as store
from tests.unit.scan import plants
from tests.unit.scan import test_every_kind as every_kind
from tests.unit.scan import test_s2_self_test as self_test
from tests.unit.scan.machine import Machine
from tests.unit.scan.test_every_kind import machine  # noqa: F401 - a fixture
from tests.unit.test_store import host, operator  # noqa: F401 - fixtures

FAILED: Final = (AssertionError, pytest.fail.Exception)
"""How a test fails: its own assertion, or pytest's when nothing was raised."""
NOT_RAISED: Final = "DID NOT RAISE"


def fails(test: Callable[..., None], *arguments: Any, says: str | None = None) -> None:
    """Want a test to fail for the reason that the missing guard gives, and not by an accident of its removal."""
    with pytest.raises(FAILED, match=says):
        test(*arguments)


def test_what_passes_does_not_fail() -> None:
    """The mechanism itself: with the guard in place there is nothing to see, and a crash is not a failure."""
    with pytest.raises(pytest.fail.Exception, match=NOT_RAISED):
        fails(lambda: None)
    with pytest.raises(IndexError):
        fails(lambda: [][0])


@pytest.mark.parametrize("encoding", plants.PLANTS)
def test_s2_without_an_encoder_the_self_test_fails(
    encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(encodings.ENCODERS, encoding)  # type: ignore[arg-type]
    fails(self_test.test_s2_each_encoder_has_a_plant)
    fails(self_test.test_s2_a_plant_in_each_encoding_is_found_in_each_kind_of_artefact, encoding, 0, tmp_path)


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        (unfold, "find_base64", lambda _data: iter(())),
        (unfold.Unfolded, "_inflate", lambda _self, _data, _start: b""),
    ],
    ids=["no base64 is decoded", "nothing is unpacked"],
)
def test_s2_without_unfolding_the_self_test_fails(
    place: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(place, name, value)
    fails(self_test.test_s2_a_plant_four_levels_deep_is_found, plants.VALUE, 0, tmp_path)


@pytest.mark.parametrize("depth", [3, 5])
def test_s2_with_another_depth_the_self_test_fails(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfold, "DEPTH", depth)
    fails(self_test.test_s2_five_levels_are_one_too_many)


COLLECTORS: Final = (
    Kind.STATE,
    Kind.PULUMI_OUTPUT,
    Kind.CLUSTER_FOLDER,
    Kind.PROCESS,
    Kind.WORK_TREE,
    Kind.STAGED,
    Kind.VM_DISK,
    Kind.INNER_ETCD,
    Kind.POD_LOG,
    Kind.SECRET,
)
"""Kinds of ten places that are read in different ways; test_every_kind.py looks without each of all its kinds."""


@pytest.mark.parametrize("kind", COLLECTORS)
def test_s2_without_a_collector_the_self_test_fails(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    collect = Machine.sources
    monkeypatch.setattr(
        Machine, "sources", lambda self: [source for source in collect(self) if kind not in source.kinds]
    )
    found: Machine = request.getfixturevalue("machine")
    fails(every_kind.test_s2_a_plant_is_found_by_the_collector_of_its_kind, kind, found)


def believe_ready(reach: Reach, name: str) -> Callable[[], str]:
    """Build a look that takes the store's word: Ready is Ready, whatever the reason."""

    def check() -> str:
        body = reach.inner().fetch(proof.resources.CLUSTER_SECRET_STORES, name) or {}
        ready = fetch_condition(body.get("status") or {}, "Ready") or {}
        assert ready["status"] == "True"
        return "Ready"

    return check


def send_one_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the second trip look at the nonce of the first one again."""
    build, built = proof.Canary.build_trip, {}

    def build_once(canary: proof.Canary) -> Callable[[], Any]:
        return built.setdefault(id(canary), build(canary))

    monkeypatch.setattr(proof.Canary, "build_trip", build_once)


def skip_refusal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one of the two probes count as refused without a look."""
    check = evidence.Refusal.check
    monkeypatch.setattr(
        evidence.Refusal, "check", lambda refusal: "skipped" if refusal.name == name else check(refusal)
    )


TAKEN_OUT: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Callable[..., None], str]] = {
    "S6: Ready is enough": (
        lambda monkeypatch: monkeypatch.setattr(proof, "_build_store_check", believe_ready),
        store.test_s6_ready_with_an_unknown_validation_is_no_evidence,
        NOT_RAISED,
    ),
    "S7: one nonce is enough": (send_one_nonce, store.test_s7_a_stale_cache_fails_g3, NOT_RAISED),
    # The decoy is asked for too, and this store answers that as well: so the proof fails, but for another reason.
    "S8: no unknown key": (
        partial(skip_refusal, "unknown"),
        store.test_s8_a_store_that_answers_any_key_fails_g4,
        " G4: ",
    ),
    "S9: no decoy": (partial(skip_refusal, "decoy"), store.test_s9_a_decoy_that_can_be_read_fails_g5, NOT_RAISED),
}


@pytest.mark.parametrize("case", TAKEN_OUT)
def test_s6_to_s9_without_its_guard_the_test_of_the_proof_fails(
    case: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    take_out, test, says = TAKEN_OUT[case]
    running = request.getfixturevalue("operator")
    take_out(monkeypatch)
    fails(test, running, says=says)


def change_policy(change: Callable[[Body], object]) -> Callable[[pytest.MonkeyPatch], None]:
    """Return what changes the spec of the policy that is built."""

    def take_out(monkeypatch: pytest.MonkeyPatch) -> None:
        build = gate.build_gate

        def build_changed() -> tuple[Body, ...]:
            bodies = build()
            for body in bodies:
                if body["kind"] == "ValidatingAdmissionPolicy":
                    change(body["spec"])
            return bodies

        monkeypatch.setattr(gate, "build_gate", build_changed)

    return take_out


def rule(spec: Body) -> Body:
    found: Body = spec["matchConstraints"]["resourceRules"][0]
    return found


OPENINGS: dict[str, Callable[[Body], object]] = {
    "no validation": lambda spec: spec["validations"].clear(),
    "no refusal on error": lambda spec: spec.update(failurePolicy="Ignore"),
    "one more namespace": lambda spec: spec["matchConstraints"]["namespaceSelector"]["matchExpressions"][0][
        "values"
    ].append("default"),
    "a condition that narrows the match": lambda spec: spec.update(matchConditions=[{"name": "x"}]),
    "pods alone": lambda spec: rule(spec).update(resources=["pods"]),
    "no binding by its subresource": lambda spec: rule(spec)["resources"].remove("pods/binding"),
    "no binding by its own kind": lambda spec: rule(spec)["resources"].remove("bindings"),
}


@pytest.mark.parametrize("opening", OPENINGS)
def test_s11_with_an_opening_in_the_policy_its_test_fails(opening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change_policy(OPENINGS[opening])(monkeypatch)
    # What is not there at all does not even unpack.
    with pytest.raises((*FAILED, ValueError)):
        manifests.test_s11_the_policy_matches_every_way_to_a_running_pod()
