"""Access control: policies in the simple form of HCL or in JSON, and whether they allow a call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from tests.vault_server.messages import OPERATIONS, RefusedError

Rules = Mapping[str, frozenset[str]]
"""Path pattern to capabilities."""
CAPABILITIES = frozenset({*OPERATIONS, "sudo", "deny", "patch"})
ROOT = "root"
DEFAULT_TEXT = """
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }
"""
"""What each token may, unless it was made without: the part of Vault's own default policy that this server serves."""
_COMMENT = re.compile(r"#[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = r'"([^"\\\n]*)"'
_PATH = re.compile(
    rf"\s*path\s+{_STRING}\s*\{{\s*capabilities\s*=\s*\[((?:\s*{_STRING}\s*,?)*)\s*\]\s*,?\s*\}}", re.DOTALL
)


def parse_policy(text: str) -> Rules:
    """Return the rules of a policy; anything beyond paths with capabilities is refused rather than ignored."""
    if text.lstrip().startswith("{"):
        return _checked(_read_json(text))
    rules: list[tuple[str, list[str]]] = []
    # A pattern such as "a//b" holds no comment: strings are kept, as they match first.
    rest = re.sub(rf"{_STRING}|{_COMMENT.pattern}", _without_comment, text, flags=re.DOTALL)
    while rest.strip():
        match = _PATH.match(rest)
        if match is None:
            raise RefusedError(400, "failed to parse policy: only paths with capabilities are understood")
        rules.append((match[1], re.findall(_STRING, match[2])))
        rest = rest[match.end() :]
    return _checked(rules)


def _without_comment(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith('"') else " "


def _read_json(text: str) -> list[tuple[str, list[str]]]:
    try:
        return [(path, list(rule["capabilities"])) for path, rule in json.loads(text)["path"].items()]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RefusedError(400, "failed to parse policy: only paths with capabilities are understood") from None


def _checked(rules: Iterable[tuple[str, list[str]]]) -> Rules:
    result: dict[str, frozenset[str]] = {}
    for path, capabilities in rules:
        if unknown := set(capabilities) - CAPABILITIES:
            raise RefusedError(400, f"failed to parse policy: path {path!r}: invalid capability {min(unknown)!r}")
        # A slash in front means nothing, in a policy as in a call.
        pattern = path.removeprefix("/")
        result[pattern] = result.get(pattern, frozenset()) | frozenset(capabilities)
    return result


def find_capabilities(policies: Iterable[Rules], path: str) -> frozenset[str]:
    """Return what the policies together allow on a path; the most specific pattern alone decides."""
    merged: dict[str, frozenset[str]] = {}
    for rules in policies:
        for pattern, capabilities in rules.items():
            merged[pattern] = merged.get(pattern, frozenset()) | capabilities
    fitting = [pattern for pattern in merged if _fits(pattern, path)]
    if not fitting:
        return frozenset()
    chosen = merged[max(fitting, key=_specificity)]
    return frozenset({"deny"}) if "deny" in chosen else chosen


def _fits(pattern: str, path: str) -> bool:
    body, star = (pattern[:-1], True) if pattern.endswith("*") else (pattern, False)
    regex = "/".join("[^/]+" if part == "+" else re.escape(part) for part in body.split("/"))
    whole = regex + (".*" if star else "")
    # To list a/b is to list a/b/: a pattern without the slash is meant too.
    candidates = {path, path.removesuffix("/")} if not star and "+" not in pattern else {path}
    return any(re.fullmatch(whole, candidate, re.DOTALL) for candidate in candidates)


def _specificity(pattern: str) -> tuple[bool, int, bool, int, int, str]:
    """Order patterns as Vault's documentation does: the later the first wildcard, the more specific."""
    segments = pattern.split("/")
    exact = not pattern.endswith("*") and "+" not in segments
    wildcard = re.search(r"(?:^|(?<=/))\+(?=/|$)|\*$", pattern)
    first = wildcard.start() if wildcard else len(pattern)
    return (exact, first, not pattern.endswith("*"), -segments.count("+"), len(pattern), pattern)
