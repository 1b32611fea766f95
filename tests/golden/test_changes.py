"""How each key changes on an existing cluster, and the line that `preview` prints; KINKY_GOLDEN=write rewrites it.

The table walks the model: a key without an example, or with a class that its line contradicts, fails.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kinky.components.live_step import StepInputs
from kinky.components.properties import describe
from kinky.components.steps.identity import ClusterIdentityOutputs, ClusterIdentityStep
from kinky.config.change import find_refused, list_settings, list_values
from kinky.config.model import KinkyConfig
from kinky.config.problem import format_key
from kinky.config.section import AT_RESTART
from kinky.errors import HostError
from kinky.kube.access import HostAccess
from kinky.topology.restarts import list_restarts
from tests.golden import cases
from tests.golden.changes import CHANGED, IDENTITY, IMAGE, VAULT, load

TABLE = Path(__file__).parent / "changes.txt"


def find_identity_fault(before: KinkyConfig, after: KinkyConfig) -> str:
    """Return the error of the step that compares with the state: such a key leads to another record."""
    olds, news = (
        describe(
            StepInputs(
                access=HostAccess(kubeconfig="/k", context=None, namespace=cfg.host.namespace, cluster=cfg.cluster.name)
            )
        )
        for cfg in (before, after)
    )
    made = describe(ClusterIdentityOutputs(host_uid="", cluster_id=""))
    with pytest.raises(HostError) as caught:
        ClusterIdentityStep().diff("id", olds | made, news)
    return caught.value.message


def list_lines(key: str) -> list[str]:
    """Return what `preview` prints about the key when it is changed."""
    before, after = (load(changed) for changed in CHANGED[key])
    if key in IDENTITY:
        return [f"refused: {find_identity_fault(before, after)}"]
    applied = list_values(before, image=IMAGE)
    lines = [
        *(f"refused: {problem}" for problem in find_refused(applied, after)),
        *(f"warning: {line}" for line in list_restarts(applied, after, image=after.image.reference or IMAGE)),
    ]
    return [line for line in lines if line.partition(": ")[2].startswith(f"{key} = ")]


def build_table() -> str:
    """Build a paragraph for each key of the model: its class, and the line of a change that is not free."""
    text = ""
    for setting in list_settings(load(VAULT)):
        key = format_key(setting.key)
        text += f"{key}: {setting.changes.how}\n"
        waits = setting.changes.because or setting.changes == AT_RESTART
        if waits:
            (line,) = list_lines(key)
            assert line.startswith("refused: " if setting.changes.because else "warning: ")
            text += f"    {line}\n"
    return text


def test_each_key_has_its_line() -> None:
    if os.environ.get(cases.REWRITE) == "write":
        TABLE.write_text(build_table())
    assert build_table() == TABLE.read_text(), "if that is meant: make golden, and read the diff"


def test_no_key_has_an_example_in_vain() -> None:
    kept = {format_key(each.key) for each in list_settings(load(VAULT)) if each.changes.because}
    kept |= {format_key(each.key) for each in list_settings(load(VAULT)) if each.changes == AT_RESTART}
    assert CHANGED.keys() == kept
