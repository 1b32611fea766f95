"""The resource definitions that External Secrets needs, from its module, without descriptions (most of their size)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from kinky import process
from kinky.errors import KinkyError
from kinky.nodeimage import recipe

_MODULE = "github.com/external-secrets/external-secrets"
_DEFINITIONS = (
    "external-secrets.io_externalsecrets",
    "external-secrets.io_secretstores",
    "external-secrets.io_clustersecretstores",
    # Its controller cannot be switched off and ends the program when the kind is not served.
    "generators.external-secrets.io_generatorstates",
)


def write_crds(target: Path, *, go: Path) -> None:
    """Write the definitions as one JSON list.

    Raises:
        KinkyError: The module does not hold what is expected.
    """
    bases = _module_folder(go) / "config/crds/bases"
    items = []
    for name in _DEFINITIONS:
        source = bases / f"{name}.yaml"
        if not source.exists():
            raise KinkyError(f"no definition of {name} in {_MODULE}: {source} is absent")
        items.append(strip_descriptions(yaml.safe_load(source.read_text())))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(items, sort_keys=True))


def strip_descriptions(value: Any) -> Any:
    """Return a schema without its descriptions; a property that is called description stays."""
    return _strip(value, names_are_properties=False)


def _strip(value: Any, *, names_are_properties: bool) -> Any:
    if isinstance(value, list):
        return [_strip(item, names_are_properties=False) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _strip(item, names_are_properties=key == "properties" and not names_are_properties)
        for key, item in value.items()
        if names_are_properties or key != "description" or not isinstance(item, str)
    }


def _module_folder(go: Path) -> Path:
    (version,) = (image.version for image in recipe.SYSTEM_IMAGES if image.name == "external-secrets")
    answer = process.run(
        [go, "mod", "download", "-json", f"{_MODULE}@{version}"],
        reason="find the External Secrets module",
        env={"GOFLAGS": "-mod=mod", "GOWORK": "off"},
        cwd=recipe.recipe_dir() / "web",
    )
    return Path(json.loads(answer)["Dir"])
