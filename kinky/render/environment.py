"""The one Jinja2 environment: unknown names and unquoted values are errors, with file:line."""

from __future__ import annotations

import difflib
import functools
import json
import textwrap
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import jinja2
import yaml
from jinja2 import meta, nodes

from kinky import paths
from kinky.errors import KinkyError

QUOTING_FILTERS: Final = ("quoted", "block")
"""Each turns any text into one YAML value; a template may emit nothing that did not pass one of them last."""

_STATEMENTS: Final = (nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Include)
_BLOCK_LISTS: Final = ("body", "elif_", "else_", "nodes")


def templates_dir() -> Path:
    """Return the folder with the templates of this checkout."""
    return paths.data_root() / "templates"


def quoted(value: object) -> str:
    """Return the value as JSON that every YAML parser reads back unchanged, whatever it holds."""
    _refuse_undefined(value)
    text = json.dumps(value, ensure_ascii=False)
    return "".join(character if " " <= character <= "~" else _escaped(character) for character in text)


def block(value: object, indent: int) -> str:
    """Return a text as a literal YAML block, which people can read; quoted when a block would not keep every byte.

    Args:
        indent: columns of the block's lines, deeper than the key it belongs to.
    """
    _refuse_undefined(value)
    if not isinstance(value, str):
        raise TypeError(f"block() takes text, not {type(value).__name__}")
    literal = "|\n" + textwrap.indent(value, " " * indent).rstrip("\n")
    return literal if _reads_back(literal, value) else quoted(value)


def render(name: str, arguments: Mapping[str, object], *, directory: Path | None = None) -> str:
    """Return the rendered template; raise KinkyError with file and line when it cannot be rendered."""
    folder = directory or templates_dir()
    check_template(name, sorted(arguments), directory=folder)
    try:
        return _environment(folder).get_template(name).render(arguments)
    except jinja2.UndefinedError as error:
        raise KinkyError(f"{_failing_line(error, folder, name)}: {error.message}") from error


def check_template(name: str, provided: Sequence[str], *, directory: Path | None = None) -> None:
    """Check a template and all that it includes without rendering it; raise KinkyError with file and line."""
    _check(name, tuple(provided), directory or templates_dir())


@functools.cache
def _check(name: str, provided: tuple[str, ...], folder: Path) -> None:
    """Check once what every node of a role renders; a failure is not kept."""
    environment = _environment(folder)
    waiting = [name]
    while waiting:
        current = waiting.pop()
        tree = _parse(environment, folder, current)
        _check_statements(tree, folder / current)
        _check_names(tree, folder / current, provided)
        waiting.extend(included for included in meta.find_referenced_templates(tree) if included)


@functools.cache
def _environment(folder: Path) -> jinja2.Environment:
    """Return the environment of a folder; kept, because a stack renders the same few templates hundreds of times."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,  # an included part must not run into the next line
        autoescape=False,  # noqa: S701 - HTML escaping would corrupt YAML; the quoting filters are enforced instead
    )
    environment.filters.update({"quoted": quoted, "block": block})
    return environment


def _parse(environment: jinja2.Environment, folder: Path, name: str) -> nodes.Template:
    loader = environment.loader
    try:
        if loader is None:
            raise jinja2.TemplateNotFound(name)
        source = loader.get_source(environment, name)[0]
        environment.compile(source, name=name)  # finds unknown filters and tests, which parsing does not
        return environment.parse(source, name=name)
    except jinja2.TemplateNotFound as error:
        raise KinkyError(f"{_shown(folder / name)}: there is no such template") from error
    except jinja2.TemplateSyntaxError as error:
        raise KinkyError(f"{_shown(folder / name)}:{error.lineno}: {error.message}") from error


def _check_statements(tree: nodes.Node, path: Path) -> None:
    for node in _statements(tree):
        if not isinstance(node, _STATEMENTS):
            raise KinkyError(
                f"{_shown(path)}:{node.lineno}: a template may use only if, for and include",
                hint="compute the value in kinky/render and pass it to the template",
            )
        if not isinstance(node, nodes.Output):
            continue
        for value in node.nodes:
            if isinstance(value, nodes.TemplateData):
                continue
            if not (isinstance(value, nodes.Filter) and value.name in QUOTING_FILTERS):
                raise KinkyError(
                    f"{_shown(path)}:{value.lineno}: a value is written without quoting",
                    details=["any text must stay one YAML value, whatever it holds"],
                    hint="end the expression with a quoting filter: {{ name | quoted }} or {{ text | block(4) }}",
                )


def _statements(tree: nodes.Node) -> Iterator[nodes.Node]:
    """Yield every statement of a template, however deep, but not the expressions in them."""
    for field in _BLOCK_LISTS:
        for child in getattr(tree, field, []) if not isinstance(tree, nodes.Output) else []:
            yield child
            yield from _statements(child)


def _check_names(tree: nodes.Template, path: Path, provided: Sequence[str]) -> None:
    unknown = meta.find_undeclared_variables(tree) - set(provided)
    found = [node for node in tree.find_all(nodes.Name) if node.name in unknown]
    if not found:
        return
    first = min(found, key=lambda node: node.lineno)
    close = difflib.get_close_matches(first.name, provided, n=1)
    raise KinkyError(
        f'{_shown(path)}:{first.lineno}: unknown variable "{first.name}"',
        details=["this role provides: " + ", ".join(sorted(provided))],
        hint=f"did you mean {close[0]}?" if close else None,
    )


def _failing_line(error: BaseException, folder: Path, name: str) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(folder))]
    return f"{_shown(Path(frames[-1].filename))}:{frames[-1].lineno}" if frames else _shown(folder / name)


def _shown(path: Path) -> str:
    root = paths.data_root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _refuse_undefined(value: object) -> None:
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises UndefinedError with the attribute's name; json would only name the type


def _escaped(character: str) -> str:
    # YAML knows no surrogate pairs, and folds U+0085 and U+2028 inside quotes as line breaks.
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def _reads_back(literal: str, value: str) -> bool:
    try:
        return bool(yaml.safe_load(f"key: {literal}\nnext: 1\n") == {"key": value, "next": 1})
    except yaml.YAMLError:
        return False
