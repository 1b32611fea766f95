"""No record of a room with keys shows key material when it is printed: a test looks at each dataclass."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator

from kinky import fit, forming, gate, keys, ownership, reach, stores
from kinky.keys.certificates import make_ca
from kinky.keys.encryption_config import make_encryption_key

ROOMS = (keys, reach, ownership, forming, stores, gate, fit)
SUSPICIOUS = re.compile(r"(key|secret|token|password|value|nonce|credential)s?$")
PUBLIC = {
    "Pair.certificate",
    "TokenRecord.secret",  # where it is
}
"""Fields that look like a secret and are none."""


def records() -> Iterator[type]:
    for found in (each for room in ROOMS for each in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")):
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == found.name:
                yield value


def shown(record: type) -> Iterator[str]:
    for field in dataclasses.fields(record):
        holds_text = str(getattr(field.type, "__name__", field.type)) in ("bytes", "str")
        if field.repr and (field.type in (bytes, "bytes") or (holds_text and SUSPICIOUS.search(field.name))):
            yield f"{record.__name__}.{field.name}"


def test_no_record_shows_what_may_be_a_secret() -> None:
    looked_at = set(records())
    assert len(looked_at) > 20
    assert {name for record in looked_at for name in shown(record)} == PUBLIC


def test_the_look_would_find_one() -> None:
    @dataclasses.dataclass
    class Careless:
        private: bytes
        api_token: str
        name: str

    assert set(shown(Careless)) == {"Careless.private", "Careless.api_token"}


def test_key_material_is_in_no_text_of_its_record() -> None:
    pair, key = make_ca("dev ca"), make_encryption_key(1)
    for text in (repr(pair), str(pair), f"{pair}", repr([pair, {"a": key}]), repr(key), f"{key!s:>9}"):
        assert pair.key.decode() not in text
        assert repr(pair.key) not in text
        assert key.secret not in text
