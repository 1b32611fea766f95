"""The common base of all sections of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class Changes:
    """How an existing cluster takes a new value of a field; it is in the field's metadata."""

    how: str
    """The text in docs/configuration.md."""
    because: str = ""
    """Why an existing cluster cannot take it; empty when it can."""


FREELY: Final = Changes("by `up`")
AT_RESTART: Final = Changes("when the node's VM restarts")


def never(because: str) -> Changes:
    """Return the mark of a field that an existing cluster cannot change; such a change is refused."""
    return Changes("needs a new cluster", because)


class Section(BaseModel):
    """The base of all sections: frozen, camelCase in files, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )
