"""The engine's events as lines: names, operations, messages and failures."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.automation import EngineEvent

from kinky.stacks import changes

STACK = "urn:pulumi:dev::kinky::"
PART = f"{STACK}kinky:cluster:InnerCluster$kinky:cluster:HostSide$"
SERVICE = f"{PART}kubernetes:core/v1:Service::dev-network/kinky-dev/service/dev-endpoint"
ROLE = f"{PART}kubernetes:rbac.authorization.k8s.io/v1:ClusterRole::dev-addons/cluster/clusterrole/kinky:external:write"
PROVED = f"{PART}pulumi-python:dynamic/kinky:NodesReady::dev-ready"
ROOT = f"{STACK}pulumi:pulumi:Stack::kinky-dev"


class Reader:
    """Changes, and what they told."""

    def __init__(self, *, planned: bool = False) -> None:
        self.told: list[str] = []
        self.warned: list[str] = []
        self.relayed: list[tuple[str, str]] = []
        self.changes = changes.Changes(
            planned=planned,
            tell=self.told.append,
            warn=self.warned.append,
            relay=lambda line, source: self.relayed.append((line, source)),
        )

    def see(self, kind: str, **body: Any) -> None:
        self.changes.see(EngineEvent.from_json({"sequence": 0, "timestamp": 0, kind: body}))

    def change(self, op: str, urn: str, *, custom: bool = True, **more: Any) -> None:
        type_ = urn.split("::")[2].split("$")[-1]
        state = {"type": type_, "urn": urn, "id": "x", "parent": "", "provider": "", "custom": custom}
        sides = {"old": state} if op.startswith("delete") else {"new": state}
        self.see("resOutputsEvent", metadata={"op": op, "urn": urn, "type": type_, "provider": "", **sides, **more})

    def say(self, severity: str, message: str, **more: Any) -> None:
        self.see("diagnosticEvent", message=message, color="never", severity=severity, **more)

    def end(self) -> changes.Changes:
        self.see("cancelEvent")
        return self.changes


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.mark.parametrize(
    ("urn", "name"),
    [
        (SERVICE, "Service kinky-dev/dev-endpoint"),
        (ROLE, "ClusterRole kinky:external:write"),
        (PROVED, "NodesReady dev-ready"),
        (f"{STACK}kubernetes:core/v1:ConfigMap::mine/of/somebody", "ConfigMap mine/of/somebody"),
        (ROOT, "Stack kinky-dev"),
    ],
)
def test_a_resource_has_a_plain_name(urn: str, name: str) -> None:
    assert changes.name_plainly(urn) == name


def test_only_what_is_made_counts(reader: Reader) -> None:
    reader.change("create", ROOT, custom=False)
    reader.change("create", f"{STACK}kinky:cluster:InnerCluster::dev", custom=False)
    reader.change("create", f"{PART}pulumi:providers:kubernetes::dev-host")
    reader.change("create", PROVED)
    reader.change("same", ROLE)
    reader.change("read", SERVICE)
    assert reader.told == ["created NodesReady dev-ready"]
    assert reader.end().describe_counts() == "1 created, 1 unchanged"


@pytest.mark.parametrize(
    ("planned", "told", "counts"),
    [
        (False, ["replaced", "updated", "deleted"], "1 updated, 1 deleted, 1 replaced"),
        (True, ["replace", "update", "delete"], "1 to update, 1 to delete, 1 to replace"),
    ],
)
def test_a_replacement_is_one_change(planned: bool, told: list[str], counts: str) -> None:
    reader = Reader(planned=planned)
    for op in ("delete-replaced", "replace", "create-replacement", "update", "delete"):
        reader.change(op, SERVICE)
    assert reader.told == [f"{word} Service kinky-dev/dev-endpoint" for word in told]
    assert reader.end().describe_counts() == counts


def test_an_update_names_the_first_of_its_properties_and_no_value(reader: Reader) -> None:
    differing = {f"spec.{name}": {"diffKind": "update"} for name in "dcba"}
    reader.change("update", SERVICE, detailedDiff=differing)
    reader.change("update", ROLE, diffs=["rules"])
    reader.change("create", PROVED, diffs=["nodes"])
    assert reader.told == [
        "updated Service kinky-dev/dev-endpoint: spec.a, spec.b, spec.c and 1 more",
        "updated ClusterRole kinky:external:write: rules",
        "created NodesReady dev-ready",
    ]


def test_nothing_at_all_is_said_as_that(reader: Reader) -> None:
    assert reader.end().describe_counts() == "no resources"


def test_messages_of_no_interest_are_left_out(reader: Reader) -> None:
    reader.say("debug", "registering resource")
    reader.say("info", "Skipping await logic", urn=SERVICE, ephemeral=True)
    reader.say("warning", "[MinimumReplicasUnavailable]", urn=SERVICE, ephemeral=True)
    assert (reader.told, reader.warned, reader.relayed) == ([], [], [])


def test_a_warning_is_told_once_with_its_resource(reader: Reader) -> None:
    for _ in range(2):
        reader.say("warning", "encryption is unknown\n", urn=ROOT)
        reader.say("warning", "deprecated\n", urn=SERVICE)
    assert reader.warned == ["warning: encryption is unknown", "warning: Service kinky-dev/dev-endpoint: deprecated"]


def test_lines_of_steps_and_of_programs_are_handed_on(reader: Reader) -> None:
    reader.say("info", "• 2 nodes are Ready\n", urn=PROVED, ephemeral=True)
    reader.say("info#err", "   1 s  a word\n\n")
    assert reader.relayed == [("• 2 nodes are Ready", PROVED), ("   1 s  a word", "")]


def test_failures_come_in_full_without_the_words_that_say_nothing(reader: Reader) -> None:
    reader.say("error", "Exception calling application: node x: gone\n  seen: y\nhint: z\n", urn=PROVED)
    reader.say("error", "update failed\n", urn=ROOT)
    failures = reader.end().describe_failures()
    assert failures == ["NodesReady dev-ready: node x: gone\n  seen: y\nhint: z"]
    assert changes.split_hint(failures) == (["NodesReady dev-ready: node x: gone\n  seen: y"], "z")
    assert changes.split_hint([*failures, "another"]) == ([*failures, "another"], None)


def test_what_pulumi_says_before_its_engine_runs_is_the_reason_if_there_is_no_other(reader: Reader) -> None:
    assert reader.changes.describe_failures() == ["pulumi gave no reason; was it killed?"]
    reader.changes.hear("error: the stack is locked")
    assert reader.changes.describe_failures() == ["error: the stack is locked"]
    reader.say("error", "update failed\n")
    assert reader.end().describe_failures() == ["update failed"]
