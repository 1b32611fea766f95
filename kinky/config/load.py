"""From a plain mapping to the model, with every problem told at once and in the user's own words.

Knows neither Pulumi nor files. Pydantic's errors end here.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kinky.config.check import check_config
from kinky.config.model import KinkyConfig
from kinky.config.problem import UNSHOWN, KeyPath, Problem, refuse

NAMESPACE: Final = "kinky:"
"""Prefix of our keys in a stack file and in what Pulumi hands over."""

SENTENCES: Final = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "invalid_key": "must be text; a key is a word",
    "model_type": "must be a mapping",
    "string_type": "must be text; put it in quotes",
    "tuple_type": "must be a list",
}
"""The message for each of pydantic's error types that the type of a value or a key can cause."""

UNITS: Final = {"Mib": "MiB", "Gib": "GiB", "Seconds": "seconds", "Hours": "hours"}

QUOTED: Final = re.compile(r"[0-9.]+|true|false")
"""A number or a truth value that is a text only because of its quotes."""

REQUIRED: Final[Mapping[str, object]] = {
    "cluster": {"name": "x"},
    "name": "x",
    "pool": "x",
    "address": "https://x",
}
"""Stand-ins for required keys, so that the rest can still be checked when one of them is wrong."""


def load_config(raw: Mapping[str, object], *, source: str) -> KinkyConfig:
    """Return the configuration that the mapping holds; its keys have no `kinky:` prefix.

    Args:
        source: The file's name as the user knows it, such as stacks/Pulumi.dev.yaml.

    Raises:
        ConfigError: It holds all problems, of single values and between them.
    """
    plain = copy.deepcopy(dict(raw))
    try:
        cfg = _validate(plain)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        refuse([*map(_field_problem, errors), *_problems_beside(plain, errors)], source=source)
        raise
    refuse(check_config(cfg), source=source)
    return cfg


def select_own(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values whose keys have our prefix, without the prefix; the others belong to other programs."""
    # In YAML a key can be a number.
    texts = {str(key): value for key, value in values.items()}
    return {key.removeprefix(NAMESPACE): value for key, value in texts.items() if key.startswith(NAMESPACE)}


def decode_values(values: Mapping[str, str]) -> dict[str, object]:
    """Return our values out of Pulumi's flat map of `namespace:key` to text, where mappings and lists are JSON.

    A text that is no JSON stays text, so that `workers: three` is reported as what the user wrote.
    """
    return {key: _decode(str(value)) for key, value in select_own(values).items()}


def _decode(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _validate(raw: Mapping[str, object]) -> KinkyConfig:
    # Only the written form of a key counts: two spellings of one key would be two ways to do one thing.
    return KinkyConfig.model_validate(dict(raw), by_alias=True, by_name=False)


def _field_problem(error: ErrorDetails) -> Problem:
    """Translate one of pydantic's errors."""
    key = _key(error)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return Problem(key, UNSHOWN, _unknown_key(key))
    if kind == "missing":
        return Problem(key, UNSHOWN, "is missing")
    # Then pydantic's input is the key itself, and not the value behind it.
    value = UNSHOWN if "[key]" in error["loc"] or kind == "invalid_key" else error["input"]
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return Problem(key, value, f"must be one of: {allowed}")
    advice = _unit(key) if kind == "int_type" else ""
    if kind in ("int_type", "float_type", "bool_type") and QUOTED.fullmatch(str(value)) and isinstance(value, str):
        advice += "; leave out the quotes"
    return Problem(key, value, SENTENCES.get(kind, error["msg"]) + advice)


def _unit(key: KeyPath) -> str:
    """Return the unit that the key's name ends with, for whoever wrote it into the value, as in 4Gi."""
    return next((f" of {unit}" for suffix, unit in UNITS.items() if str(key[-1]).endswith(suffix)), "")


def _key(error: ErrorDetails) -> KeyPath:
    return tuple(part for part in error["loc"] if part != "[key]")


def _unknown_key(key: KeyPath) -> str:
    """Return the sentence about an unknown key, with the nearest known one or all of them."""
    model = model_at(key[:-1])
    known = [field.alias or name for name, field in model.model_fields.items()] if model else []
    written = str(key[-1])
    # Compared in lower case, because the usual slip is the case of a letter.
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(written.lower().replace("_", ""), by_lower, n=1)
    if near:
        return f"unknown key; did you mean {by_lower[near[0]]}?"
    return f"unknown key; known here: {', '.join(known)}"


def model_at(key: KeyPath) -> type[BaseModel] | None:
    """Return the model that describes the mapping at a key path."""
    model: type[BaseModel] | None = KinkyConfig
    for part in key:
        if isinstance(part, int) or model is None:
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = _model_in(fields[part].annotation) if part in fields else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first model in an annotation such as `tuple[Pool, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _problems_beside(raw: Mapping[str, object], errors: list[ErrorDetails]) -> Iterator[Problem]:
    """Return the problems between those fields that are valid, when other fields are not."""
    wrong = [_without(part) for part in map(_key, errors)]
    pruned: dict[str, Any] = copy.deepcopy(dict(raw))
    for key in wrong:
        _prune(pruned, key)
    try:
        cfg = _validate(pruned)
    except ValidationError:
        return
    for problem in check_config(cfg):
        if not any(_touches(key, bad) for key in (problem.key, *problem.involves) for bad in wrong):
            yield problem


def _without(key: KeyPath) -> KeyPath:
    """Return the key to leave out for a wrong one: a whole list for one of its items, since places would shift."""
    return key[:-1] if key and isinstance(key[-1], int) else key


def _prune(raw: dict[str, Any], key: KeyPath) -> None:
    """Take the key out of the nested mapping, or put a stand-in there if it is required."""
    node: Any = raw
    for part in key[:-1]:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return
    if not key or not isinstance(node, dict):
        return
    last = str(key[-1])
    if last in REQUIRED and len(key) <= 3:
        node[last] = copy.deepcopy(REQUIRED[last])
    else:
        node.pop(last, None)


def _touches(key: KeyPath, wrong: KeyPath) -> bool:
    """Tell whether one of the two key paths lies within the other."""
    shared = min(len(key), len(wrong))
    return key[:shared] == wrong[:shared]
