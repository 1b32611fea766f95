"""What all sections of a configuration have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class Changes:
    """How an existing cluster takes another value of a field; it stands in the field's metadata."""

    how: str
    """As docs/configuration.md has it."""
    because: str = ""
    """Why an existing cluster cannot; empty when it can."""


FREELY: Final = Changes("by `up`")
AT_RESTART: Final = Changes("when the node's VM restarts")


def never(because: str) -> Changes:
    """Return that an existing cluster cannot follow such a change, which is refused then."""
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
