"""Files that are generated from the model: the JSON schema for editors, the reference page, Pulumi's project file.

`kinky generate` writes them; `tests/unit/cli/test_generate.py` fails when one is stale.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from kinky.config.change import find_marks
from kinky.config.load import NAMESPACE, model_at
from kinky.config.model import KinkyConfig

Schema = dict[str, Any]

DEFINITION: Final = "#/$defs/"

PROJECT_HEAD: Final = """\
# Pulumi's project file. Everything below `config` is generated from kinky/config/model.py: kinky generate
# The keys have no `type` on purpose: Pulumi would stop at the first wrong one, KinKy reports all of them together.
"""
PROJECT: Final[Mapping[str, object]] = {
    "name": "kinky",
    "description": "Kubernetes clusters inside KubeVirt virtual machines",
    "runtime": {"name": "python", "options": {"toolchain": "pip", "virtualenv": ".venv"}},
    "stackConfigDir": "stacks",
}

PAGE_HEAD: Final = """\
# Configuration

Generated from kinky/config/model.py by `kinky generate`; do not edit it here.

A stack's file is `stacks/Pulumi.<stack>.yaml`. Everything is below `config:`, each section's key has the prefix
`kinky:`, and only `kinky:cluster` with a `name` is required. `stacks/Pulumi.dev.yaml` is a commented example. Editors
that read the first line of a stack's file complete and check its keys with `stacks/schema.json`. `kinky` and `pulumi`
report all problems of a file together before anything is touched.

The last column shows how an existing cluster takes a new value. A change that needs a new cluster is refused before
anything is touched. One that waits for restarts is announced by `kinky preview`, with the nodes; after `kinky up`, the
nodes that still run with the old value are listed as `restart pending`, with the command that restarts one.

## Relative paths

| Where the path is | It starts at |
|---|---|
| a stack's file: `host.kubeconfig`, `image.archive`, `secretsStore.vault.caFile` | the checkout |
| an argument, such as `--file` or `--add` | the folder of the caller |
| a variable, such as `KUBECONFIG`, `KINKY_STATE_DIR`, `PULUMI_CONFIG_PASSPHRASE_FILE` | the folder of the caller |

A `~` is the home directory in all of them. `kinky env` prints the variables with absolute paths, because Pulumi runs
its programs in other folders. Plain `pulumi` without `kinky env` starts at the checkout everywhere.

## The kubeconfig of the host

`kinky`, `kubectl` and Pulumi's Kubernetes provider read this file, and they must act as one identity. So KinKy follows
the rules of client-go. It refuses every other key by name, before anything is sent:

| Key | Treatment |
|---|---|
| `server` | `https://` only; without a scheme, `kubectl` would use `http` |
| `insecure-skip-tls-verify`, `auth-provider` | refused |
| paths of certificates, keys and tokens, an `exec` command with a `/` | absolute only, see below |
| a key beside the same key with `-data`, a token beside `username`, one name twice | refused, as by `kubectl` |
| `proxy-url` | an `http` or `https` proxy; it has precedence over the variables |
| `as`, `as-uid`, `as-groups`, `as-user-extra` | all calls act as that user |
| `tokenFile` | has precedence over `token`; it is read again for each call |
| `exec` | versions `v1` and `v1beta1`, without a terminal; its failure ends the command |
| a user that is absent, or has no credential | refused: it would act as `system:anonymous` |

For a relative path in this file, `kubectl` starts at the file's folder, and Pulumi's provider at the checkout.
`kubectl config view --raw --flatten` prints the file with the content of certificates and keys instead of their paths.

## Proxies

