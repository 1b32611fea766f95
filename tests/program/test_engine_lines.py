"""What `kinky up` and plain `pulumi up` print: the real engine, with live steps and without a host."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kinky.errors import CommandError, KinkyError
from kinky.stacks.environment import PULUMI_PROGRAMS
from kinky.toolchain.tools import list_tools
from tests.program.trial import Trial

CREATED = """\
• stack dev: pulumi up
warning: host.encryptionAtRest = unknown
• the API is proved (at most N s)
     N s  guests: dev-control-plane-0 kernel, dev-worker-0 kernel
     N s  guests: dev-worker-0 kubelet
✓ the API is proved (N s)
     N s  created Proved dev-api
• the store is proved (at most N s)
     N s  guests: dev-control-plane-0 kernel, dev-worker-0 kernel
     N s  guests: dev-worker-0 kubelet
✓ the store is proved (N s)
     N s  created Proved dev-store
  2 created
✓ stack dev: pulumi up (N s)
"""
PLANNED = """\
• stack dev: pulumi preview
warning: host.encryptionAtRest = unknown
create Proved dev-api
create Proved dev-store
  2 to create
✓ stack dev: pulumi preview (N s)
"""
UNCHANGED = """\
• stack dev: pulumi up
warning: host.encryptionAtRest = unknown
  2 unchanged
✓ stack dev: pulumi up (N s)
"""
DELETED = """\
• stack dev: pulumi destroy
the store is gone
     N s  deleted Proved dev-store
the API is gone
     N s  deleted Proved dev-api
  2 deleted
✓ stack dev: pulumi destroy (N s)
"""
FAILED = """\
• stack dev: pulumi up
warning: host.encryptionAtRest = unknown
• the API is proved (at most N s)
     N s  guests: dev-control-plane-0 kernel, dev-worker-0 kernel
     N s  guests: dev-worker-0 kubelet
✓ the API is proved (N s)
     N s  created Proved dev-api
• the store is proved (at most N s)
     N s  guests: dev-control-plane-0 kernel, dev-worker-0 kernel
     N s  guests: dev-worker-0 kubelet
✗ the store is proved (N s)
     N s  failed: Proved dev-store
✗ stack dev: pulumi up (N s)
"""
MADE = """\
• stack dev: pulumi up
     N s  created ConfigMap kinky-dev/seen
     N s  created Namespace of-a-program
  2 created
✓ stack dev: pulumi up (N s)
"""
REPLACED = """\
• stack dev: pulumi up
     N s  replaced ConfigMap kinky-dev/seen: data.key
  1 replaced, 1 unchanged
✓ stack dev: pulumi up (N s)
"""
TOLD = """\
stack "dev": pulumi up failed
  Proved dev-store: the store is not there
    seen: nothing
hint: look at it"""


@pytest.fixture(scope="session")
def programs() -> Mapping[str, Path]:
    found = {tool.name: tool.path for tool in list_tools() if tool.name in PULUMI_PROGRAMS}
    if found["pulumi"] is None:
        pytest.skip("not built: pulumi; kinky tools --ensure builds it")
    return {name: path for name, path in found.items() if path is not None}


@pytest.fixture
def trial(programs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    yield Trial(tmp_path, programs, monkeypatch)
    sys.modules.pop("trial_steps", None)


def read(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, without times."""
    text = re.sub(r"^ +\d+ s", "     N s", capsys.readouterr().err, flags=re.MULTILINE)
    return re.sub(r"\d+ s\)", "N s)", text)


def test_each_phase_change_and_warning_is_told_once(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    trial.open().ensure()
    capsys.readouterr()
    assert trial.open().preview(expect_no_changes=False) == {"create": 4}
    assert read(capsys) == PLANNED
    trial.open().up()
    assert read(capsys) == CREATED
    trial.open().up()
    assert read(capsys) == UNCHANGED
    trial.open().destroy()
    assert read(capsys) == DELETED


def test_objects_have_plain_names_and_a_replacement_is_one_change(
    trial: Trial, programs: Mapping[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    if "pulumi-resource-kubernetes" not in programs:
        pytest.skip("not built: pulumi-resource-kubernetes; kinky tools --ensure builds it")
    trial.open().ensure()
    trial.write_objects("before")
    capsys.readouterr()
    trial.open().up()
    assert sorted(read(capsys).splitlines()) == sorted(MADE.splitlines())
    trial.write_objects("after")
    trial.open().up()
    assert read(capsys) == REPLACED


def test_what_failed_is_the_last_that_is_told_and_in_full(
    trial: Trial, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    trial.open().ensure()
    trial.write(fails=True)
    capsys.readouterr()
    with pytest.raises(KinkyError) as caught:
        trial.open().up()
    assert read(capsys) == FAILED
    assert str(caught.value) == TOLD
    assert caplog.records == [], "the program, which outlives the engine, says nothing more"


def test_a_change_that_is_refused_before_the_engine_runs_is_told_too(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    trial.open().ensure()
    (trial.folder / "Pulumi.yaml").write_text("name: 1\nruntime: [")
    with pytest.raises(KinkyError, match=r"pulumi destroy failed\n(.|\n)*Pulumi.yaml"):
        trial.open().destroy()


def test_verbose_prints_the_lines_of_pulumi(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    trial.open().ensure()
    trial.open(verbose=True).up()
    printed = capsys.readouterr().err
    assert re.search(r"^ \+  pulumi-python:dynamic/kinky:Proved dev-api created", printed, re.MULTILINE)
    assert "created Proved dev-api" not in printed


def test_plain_pulumi_warns_of_no_plugin_and_says_each_phase_once(trial: Trial) -> None:
    trial.open().ensure()
    trial.write(fails=True)
    log = trial.folder / "pulumi.log"
    with pytest.raises(CommandError):
        trial.run("pulumi", "up", "--yes", "--skip-preview", "--non-interactive", log=log)
    printed = log.read_text()
    assert "$PATH" not in printed
    assert printed.count("• the API is proved (at most 90 s)") == 1
    assert "hint: look at it" in printed
