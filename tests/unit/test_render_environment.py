from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kinky.errors import KinkyError
from kinky.render import environment
from kinky.render.node import check_templates

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def refusal(folder: Path, text: str, *provided: str) -> str:
    write(folder, "worker/user-data.yaml.j2", text)
    with pytest.raises(KinkyError) as caught:
        environment.check_template("worker/user-data.yaml.j2", provided, directory=folder)
    return str(caught.value).replace(f"{folder}/", "")


@given(ANY_TEXT)
def test_any_text_stays_one_value(text: str) -> None:
    assert yaml.safe_load(f"a: {environment.quoted(text)}\nb: 1\n") == {"a": text, "b": 1}
    assert yaml.safe_load(f"- a: {environment.block(text, 4)}\n  b: 1\n") == [{"a": text, "b": 1}]


@pytest.mark.parametrize(
    "value", [None, True, 0, 1.5, ["a: b", "'"], {"k": "- x\n"}, "no", "0644", "\u2028\x85\U0001f600"]
)
def test_values_of_every_kind_are_quoted(value: object) -> None:
    assert yaml.safe_load(environment.quoted(value)) == value


def test_a_readable_text_becomes_a_block() -> None:
    assert environment.block("a: 1\nb: 2\n", 4) == "|\n    a: 1\n    b: 2"


def test_a_text_that_no_block_can_hold_is_quoted() -> None:
    for text in ("  leading", "tail\n\n\n", "bell\x07"):
        assert environment.block(text, 4).startswith('"')


def test_a_template_renders_with_its_parts(tmp_path: Path) -> None:
    write(tmp_path, "parts/list.j2", "{% for name in names %}\n- {{ name | quoted }}\n{% endfor %}\n")
    write(tmp_path, "main.j2", 'names:\n{% include "parts/list.j2" %}\nlast: {{ last | quoted }}\n')
    text = environment.render("main.j2", {"names": ["a", "b: c"], "last": 1}, directory=tmp_path)
    assert yaml.safe_load(text) == {"names": ["a", "b: c"], "last": 1}


def test_an_unknown_variable_is_told_with_file_line_and_a_guess(tmp_path: Path) -> None:
    text = "#cloud-config\n\na: {{ endpoint | quoted }}\nb: {{ node_nmae | quoted }}\n"
    assert refusal(tmp_path, text, "endpoint", "node_name") == (
        'worker/user-data.yaml.j2:4: unknown variable "node_nmae"\n'
        "  this role provides: endpoint, node_name\n"
        "hint: did you mean node_name?"
    )


def test_an_unknown_variable_is_found_in_a_branch_that_is_not_taken(tmp_path: Path) -> None:
    message = refusal(tmp_path, "{% if a %}\nx: {{ zzz | quoted }}\n{% endif %}\n", "a")
    assert message == 'worker/user-data.yaml.j2:2: unknown variable "zzz"\n  this role provides: a'


def test_an_unknown_variable_is_found_in_an_included_part(tmp_path: Path) -> None:
    write(tmp_path, "parts/p.j2", "one: 1\ntwo: {{ tow | quoted }}\n")
    assert refusal(tmp_path, '{% include "parts/p.j2" %}\n', "two").startswith('parts/p.j2:2: unknown variable "tow"')


@pytest.mark.parametrize(
    "expression", ["name", "name | upper", "name | quoted | upper", '"x: " ~ name | quoted', "name if name else 'x'"]
)
def test_a_value_without_quoting_is_refused(tmp_path: Path, expression: str) -> None:
    assert refusal(tmp_path, f"a: 1\nb: {{{{ {expression} }}}}\n", "name").startswith(
        "worker/user-data.yaml.j2:2: a value is written without quoting\n"
    )


def test_an_unquoted_value_is_found_inside_a_loop(tmp_path: Path) -> None:
    message = refusal(tmp_path, "{% for n in names %}\n{% if n %}\n- {{ n }}\n{% endif %}\n{% endfor %}\n", "names")
    assert message.startswith("worker/user-data.yaml.j2:3: a value is written without quoting")


@pytest.mark.parametrize(
    "statement",
    [
        '{% set x = "y" %}',
        "{% macro m() %}a{% endmacro %}",
        '{% extends "base.j2" %}',
        "{% filter upper %}a{% endfilter %}",
        "{% block b %}a{% endblock %}",
    ],
)
def test_logic_beyond_if_for_include_is_refused(tmp_path: Path, statement: str) -> None:
    assert refusal(tmp_path, f"a: 1\n{statement}\n").startswith(
        "worker/user-data.yaml.j2:2: a template may use only if, for and include\n"
    )


def test_a_missing_part_and_a_syntax_error_are_told(tmp_path: Path) -> None:
    assert refusal(tmp_path, '{% include "parts/none.j2" %}\n') == "parts/none.j2: there is no such template"
    assert refusal(tmp_path, "a: 1\nb: {{ name | quoted }\n", "name").startswith("worker/user-data.yaml.j2:2: ")
    assert refusal(tmp_path, "a: 1\nb: {{ name | quote | quoted }}\n", "name").startswith(
        "worker/user-data.yaml.j2:2: No filter named 'quote'"
    )


def test_a_missing_attribute_is_told_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "main.j2", "a: 1\nb: {{ node.adress | quoted }}\n")
    with pytest.raises(KinkyError) as caught:
        environment.render("main.j2", {"node": {"address": "x"}}, directory=tmp_path)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith("main.j2:2: ")
    assert "adress" in str(caught.value)


def test_the_templates_of_this_checkout_are_right() -> None:
    check_templates()


def test_every_template_is_used_and_every_role_has_the_same_files() -> None:
    folder = environment.templates_dir()
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.j2")}
    roles = {f"{role}/{name}.yaml.j2" for role in ("control-plane", "worker") for name in ("user-data", "network-data")}
    assert found == roles | {"parts/node.j2", "parts/network.j2"}
