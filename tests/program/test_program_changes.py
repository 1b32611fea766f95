"""What the program does for the next change: the record gets what was applied, a preview tells what waits."""

from __future__ import annotations

import json

import pulumi
import pytest

from kinky import program
from kinky.components.cluster_args import InnerClusterArgs
from tests.program.recorder import Recorder, record


def test_the_record_gets_the_applied_configuration_once_the_api_answers(
    recorded: Recorder, stack_args: InnerClusterArgs
) -> None:
    step, cluster = recorded.one("ConfigurationApplied"), stack_args.config.cluster.name
    assert {f"{cluster}-outside", *(item.name for item in recorded.of("VirtualMachine"))} <= recorded.before(step)
    assert (step.inputs["cluster_uid"], step.inputs["release"]) == ("5f0c", stack_args.config.release.name)
    settings = json.loads(step.inputs["settings"])
    assert settings["image.reference"] == stack_args.image
    assert settings["controlPlane.memoryMib"] == stack_args.config.control_plane.memory_mib


@pytest.mark.parametrize("preview", [True, False])
def test_a_preview_lists_the_nodes_that_wait_for_a_restart(
    stack_args: InnerClusterArgs, monkeypatch: pytest.MonkeyPatch, preview: bool
) -> None:
    told: list[str] = []
    monkeypatch.setattr(program, "read_stack_config", dict)
    monkeypatch.setattr(program, "describe_stack", lambda: stack_args.stack)
    monkeypatch.setattr(program, "prepare", lambda *_arguments, **_named: stack_args)
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: None)
    monkeypatch.setattr(program, "describe_pending", lambda _api: ["restart pending: dev-worker-0 (cores 1 -> 2)"])
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    record(program.main, preview=preview)
    assert told == (["restart pending: dev-worker-0 (cores 1 -> 2)"] if preview else [])