`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count in both spellings, by the rules of Go's library, for the host's API and
for a secrets store's server. A proxy without a scheme is an `http` proxy. Calls to this machine itself (`localhost`,
`127.0.0.0/8`, `::1`) never use a proxy. `kinky up` and `kinky env` add these to `NO_PROXY` and `no_proxy`, because
Pulumi's own parts use them. Calls to the inner API never use a proxy. An error names the proxy in use.
"""


def schema_text() -> str:
    """Return stacks/schema.json: the JSON schema of a stack's file."""
    return json.dumps(build_schema(), indent=2, ensure_ascii=False) + "\n"


def documentation_text() -> str:
    """Return docs/configuration.md, without what other layers add at its end."""
    return "\n".join([PAGE_HEAD, *_sections()])


def project_text() -> str:
    """Return Pulumi.yaml."""
    document = {**PROJECT, "config": build_project_config()}
    return PROJECT_HEAD + yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True)


def build_schema() -> Schema:
    """Return the JSON schema of a stack's file, which also holds what Pulumi itself puts there."""
    model = KinkyConfig.model_json_schema(by_alias=True)
    config = {
        "type": "object",
        "properties": {f"{NAMESPACE}{key}": value for key, value in model["properties"].items()},
        "required": [f"{NAMESPACE}{key}" for key in model["required"]],
        # Keys of providers are allowed; ours are all known.
        "patternProperties": {f"^(?!{NAMESPACE})": {}},
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The file of a KinKy stack",
        "type": "object",
        "properties": {"config": config},
        "required": ["config"],
        "$defs": model["$defs"],
    }


def build_project_config() -> dict[str, dict[str, object]]:
    """Return the section `config` of Pulumi.yaml: description and default of each key."""
    defaults = KinkyConfig.model_validate({"cluster": {"name": "x"}}).model_dump(mode="json", by_alias=True)
    # The namespace follows from the cluster's name, so that its default is the empty text.
    defaults["host"]["namespace"] = ""
    declared: dict[str, dict[str, object]] = {}
    for key, section in _top_level():
        declared[f"{NAMESPACE}{key}"] = {"description": section["description"]}
        if key != "cluster":
            declared[f"{NAMESPACE}{key}"]["default"] = defaults[key]
    return declared


def _top_level() -> Iterator[tuple[str, Schema]]:
    """Yield each key with the schema of its section; for a list, of its items, described as the list is."""
    model = KinkyConfig.model_json_schema(by_alias=True)
    for key, found in model["properties"].items():
        section = _resolve(model, found.get("items", found))
        yield key, section | ({"description": found["description"], "list": True} if "items" in found else {})


def _resolve(model: Schema, schema: Schema) -> Schema:
    name = schema["$ref"].removeprefix(DEFINITION)
    found: Schema = model["$defs"][name]
    return found


def _sections() -> Iterator[str]:
    model = KinkyConfig.model_json_schema(by_alias=True)
    for key, section in _top_level():
        yield from _section((key,), section)
        for name, field in section["properties"].items():
            nested = [choice for choice in field.get("anyOf", ()) if "$ref" in choice]
            for choice in nested:
                yield from _section((key, name), _resolve(model, choice))


def _section(key: tuple[str, ...], section: Schema) -> Iterator[str]:
    yield f"## {NAMESPACE}{' '.join(key)}\n"
    yield f"{section['description']}{' A list; each item has:' if section.get('list') else ''}\n"
    yield "| Key | Value | Default | Meaning | Change takes effect |"
    yield "|---|---|---|---|---|"
    for name, field in section["properties"].items():
        cells = (f"`{name}`", _value(field), _default(field), field["description"], _change((*key, name)))
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
    yield ""


def _change(key: tuple[str, ...]) -> str:
    """Return how an existing cluster takes a new value."""
    model = model_at(key[:-1])
    fields = {} if model is None else {field.alias or name: field for name, field in model.model_fields.items()}
    (mark,) = find_marks(fields[key[-1]])
    return f"{mark.how}: {mark.because}" if mark.because else mark.how


def _default(field: Schema) -> str:
    if "default" not in field:
        return "required" if field.get("type") != "object" else "`{}`"
    return f"`{json.dumps(field['default'])}`"


def _value(field: Schema) -> str:
    """Return the type of a field in words."""
    if "$ref" in field:
        return "mapping, see below"
    if "anyOf" in field:
        return " or ".join(_value(choice) for choice in field["anyOf"])
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field["type"] == "array":
        return f"list of {_value(field['items'])}"
    return _plain(field)


def _plain(field: Schema) -> str:
    words = {
        "boolean": "true or false",
        "integer": "whole number",
        "null": "`null`",
        "number": "number",
        "object": "mapping of text to text",
        "string": "text",
    }
    if "minimum" in field:
        return f"{words[field['type']]}, {field['minimum']} to {field['maximum']}"
    return words[field["type"]]
