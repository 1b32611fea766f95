"""Compares a configuration with the applied one: each change is made by `up`, waits for restarts, or is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kinky.config.model import KinkyConfig, Pool
from kinky.config.problem import KeyPath, Problem, format_key
from kinky.config.section import Changes

IMAGE_KEY: Final = ("image", "reference")


@dataclass(frozen=True)
class Setting:
    """One key of a configuration with its value."""

    key: KeyPath
    """A worker's keys have the pool's name instead of its number, because the order may change."""
    value: Any
    changes: Changes


@dataclass(frozen=True)
class Change:
    """A key that has another value than the cluster runs with."""

    setting: Setting
    before: Any


def list_settings(cfg: KinkyConfig, *, image: str = "") -> list[Setting]:
    """Return every key with a single value, and how an existing cluster takes a new value.

    Args:
        image: The node image that is used; it replaces an `image.reference` of null.
    """
    return [
        Setting(each.key, image, each.changes) if image and each.key == IMAGE_KEY else each for each in _walk((), cfg)
    ]


def list_values(cfg: KinkyConfig, *, image: str = "") -> dict[str, Any]:
    """Return all settings by their key, as JSON values; `image` as for `list_settings`."""
    return {format_key(each.key): each.value for each in list_settings(cfg, image=image)}


def list_fixed(cfg: KinkyConfig) -> dict[str, Any]:
    """Return the settings that an existing cluster cannot change, by their key, as JSON values."""
    return {format_key(each.key): each.value for each in list_settings(cfg) if each.changes.because}


def compare(applied: Mapping[str, Any], cfg: KinkyConfig, *, image: str = "") -> list[Change]:
    """Return all changes; a key that was not applied yet, such as one of a new pool, does not count.

    Args:
        applied: The result of `list_values` or `list_fixed` at an earlier time.
        image: The node image that is used, as for `list_settings`.
    """
    return [
        Change(each, before)
        for each in list_settings(cfg, image=image)
        if (before := applied.get(format_key(each.key), each.value)) != each.value
    ]


def find_refused(applied: Mapping[str, Any], cfg: KinkyConfig) -> list[Problem]:
    """Return the changes that need a new cluster, as problems; a new or removed pool is not such a change."""
    return [
        Problem(
            change.setting.key,
            change.setting.value,
            f"the cluster was made with {json.dumps(change.before)}; this needs a new cluster: "
            f"{change.setting.changes.because}",
        )
        for change in compare(applied, cfg)
        if change.setting.changes.because
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
