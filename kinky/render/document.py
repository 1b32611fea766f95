"""Kubernetes' documents as YAML that Go reads as it was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

_GO_READS_OTHERWISE: Final = re.compile(
    r"^([yYnN]|[-+]?(0[box][0-9a-fA-F_]+|(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?))$"
)
"""To Go's YAML `y` is true and `1e3` a number; PyYAML knows neither, and would write such a text without quotes."""


class _Dumper(yaml.SafeDumper):
    """Quotes each text that either of the two would take for anything but a text."""


_Dumper.add_implicit_resolver("!go", _GO_READS_OTHERWISE, list("yYnN-+.0123456789"))


def render_document(document: Mapping[str, Any]) -> str:
    """Return one document as YAML, its keys in their order and no line of it folded."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)
