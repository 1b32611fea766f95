"""Dataclasses on their way through Pulumi's state and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from kinky.components.properties import Identity, Limit, Mark, describe, find_marked, parse


@dataclass(frozen=True)
class Part:
    name: str
    port: int | None = None


@dataclass(frozen=True, kw_only=True)
class Whole:
    node: Identity
    ready: bool
    hours: int
    parts: tuple[Part, ...]
    first: Part
    store: Mapping[str, Any]
    context: str | None
    later_added: str = "a default"
    limit_seconds: Limit


WHOLE = Whole(
    node="n",
    ready=True,
    hours=2,
    parts=(Part("a", 1), Part("b")),
    first=Part("c", 3),
    store={"kind": "vault"},
    context=None,
    limit_seconds=1.0,
)


def through_engine(value: Any) -> Any:
    """Return the value as the engine gives it back: all of its numbers are floats."""
    if isinstance(value, dict):
        return {key: through_engine(each) for key, each in value.items()}
    if isinstance(value, list):
        return [through_engine(each) for each in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_a_dataclass_survives_the_way_through_the_state() -> None:
    found = parse(Whole, through_engine(describe(WHOLE)))
    assert found == WHOLE
    assert all(type(number) is int for number in (found.hours, found.first.port))


def test_what_is_none_is_not_in_the_state() -> None:
    described = describe(WHOLE)
    assert "context" not in described
    assert described["parts"] == [{"name": "a", "port": 1}, {"name": "b"}]


def test_other_properties_are_left_out_and_a_default_stands_in() -> None:
    described = {key: value for key, value in describe(WHOLE).items() if key != "later_added"}
    assert parse(Whole, {**described, "__provider": "x"}) == WHOLE


@pytest.mark.parametrize("broken", [{"node": 1}, {"ready": "yes"}, {"store": None}])
def test_a_property_of_another_type_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"^property {next(iter(broken))}: .* instead of "):
        parse(Whole, describe(WHOLE) | broken)


def test_a_missing_property_is_refused() -> None:
    with pytest.raises(TypeError, match="hours"):
        parse(Whole, {key: value for key, value in describe(WHOLE).items() if key != "hours"})


def test_marks_are_found() -> None:
    assert find_marked(Whole, Mark.LIMIT) == ("limit_seconds",)
    assert find_marked(Whole, Mark.IDENTITY) == ("node",)
