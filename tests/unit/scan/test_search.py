"""Patterns are found wherever they lie, and only where they are."""

from __future__ import annotations

import base64
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from kinky.scan.artefact import Artefact
from kinky.scan.encodings import ENCODERS, encode_base64
from kinky.scan.kind import Kind
from kinky.scan.scanner import Findings
from kinky.scan.search import Needles
from kinky.scan.secret import KnownSecret, SecretClass
from tests.unit.scan.plants import KEY, PLANTS, VALUE

# White space at the ends is cut, so a value has none there.
VALUES = st.binary(min_size=8, max_size=70).filter(lambda value: value.strip() == value)
AROUND = st.binary(max_size=9)


def secret(value: bytes) -> KnownSecret:
    return KnownSecret(SecretClass.OTHER_VALUE, "a/b", value)


@given(value=VALUES, before=AROUND, after=AROUND, altered=st.sampled_from([b"+/", b"-_"]))
def test_base64_is_found_at_each_alignment(value: bytes, before: bytes, after: bytes, altered: bytes) -> None:
    known = secret(value)
    assert Needles([known]).search(base64.b64encode(before + value + after, altchars=altered)) == {known}


@given(value=VALUES, before=AROUND, after=AROUND)
def test_base64_forms_hold_all_that_neighbours_do_not_decide(value: bytes, before: bytes, after: bytes) -> None:
    form = encode_base64(value)[len(before) % 3]
    assert form in base64.b64encode(before + value + after)
    assert 8 * len(value) - 6 * len(form) <= 10  # bits that are shared with neighbours


@given(value=VALUES, before=st.binary(max_size=40), after=AROUND)
def test_a_value_is_found_at_each_place(value: bytes, before: bytes, after: bytes) -> None:
    known = secret(value)
    assert Needles([known]).search(before + value + after) == {known}


@given(value=VALUES, data=st.binary(max_size=200), cut=st.integers(0, 7))
def test_search_agrees_with_a_plain_one(value: bytes, data: bytes, cut: int) -> None:
    """Data with a piece of the value in it, which looks alike at first."""
    data += value[cut:] + data
    patterns = [form for encode in ENCODERS.values() for form in encode(value) if len(form) >= 7]
    found = any(form in data for form in patterns)
    assert bool(Needles([secret(value)]).search(data)) is found


def test_a_value_that_two_secrets_share_is_found_as_both() -> None:
    two = {KnownSecret(SecretClass.STORE_VALUE, name, b"shared value") for name in ("a/b", "c/d")}
    assert Needles(two).search(b"-- shared value --") == two


def test_nothing_is_found_in_random_or_encrypted_data() -> None:
    key, nonce = ChaCha20Poly1305.generate_key(), os.urandom(12)
    everything = b"".join(form for _, forms in PLANTS.values() for form in forms)
    encrypted = ChaCha20Poly1305(key).encrypt(nonce, everything * 200, None)
    findings = Findings()
    contents = [os.urandom(2 << 20), encrypted, base64.b64encode(encrypted), os.urandom(1 << 20).hex().encode()]
    artefacts = [Artefact.hold(Kind.PATH, str(number), content) for number, content in enumerate(contents)]
    findings.scan(artefacts, [Needles([VALUE, KEY]).search])
    assert findings.artefacts == 4
    assert findings.hits == []


@pytest.mark.parametrize("known", [VALUE, KEY], ids=["value", "key"])
def test_needles_do_not_show_what_they_hold(known: KnownSecret) -> None:
    assert known.reveal().decode() not in repr(Needles([known]))
