"""Compares a configuration with the settings that a cluster was made with, to find changes that need a new cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kinky.config.model import KinkyConfig, Pool
from kinky.config.problem import KeyPath, Problem, format_key
from kinky.config.section import Changes


@dataclass(frozen=True)
class Setting:
    """One key of a configuration with its value."""

    key: KeyPath
    """A worker's keys have the pool's name instead of its number, because the order may change."""
    value: Any
    changes: Changes


def list_settings(cfg: KinkyConfig) -> list[Setting]:
    """Return every key with a single value, and how an existing cluster takes a new value."""
    return list(_walk((), cfg))


def list_fixed(cfg: KinkyConfig) -> dict[str, Any]:
    """Return the settings that an existing cluster cannot change, by their key, as JSON values."""
    return {format_key(each.key): each.value for each in list_settings(cfg) if each.changes.because}


def find_changes(made_with: Mapping[str, Any], cfg: KinkyConfig) -> list[Problem]:
    """Return the changes that the cluster cannot follow; a new or removed pool is not such a change.

    Args:
        made_with: The result of `list_fixed` when the cluster was made.
    """
    return [
        Problem(
            each.key,
            each.value,
            f"the cluster was made with {json.dumps(made_with[format_key(each.key)])}; this needs a new cluster: "
            f"{each.changes.because}",
        )
        for each in list_settings(cfg)
        if each.changes.because and made_with.get(format_key(each.key), each.value) != each.value
    ]


def find_marks(field: FieldInfo) -> list[Changes]:
    """Return the marks of a field about its changes: exactly one if it has a single value."""
    return [each for each in field.metadata if isinstance(each, Changes)]


def _walk(prefix: KeyPath, section: BaseModel) -> Iterator[Setting]:
    written = section.model_dump(mode="json", by_alias=True)
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), field.alias or name
        if isinstance(value, BaseModel):
            yield from _walk((*prefix, key), value)
        elif isinstance(value, tuple) and name == "workers":
            for pool in value:
                yield from _walk_pool(key, pool)
        else:
            yield from (Setting((*prefix, key), written[key], mark) for mark in find_marks(field))


def _walk_pool(key: str, pool: Pool) -> Iterator[Setting]:
    return _walk((key, pool.pool), pool)
