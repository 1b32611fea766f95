"""Removes secrets from a text before it is written: known secrets of this machine, and anything that looks like one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from kinky.scan.encodings import ENCODERS
from kinky.scan.secret import MINIMUM_BYTES, KnownSecret

TAKEN_OUT: Final = "[taken out]"
_USER_IN_URL: Final = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s'\"@]*@")
_LOOKS: Final = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    # A JSON Web Token, with or without the word before it.
    re.compile(r"\beyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){1,2}"),
    re.compile(r"\b(?:hv[sbr]|pul|ghp|sha256~|[sbr])[.\-_~][A-Za-z0-9_\-]{16,}"),
    re.compile(r"(?i)(?<=\bbearer )\S+|(?<=\bbasic )\S+"),
    re.compile(r"(?i)(?<=password=)[^\s&'\"]+|(?<=token=)[^\s&'\"]+|(?<=secret=)[^\s&'\"]+|(?<=passphrase=)[^\s&'\"]+"),
)


def clean(text: str, secrets: Iterable[KnownSecret] = ()) -> str:
    """Return the text without the secrets, in any encoding, and without any likely key, token or password."""
    for secret in secrets:
        for encode in ENCODERS.values():
            for form in encode(secret.reveal()):
                if len(form) >= MINIMUM_BYTES - 1:
                    text = text.replace(form.decode("utf-8", "surrogateescape"), TAKEN_OUT)
    for look in _LOOKS:
        text = look.sub(TAKEN_OUT, text)
    return clean_urls(text)


def clean_urls(text: str) -> str:
    """Return the text without the user and the password in its URLs."""
    return _USER_IN_URL.sub(rf"\1{TAKEN_OUT}@", text)
