"""One YAML dialect: a stack file gives kinky the values that Pulumi gives the program, or is refused with the line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kinky.config.dialect import parse_stack_file
from kinky.config.load import decode_values
from kinky.errors import ConfigError
from kinky.stacks import file

# Recorded from yaml.v3 v3.0.1 in the way of Pulumi v3.250.0 (read, written again, read again, handed over as text).
PULUMI = {
    "yes": "yes",
    "no": "no",
    "on": "on",
    "OFF": "OFF",
    "y": "y",
    "True": "true",
    "tRue": "tRue",
    "0777": "511",
    "0o777": "511",
    "-0o7": "-7",
    "08": "8",
    "0o8": "0o8",
    "0x1F": "31",
    "0b101": "5",
    "1_000": "1000",
    "_1": "_1",
    "1:30": "1:30",
    "190:20:30": "190:20:30",
    "1e3": "1000",
    "1E5": "100000",
    "+1": "1",
    "1.": "1",
    "1.0": "1",
    "1.10": "1.1",
    ".5": "0.5",
    "._5": "._5",
    ".5_0": "0.5",
    "1e21": "1e+21",
    "1e400": "1e400",
    "18446744073709551615": "18446744073709551615",
    "18446744073709551616": "18446744073709552000",
    "2026-01-01T10:00:00": "2026-01-01T10:00:00",
    "~": "null",
    "": "null",
    "nULL": "nULL",
    "=": "=",
    "<<": "<<",
    "'5'": "5",
    "!!str 5": "5",
    "!!str yes": "yes",
    "!!float 5": "5",
    "{1: 2}": '{"1":2}',
    "{0777: x}": '{"511":"x"}',
    "{yes: 2}": '{"yes":2}',
    "{true: 2}": '{"true":2}',
    "{<<: {b: 1}, b: 2}": '{"b":2}',
    "{<<: [{a: 1}, {a: 2, b: 3}], c: 4}": '{"a":1,"b":3,"c":4}',
    '{"<<": {b: 1}}': '{"b":1}',
    "[on, 0o17, 1:30, 1.5]": '["on",15,"1:30",1.5]',
}


def read(value: str) -> object:
    found = parse_stack_file(f"config:\n  kinky:v: {value}\n", source="x.yaml")
    assert isinstance(found, dict)
    return found["config"]["kinky:v"]


def as_the_program_reads_it(text: str) -> object:
    return decode_values({"kinky:v": text})["v"]


@pytest.mark.parametrize(("value", "handed_over"), PULUMI.items())
def test_fault_17_a_value_is_what_pulumi_hands_to_the_program(value: str, handed_over: str) -> None:
    ours = read(value)
    # A text that looks like a number is not told from the number, once Pulumi hands over text.
    theirs = as_the_program_reads_it(handed_over)
    ours = as_the_program_reads_it(ours) if isinstance(ours, str) else ours
    assert (ours, type(ours)) == (theirs, type(theirs))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("config:\n  kinky:a: 1\n  kinky:a: 2\n", 'line 3, column 3: the key "kinky:a" stands in line 2 already'),
        ("config: {}\nconfig: {}\n", 'line 2, column 1: the key "config" stands in line 1 already'),
        ("config:\n  kinky:a: {b: 1,\n    b: 1}\n", 'line 3, column 5: the key "b" stands in line 2 already'),
        ("config:\n  kinky:a: [{b: 1, 'b': 2}]\n", 'the key "b" stands in line 2 already'),
        ('config:\n  kinky:a: {"1": x, 1: y}\n', 'the key "1" stands in line 2 already'),
        ("config:\n  a: 1\n  kinky:a: 1\n", 'config: the key "kinky:a" is written twice, in two spellings'),
        ("config:\n  kinky:config:a: 1\n  kinky:a: 1\n", "is written twice, in two spellings"),
        ("config:\n  kinky:a:b: 1\n", 'config: Pulumi does not take the key "kinky:a:b"'),
        ("config:\n  kinky:a: 2026-01-01\n", "line 2, column 12: 2026-01-01 is a date"),
        ("config:\n  kinky:a: 2026-1-1 10:00:00\n", "line 2, column 12: 2026-1-1 10:00:00 is a date"),
        ("config:\n  kinky:a: .inf\n", "line 2, column 12: .inf is not a finite number"),
        ("config:\n  kinky:a: .NaN\n", "line 2, column 12: .NaN is not a finite number"),
        ("config:\n  kinky:a: !!binary aGVsbG8=\n", "the tag tag:yaml.org,2002:binary is not allowed"),
        ("config:\n  kinky:a: !own x\n", "the tag !own is not allowed"),
        ("config:\n  kinky:a: !!set {b, c}\n", "the tag tag:yaml.org,2002:set is not allowed"),
        ("config:\n  kinky:a: !!bool yes\n", "yes is not a value for the tag !!bool"),
        ("config:\n  kinky:a: !!int 1.5\n", "1.5 is not a value for the tag !!int"),
        ("config:\n  kinky:a: {~: x}\n", "line 2, column 13: a key must be text"),
        ("config:\n  kinky:a: {[b]: x}\n", "line 2, column 13: a key must be text"),
        ("config:\n  kinky:a: {<<: 5}\n", "after << must come a mapping"),
        ("config:\n  kinky:a: &x {y: *x}\n", "an alias stands for a value that contains it"),
        ('config:\n  kinky:a: "\\/"\n', "Pulumi does not take the escape"),
        ("a: " + "[" * 3000, "nested too deeply"),
        (
            "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9)),
            "aliases make more than 100000 values of the file",
        ),
        ("config: {}\n---\nconfig: {}\n", "line 2, column 1: but found another document"),
        ("%YAML 1.2\n---\nconfig: {}\n", "Pulumi takes no version but %YAML 1.1"),
        ("config:\n\tkinky:a: 1\n", "line 2, column 1: found character"),
        ("config:\n  kinky:a: a\x07b\n", "a character that YAML does not allow"),
    ],
)
def test_fault_17_a_text_on_which_the_two_differ_is_refused_with_the_line(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_stack_file(text, source="x.yaml")
    assert str(caught.value).startswith("x.yaml: not ")
    assert any(problem in detail for detail in caught.value.details)


def test_fault_17_all_lines_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_stack_file("config:\n  a: 1\n  a: 2\n  b: 2026-01-01\n  c: &c {d: 1, d: 2}\n  e: *c\n", source="x.yaml")
    assert len(caught.value.details) == 3


def test_fault_17_a_section_that_is_written_twice_is_refused_before_it_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kinky.paths.project_root", lambda: tmp_path)
    (tmp_path / "stacks").mkdir()
    text = "config:\n  kinky:cluster: {name: one}\n  kinky:host: {embedded: true}\n  kinky:cluster: {name: two}\n"
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r'line 4, column 3: the key "kinky:cluster" stands in line 2 already'):
        file.read_stack_file("dev")


def test_fault_17_a_key_without_namespace_is_the_projects() -> None:
    found = parse_stack_file("config:\n  cluster: {name: dev}\n  aws:region: x\n", source="x.yaml")
    assert found == {"config": {"kinky:cluster": {"name": "dev"}, "aws:region": "x"}}


def test_fault_17_anchors_and_merges_do_not_share_what_they_stand_for() -> None:
    text = "base: &base {labels: {a: b}}\nconfig:\n  kinky:one:\n    <<: *base\n  kinky:two: *base\n"
    found = parse_stack_file(text, source="x.yaml")
    assert isinstance(found, dict)
    one, two = found["config"]["kinky:one"], found["config"]["kinky:two"]
    assert one == two == {"labels": {"a": "b"}}
    one["labels"]["a"] = "changed"
    assert json.dumps(two) == '{"labels": {"a": "b"}}'


def test_fault_17_a_syntax_error_does_not_quote_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_stack_file("config:\n  kinky:workload: {greeting: hunter2-hunter2\n  x: [\n", source="x.yaml")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
