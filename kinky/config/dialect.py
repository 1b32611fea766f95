"""Stack files as Pulumi reads them: the same values from the same text, or a refusal that names the line.

Pulumi reads YAML with yaml.v3 of Go, which is close to YAML 1.2: `yes` and `1:30` are texts, `0o17` is a number, a key
must not be written twice. PyYAML alone follows YAML 1.1. So only its parser is used here, and each plain value is read
by the rules of yaml.v3. A value for which the two cannot agree, such as a date, is refused.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Final, cast

import yaml

from kinky.config.load import NAMESPACE
from kinky.errors import ConfigError

_CORE: Final = "tag:yaml.org,2002:"
_PLAIN: Final = "plain"
"""Our tag of a value that is written without quotes and without a tag."""
_KINDS: Final = ("str", "int", "float", "bool", "null")
_BOOLEANS: Final = {text: text.lower() == "true" for text in ("true", "True", "TRUE", "false", "False", "FALSE")}
_NULLS: Final = ("", "~", "null", "Null", "NULL")
_DATE: Final = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(([Tt]\d\S*(Z|[-+]\d\d:\d\d)| [\d:.]+))?")
_ENDLESS: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGERS: Final = (
    (re.compile(r"[-+]?0[bB][01]+"), 2),
    (re.compile(r"[-+]?0[oO]?[0-7]+"), 8),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), 10),
)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LARGEST_INTEGER: Final = 2**64 - 1
_LARGEST_PLAIN: Final = 1e21
"""From here on Go writes a number with an exponent, so every reader takes it for a float."""
_FOREIGN_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\/")
_MOST_VALUES: Final = 100_000
"""Aliases of aliases grow without end; yaml.v3 refuses them too."""
_QUOTE: Final = "put it in quotes if it is meant as text"
_UNTOUCHED: Final = "nothing has been touched; docs/troubleshooting.md describes the YAML of a stack file"


def parse_stack_file(text: str, *, source: str) -> object:
    """Return the content of the text; the keys below `config` have their namespace.

    Raises:
        ConfigError: It is not YAML, or not the YAML that Pulumi accepts; the message names the line.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    # For a character that YAML does not allow, the reader raises a ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: not YAML", details=_explain(error), hint=_UNTOUCHED) from None
    if root is None:
        return None
    reader = _Reader()
    document = reader.read(root)
    if isinstance(document, dict) and isinstance(document.get("config"), dict):
        document["config"] = _name_keys(document["config"], reader.problems)
    if reader.problems:
        # A node with aliases is read more than once.
        details = list(dict.fromkeys(reader.problems))
        raise ConfigError(f"{source}: not the YAML that Pulumi accepts", details=details, hint=_UNTOUCHED)
    return document


class _Loader(yaml.BaseLoader):
    """PyYAML's parser, with our tag on plain values, so that the rules of YAML 1.1 do not apply."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: Any) -> str:
        """Return the tag of a node without a tag."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]

    def process_directives(self) -> Any:
        """Refuse the versions of YAML that yaml.v3 refuses."""
        found = super().process_directives()  # type: ignore[no-untyped-call]
        if self.yaml_version not in (None, (1, 1)):
            start = self.peek_token().start_mark  # type: ignore[no-untyped-call]
            raise yaml.parser.ParserError(None, None, "Pulumi takes no version but %YAML 1.1", start)
        return found


