"""S2: a secret planted in each kind of artefact, in each encoding, is reported; without its encoder it is missed."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from kinky.scan.artefact import Artefact
from kinky.scan.encodings import ENCODERS
from kinky.scan.kind import Kind
from kinky.scan.scanner import Findings
from kinky.scan.search import Needles
from tests.unit.scan import plants
from tests.unit.scan.plants import KEY, PLANTS, VALUE

# Those that are read in different ways; test_every_kind.py has them all.
KINDS = {
    "path",
    "disk image",
    "VM disk",
    "process",
    "git work tree",
    "git object",
    "VirtualMachine",
    "VirtualMachineInstance",
    "Pod",
    "Event",
    "ConfigMap",
    "Service",
    "PersistentVolumeClaim",
    "Secret",
    "pod log",
}
CASES = [(name, number) for name, (_, forms) in PLANTS.items() for number in range(len(forms))]


def scan(artefacts: Sequence[Artefact], *, without: str = "") -> set[str]:
    """Return the kinds of artefact in which a planted secret was found."""
    encoders = {name: encoder for name, encoder in ENCODERS.items() if name != without}
    findings = Findings()
    findings.scan(artefacts, [Needles([VALUE, KEY], encoders=encoders).search])
    return {artefact.kind for artefact, _ in findings.hits}


def test_s2_each_encoder_has_a_plant() -> None:
    assert set(PLANTS) == set(ENCODERS)


@pytest.mark.parametrize(("encoding", "number"), CASES)
def test_s2_a_plant_in_each_encoding_is_found_in_each_kind_of_artefact(
    encoding: str, number: int, tmp_path: Path
) -> None:
    _, forms = PLANTS[encoding]
    # Neither an environment nor a command line can hold a zero byte.
    possible = KINDS - ({"process"} if b"\0" in forms[number] else set())
    with plants.everywhere(tmp_path, forms[number]) as artefacts:
        assert {artefact.kind for artefact in artefacts} == KINDS
        assert scan(artefacts) == possible


@pytest.mark.parametrize(("encoding", "number"), CASES)
def test_s2_without_its_encoder_a_plant_is_missed(encoding: str, number: int) -> None:
    """The self-test above fails for a table that lacks any one of its rows."""
    plant = Artefact.hold(Kind.PATH, "plant", PLANTS[encoding][1][number])
    assert scan([plant]) == {Kind.PATH}
    assert scan([plant], without=encoding) == set()


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("secret", [VALUE, KEY], ids=["value", "key"])
def test_s2_a_plant_four_levels_deep_is_found(secret: plants.KnownSecret, order: int, tmp_path: Path) -> None:
    with plants.everywhere(tmp_path, plants.nest_four_deep(secret.reveal())[order]) as artefacts:
        # The second order is compressed, so API objects carry it as one level more, which is one too many.
        binary = {"path", "disk image", "git work tree", "git object", "pod log"}
        assert scan(artefacts) >= (KINDS - {"VM disk"} if order == 0 else binary)


def test_s2_five_levels_are_one_too_many() -> None:
    content = VALUE.reveal()
    found = []
    for _ in range(5):
        # With something that gets smaller, or gzip would keep the content as it is.
        content = gzip.compress(b"a" * 1000 + content)
        found.append(scan([Artefact.hold(Kind.PATH, "packed", content)]) == {Kind.PATH})
    assert found == [True, True, True, True, False]
