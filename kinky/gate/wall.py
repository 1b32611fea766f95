"""The gate's wall as it stands in the inner cluster: written as it is declared, and compared with that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kinky import names
from kinky.findings import Finding, Severity
from kinky.kube import resources
from kinky.kube.connection import JsonObject
from kinky.kube.inner import InnerApi
from kinky.kube.resources import Resource
from kinky.manifests.gate import OPEN, STATE_KEY, build_closed_state, build_gate

KINDS: Final[Mapping[str, Resource]] = {
    kind.kind: kind
    for kind in (
        resources.ROLES,
        resources.ADMISSION_POLICIES,
        resources.ADMISSION_POLICY_BINDINGS,
        resources.CLUSTER_ROLES,
        resources.CLUSTER_ROLE_BINDINGS,
    )
}
_NAMED: Final = ("apiVersion", "kind", "metadata")


def write_wall(inner: InnerApi) -> None:
    """Write the policy and its right as they must be, and the record of a closed gate if no record exists."""
    namespace, *parts = build_gate()
    inner.apply(resources.NAMESPACES, namespace)
    inner.create(resources.CONFIG_MAPS, build_closed_state(), namespace=names.NAMESPACE_KINKY)
    for body in parts:
        kind, where = KINDS[body["kind"]], body["metadata"].get("namespace")
        present = inner.fetch(kind, body["metadata"]["name"], namespace=where)
        if present is None or not any(_compare(body, present)):
            inner.apply(kind, body, namespace=where)
        else:
            # An apply would leave fields, and members of a set such as the actions, that somebody else has written.
            version = {"resourceVersion": present["metadata"].get("resourceVersion")}
            inner.replace(kind, body | {"metadata": body["metadata"] | version}, namespace=where)


def check_wall(inner: InnerApi) -> list[Finding]:
    """Find the parts of the wall that are missing, or not as they are declared.

    A wall with a hole is a gate that does not close; without its grant, an open gate refuses every pod.
    """
    found: list[Finding] = []
    for body in build_gate()[1:]:
        name, where = body["metadata"]["name"], body["metadata"].get("namespace")
        present = inner.fetch(KINDS[body["kind"]], name, namespace=where)
        what = f"{body['kind']} {name}"
        if present is None:
            found.append(_find(what, "is not there"))
        else:
            found += [_find(f"{what}, {path}", seen) for path, seen in _compare(body, present)]
    record = inner.fetch(resources.CONFIG_MAPS, names.GATE, namespace=names.NAMESPACE_KINKY)
    if record is None:
        found.append(_find(f"{resources.CONFIG_MAPS.kind} {names.GATE}", "is not there"))
    elif (record.get("data") or {}).get(STATE_KEY) == OPEN and not is_granted(inner):
        found.append(_find(f"{resources.ROLE_BINDINGS.kind} {names.GATE}", "is not there, which opens the gate"))
    return found


def is_granted(inner: InnerApi) -> bool:
    """Tell whether the gate is open: the account has the right that the policy asks for."""
    return inner.fetch(resources.ROLE_BINDINGS, names.GATE, namespace=names.NAMESPACE_KINKY) is not None


def _find(subject: str, seen: str) -> Finding:
    return Finding(
        code="gate.wall", severity=Severity.CRITICAL, subject=subject, seen=seen, hint="kinky gate open makes it again"
    )


def _compare(body: JsonObject, present: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield where and how what is there differs from what is declared, without names, labels and status."""
    for key in body.keys() - set(_NAMED):
        yield from _differ(key, body[key], present.get(key))


def _differ(path: str, wanted: Any, found: Any) -> Iterator[tuple[str, str]]:
    """Yield the path and the difference of each value; an undeclared empty value is a default of the API's.

    One that is not empty may narrow what the wall refuses, such as a condition or an excluded rule.
    """
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key in sorted(wanted.keys() | found.keys()):
            if key in wanted or found[key]:
                yield from _differ(f"{path}.{key}", wanted.get(key), found.get(key))
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _differ(f"{path}[{number}]", one, other)
    elif wanted != found:
        yield path, f"is {_show(found)}, declared is {_show(wanted)}"


def _show(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)