class _Reader:
    """Turns nodes into values and collects the problems."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._left = _MOST_VALUES
        self._inside: list[yaml.Node] = []
        """The nodes around the current one: an alias may lead back to one of them."""

    def read(self, node: yaml.Node) -> object:
        """Return the value of a node."""
        self._left -= 1
        if self._left == 0:
            self._refuse(node, f"aliases make more than {_MOST_VALUES} values of the file")
        if self._left <= 0:
            return None
        if any(node is outer for outer in self._inside):
            self._refuse(node, "an alias stands for a value that contains it")
            return None
        self._inside.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node)
            if isinstance(node, yaml.SequenceNode):
                self._expect(node, "seq")
                return [self.read(item) for item in node.value]
            return self._scalar(cast(yaml.ScalarNode, node))
        finally:
            self._inside.pop()

    def _mapping(self, node: yaml.MappingNode) -> dict[str, object]:
        self._expect(node, "map")
        merged: dict[str, object] = {}
        own: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in lines:
                self._refuse(key_node, f'the key "{key}" stands in line {lines[key]} already; write each key once')
            lines.setdefault(key, key_node.start_mark.line + 1)
            if key == "<<":
                merged = self._merge(value_node)
            else:
                own[key] = self.read(value_node)
        return merged | own

    def _merge(self, node: yaml.Node) -> dict[str, object]:
        """Return the mapping that `<<` stands for; of several, the first one wins."""
        found = self.read(node)
        merged: dict[str, object] = {}
        for part in reversed(found if isinstance(found, list) else [found]):
            if isinstance(part, dict):
                merged |= part
            else:
                self._refuse(node, "after << must come a mapping or a list of mappings")
        return merged

    def _key(self, node: yaml.Node) -> str:
        """Return a key as text, as Pulumi passes it on."""
        value = "<<" if node.value == "<<" else self.read(node)
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, str | int):
            self._refuse(node, f"a key must be text; {_QUOTE}")
        return str(value)

    def _scalar(self, node: yaml.ScalarNode) -> object:
        text, kind = str(node.value), node.tag.removeprefix(_CORE)
        if kind == _PLAIN:
            return self._plain(node, text)
        if kind not in _KINDS:
            self._refuse(node, f"the tag {node.tag} is not allowed; leave it out")
            return None
        if kind == "str":
            if node.style == '"' and _FOREIGN_ESCAPE.search(_written(node)):
                self._refuse(node, r"Pulumi does not take the escape \/; write the slash alone")
            return text
        value = self._plain(node, text)
        named = "null" if value is None else type(value).__name__
        if named != kind and (kind, named) != ("float", "int"):
            self._refuse(node, f"{text} is not a value for the tag !!{kind}; leave the tag out")
        return value

    def _plain(self, node: yaml.Node, text: str) -> object:
        """Return the value of a text without quotes."""
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if text in _NULLS:
            return None
        if _DATE.fullmatch(text):
            self._refuse(node, f"{text} is a date, which Pulumi passes on in another form; {_QUOTE}")
            return None
        if _ENDLESS.fullmatch(text):
            self._refuse(node, f"{text} is not a finite number; {_QUOTE}")
            return None
        return _parse_number(text)

    def _expect(self, node: yaml.Node, kind: str) -> None:
        if node.tag != f"{_CORE}{kind}":
            self._refuse(node, f"the tag {node.tag} is not allowed; leave it out")

    def _refuse(self, node: yaml.Node, what: str) -> None:
        mark = node.start_mark
        self.problems.append(f"line {mark.line + 1}, column {mark.column + 1}: {what}")


def _written(node: yaml.Node) -> str:
    """Return the node as it stands in the file."""
    return cast(str, node.start_mark.buffer)[node.start_mark.pointer : node.end_mark.pointer]


def _parse_number(text: str) -> object:
    """Return the number that yaml.v3 sees in a plain value, otherwise the text.

    Numbers are returned as Pulumi passes them on, in JSON: 8.0 is 8 there.
    """
    if not re.match(r"[-+.0-9]", text):
        return text
    bare = text.replace("_", "")
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(bare):
            number = int(re.sub(r"^([-+]?)0[bBoOxX]?(?=.)", r"\1", bare), base)
            if -(2**63) <= number <= _LARGEST_INTEGER:
                return number
    # In a number that begins with a dot, an underscore counts only between two digits.
    digits = re.sub(r"(?<=\d)_(?=\d)", "", text) if text.startswith(".") else bare
    if not _FLOAT.fullmatch(digits):
        return text
    value = float(digits)
    if math.isinf(value):
        return text
    return int(Decimal(repr(value))) if value.is_integer() and abs(value) < _LARGEST_PLAIN else value


def _name_keys(config: dict[str, object], problems: list[str]) -> dict[str, object]:
    """Return the configuration with the keys as Pulumi names them: a key without namespace is the project's."""
    named: dict[str, object] = {}
    for key, value in config.items():
        name = key if ":" in key else f"{NAMESPACE}{key}"
        parts = name.split(":")
        if len(parts) == 3 and parts[1] == "config":
            del parts[1]
        if len(parts) != 2:
            problems.append(f'config: Pulumi does not take the key "{key}"; write {NAMESPACE}<name>')
        name = ":".join(parts)
        if name in named:
            problems.append(f'config: the key "{key}" is written twice, in two spellings; write each key once')
        named[name] = value
    return named


def _explain(error: Exception) -> list[str]:
    """Return the reason of a parser's error and its line; its own text quotes the file, where a secret may be."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return [f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"]
    if isinstance(error, yaml.reader.ReaderError):
        return [f"position {error.position}: a character that YAML does not allow"]
    return ["nested too deeply" if isinstance(error, RecursionError) else type(error).__name__]
