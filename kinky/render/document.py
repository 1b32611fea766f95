"""Kubernetes' documents as YAML that Kubernetes' own library in Go reads with the same values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

_GO_READS_OTHERWISE: Final = re.compile(
    r"^([yYnN]|[-+]?(0[box][0-9a-fA-F_]+|(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?))$"
)
"""For Kubernetes' library `y` is true and `1e3` a number; PyYAML would write both texts without quotes."""


class _Dumper(yaml.SafeDumper):
    """Quotes each text that one of the two libraries would not read as a text."""


_Dumper.add_implicit_resolver("!go", _GO_READS_OTHERWISE, list("yYnN-+.0123456789"))


def render_document(document: Mapping[str, Any]) -> str:
    """Return one document as YAML, with its keys in their order and no folded line."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)
