"""The resource definitions that External Secrets needs, from its module, cut down to what the node image serves.

Most of them describes other stores and versions that are not served; an emulated API server took up to 47 s over the
whole, and Pulumi's state keeps it several times.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import yaml

from kinky.errors import KinkyError

_DEFINITIONS: Final = (
    "external-secrets.io_externalsecrets",
    "external-secrets.io_secretstores",
    "external-secrets.io_clustersecretstores",
    # Its controller cannot be switched off and ends the program when the kind is not served.
    "generators.external-secrets.io_generatorstates",
)
_PROVIDERS: Final = ("kubernetes", "vault")
"""The providers that toolchain/tools.toml leaves in the program."""


def write_crds(target: Path, *, module: Path) -> None:
    """Write the definitions of an unpacked External Secrets module as one JSON list.

    Raises:
        KinkyError: The module does not hold what is expected.
    """
    items = []
    for name in _DEFINITIONS:
        source = module / "config/crds/bases" / f"{name}.yaml"
        if not source.exists():
            raise KinkyError(f"no definition of {name} in External Secrets: {source} is absent")
        items.append(cut_definition(yaml.safe_load(source.read_text())))
    target.write_text(json.dumps(items, sort_keys=True))


def cut_definition(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a CustomResourceDefinition without descriptions, versions that are not served, and other stores."""
    cut: dict[str, Any] = _strip(definition, names_are_properties=False)
    cut["spec"]["versions"] = [version for version in cut["spec"]["versions"] if version["served"]]
    for version in cut["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        if "provider" in spec:
            offered = spec["provider"]["properties"]
            spec["provider"]["properties"] = {name: offered[name] for name in _PROVIDERS}
    return cut


def _strip(value: Any, *, names_are_properties: bool) -> Any:
    """Leave out descriptions; a property that is called description stays."""
    if isinstance(value, list):
        return [_strip(item, names_are_properties=False) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _strip(item, names_are_properties=key == "properties" and not names_are_properties)
        for key, item in value.items()
        if names_are_properties or key != "description" or not isinstance(item, str)
    }
