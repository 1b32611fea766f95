"""Loading: the files in tests/config, and what they do not show."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kinky.config.load import decode_values, load_config, select_own
from kinky.config.model import KinkyConfig
from kinky.errors import ConfigError

FILES = Path(__file__).resolve().parents[2] / "config"
VALID = sorted(FILES.glob("valid-*.yaml"))
INVALID = sorted(FILES.glob("invalid-*.yaml"))
DEV = {"cluster": {"name": "dev"}, "host": {"embedded": True}}


def read(path: Path) -> dict[str, object]:
    return select_own(yaml.safe_load(path.read_text())["config"])


def test_there_are_files() -> None:
    assert len(VALID) >= 3
    assert len(INVALID) >= 40


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_file(path: Path) -> None:
    raw = read(path)
    before = json.dumps(raw)
    assert load_config(raw, source=path.name).cluster.name
    assert json.dumps(raw) == before, "what was handed in is not changed"


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_file_is_refused_with_exactly_this_message(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(read(path), source=path.name)
    assert f"{caught.value}\n" == path.with_suffix(".expected.txt").read_text()


def test_every_expected_message_belongs_to_a_file() -> None:
    assert {path.name.replace(".expected.txt", ".yaml") for path in FILES.glob("*.txt")} == {p.name for p in INVALID}


def test_the_defaults() -> None:
    cfg = load_config(DEV, source="test")
    assert cfg.host.namespace == "kinky-dev"
    assert cfg.local_port == 17173
    assert [pool.pool for pool in cfg.workers] == ["worker"]
    assert cfg.timeouts.seconds(30) == 30


def test_what_was_asked_for_wins_over_what_follows_from_the_name() -> None:
    cfg = load_config(
        {"cluster": {"name": "dev"}, "host": {"embedded": True, "namespace": "own"}, "access": {"localPort": 20000}},
        source="test",
    )
    assert (cfg.host.namespace, cfg.local_port) == ("own", 20000)


def test_a_long_name_has_a_namespace_that_is_a_label() -> None:
    cfg = load_config({"cluster": {"name": "a" * 45}, "host": {"embedded": True}}, source="test")
    assert len(cfg.host.namespace) == 51


def test_a_configuration_cannot_be_changed() -> None:
    cfg = load_config(DEV, source="test")
    with pytest.raises(ValueError, match="frozen"):
        cfg.cluster.name = "other"  # type: ignore[misc]


def test_what_pulumi_hands_over() -> None:
    values = {
        "kinky:cluster": '{"name":"dev"}',
        "kinky:workers": "three",
        "kinky:timeouts": '{"scale": 2}',
        "kubernetes:context": "lab",
    }
    assert decode_values(values) == {"cluster": {"name": "dev"}, "workers": "three", "timeouts": {"scale": 2}}


def test_an_unknown_key_s_value_is_not_repeated_because_it_may_be_a_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(DEV | {"password": "hunter2"}, source="test")
    assert "hunter2" not in str(caught.value)


def test_a_long_value_is_cut() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"cluster": {"name": "A" * 500}, "host": {"embedded": True}}, source="test")
    assert max(len(line) for line in caught.value.details) < 200


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
SECTIONS = sorted(field.alias or name for name, field in KinkyConfig.model_fields.items())
KEYS = sorted(
    {
        inner.alias or name
        for field in KinkyConfig.model_fields.values()
        if hasattr(field.annotation, "model_fields")
        for name, inner in field.annotation.model_fields.items()  # type: ignore[union-attr]
    }
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(SECTIONS), VALUES | st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)))
def test_whatever_is_written_the_answer_is_a_configuration_or_a_config_error(raw: dict[str, object]) -> None:
    try:
        load_config(raw, source="test")
    except ConfigError as error:
        assert error.details
