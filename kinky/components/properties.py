"""Frozen dataclasses as Pulumi's properties, and back: what goes into a live step, and what comes out of it.

In the program, a field may hold an `Output` in place of its value (`later`): Pulumi knows the value before the step
runs. So the program hands such a field on and never looks at it. In the step's own process each field is its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum, auto
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import pulumi

Properties: TypeAlias = dict[str, Any]
"""A resource in Pulumi's state: plain values by name."""
T = TypeVar("T")


class Mark(Enum):
    """How a step takes another value of an input; an input without a mark makes the step run again."""

    LIMIT = auto()
    IDENTITY = auto()


Limit: TypeAlias = Annotated[float, Mark.LIMIT]
"""Seconds to wait: how long, not what for, so another limit alone runs nothing again."""
Identity: TypeAlias = Annotated[str, Mark.IDENTITY]
"""Makes it another thing when it changes, so that the old one is deleted first."""

_NUMBERS: Final = (int, float)


def later(value: pulumi.Output[T]) -> T:
    """Return an output as the field that it becomes once Pulumi knows the value."""
    return cast(T, value)


def describe(given: Any) -> Any:
    """Return a value as Pulumi keeps it: a dataclass becomes a dict without what is None, a tuple becomes a list."""
    if is_dataclass(given) and not isinstance(given, type):
        values = {field.name: describe(getattr(given, field.name)) for field in fields(given)}
        return {name: value for name, value in values.items() if value is not None}
    return [describe(each) for each in given] if isinstance(given, list | tuple) else given


def parse(kind: type[T], properties: Mapping[str, Any]) -> T:
    """Return the dataclass that `describe` described; other properties are left out.

    Raises:
        TypeError: A field without a default is missing, or is of another type.
    """
    hints = find_hints(kind)
    known = {name: _parse_value(name, hint, properties[name]) for name, hint in hints.items() if name in properties}
    # `describe` leaves out what is None.
    absent = {
        field.name: None
        for field in fields(cast(Any, kind))
        if field.name not in known and field.default is MISSING and NoneType in get_args(hints[field.name])
    }
    return kind(**known, **absent)


def find_hints(kind: type[Any]) -> dict[str, Any]:
    """Return the type of each field, with its marks."""
    return get_type_hints(kind, include_extras=True)


def find_marked(kind: type[Any], mark: Mark) -> tuple[str, ...]:
    """Return the names of the fields that carry the mark."""
    return tuple(name for name, hint in find_hints(kind).items() if mark in getattr(hint, "__metadata__", ()))


def _parse_value(name: str, hint: Any, value: Any) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _parse_value(name, parts[0], value)
    if origin in (Union, UnionType):
        return (
            None if value is None else _parse_value(name, next(part for part in parts if part is not NoneType), value)
        )
    if is_dataclass(hint):
        return parse(cast(type[Any], hint), value)
    if origin is tuple:
        return tuple(_parse_value(name, parts[0], each) for each in value)
    if hint in _NUMBERS:
        # The engine has one kind of number.
        return hint(value)
    wanted = origin or hint
    if wanted is not Any and not isinstance(value, wanted):
        raise TypeError(f"property {name}: {type(value).__name__} instead of {wanted.__name__}")
    return value
