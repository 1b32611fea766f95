"""A known secret shows its class, its name and a fingerprint, whatever is done with it."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from kinky.scan.secret import KnownSecret, SecretClass

VALUE = b"correct-horse-battery"
SECRET = KnownSecret(SecretClass.PASSPHRASE, "passphrase", VALUE + b"\n")

SHOWING: list[Callable[[Any], str]] = [
    repr,
    str,
    "{}".format,
    "{!r}".format,
    lambda secret: f"{secret}",
    lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    lambda secret: repr([secret, {"a": secret}]),
    lambda secret: json.dumps({"a": secret}, default=str),
    lambda secret: "".join(traceback.format_exception(ValueError(secret))),
]
REFUSED: list[Callable[[Any], object]] = [
    pickle.dumps,
    copy.copy,
    copy.deepcopy,
    json.dumps,
    vars,
    dataclasses.asdict,
    lambda secret: pickle.dumps([secret], protocol=0),
    lambda secret: setattr(secret, "name", "other"),
    lambda secret: setattr(secret, "more", 1),
]


@pytest.mark.parametrize("show", SHOWING)
def test_what_can_be_printed_is_masked(show: Callable[[object], str]) -> None:
    shown = show(SECRET)
    assert "correct" not in shown
    assert f"passphrase passphrase (sha256 {SECRET.fingerprint})" in shown


@pytest.mark.parametrize("use", REFUSED)
def test_what_would_carry_the_value_away_is_refused(use: Callable[[object], object]) -> None:
    with pytest.raises((TypeError, AttributeError)) as caught:
        use(SECRET)
    assert "correct" not in str(caught.value)


def test_value_is_kept_without_the_line_end_of_its_file() -> None:
    assert SECRET.reveal() == VALUE
    assert KnownSecret(SecretClass.PASSPHRASE, "passphrase", VALUE) == SECRET
    assert len({SECRET, KnownSecret(SecretClass.PASSPHRASE, "passphrase", VALUE + b" other")}) == 2


@pytest.mark.parametrize("short", [b"", b"        \n", b"sevensy", b"sevensy   "])
def test_a_short_value_is_refused_without_showing_it(short: bytes) -> None:
    with pytest.raises(ValueError, match=r"fewer than 8") as caught:
        KnownSecret(SecretClass.TOKEN, "a/token", short)
    assert "sevensy" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"a text of a file\n", b"a text of a file"),
        (b"\x98 key that ends in a blank ", b"\x98 key that ends in a blank "),
    ],
)
def test_only_a_text_loses_the_white_space_around_it(value: bytes, kept: bytes) -> None:
    assert KnownSecret(SecretClass.ENCRYPTION_KEY, "key", value).reveal() == kept
