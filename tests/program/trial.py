"""A small program with live steps, which a real Pulumi runs on a backend of files: no host is needed."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest

from kinky import process
from kinky.stacks import inline
from kinky.stacks.engine import OwnCommand, OwnWorkspace, StackEngine
from kinky.stacks.environment import build_environment, build_search_path
from kinky.stacks.file import read_stack_file

PROJECT = "name: kinky\nruntime:\n  name: python\n  options:\n    toolchain: pip\n"
STEPS = """
from dataclasses import dataclass

from kinky.components.live_step import LiveStep, NoOutputs, Step, StepInputs
from kinky.errors import WaitError
from kinky.progress import note, phase


@dataclass(frozen=True, kw_only=True)
class ProvedInputs(StepInputs):
    what: str
    fails: bool


class ProvedStep(Step[ProvedInputs, NoOutputs]):
    def _run(self, inputs, previous):
        with phase(f"{inputs.what} is proved", limit_seconds=90) as running:
            running.note("guests: dev-control-plane-0 kernel, dev-worker-0 kernel")
            running.note("guests: dev-worker-0 kubelet")
            if inputs.fails:
                raise WaitError(f"{inputs.what} is not there", details=["seen: nothing"], hint="look at it")
        return NoOutputs()

    def _undo(self, inputs, outputs):
        note(f"{inputs.what} is gone")

    def _require_host(self, reach, *, is_made):
        pass


class Proved(LiveStep[ProvedInputs, NoOutputs]):
    step = ProvedStep
"""
PROGRAM = """
import pulumi
from trial_steps import Proved, ProvedInputs
from kinky.kube.access import HostAccess

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="kinky-dev", cluster="dev")


class Forming(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("kinky:cluster:Forming", "dev")


def prove(what, after=()):
    inputs = ProvedInputs(access=ACCESS, what=what, fails=FAILS and what == "the store")
    return Proved(f"dev-{what[4:].lower()}", inputs, pulumi.ResourceOptions(parent=forming, depends_on=list(after)))


pulumi.log.warn("host.encryptionAtRest = unknown")
pulumi.log.warn("host.encryptionAtRest = unknown")
forming = Forming()
prove("the store", after=[prove("the API")])
"""
OBJECTS = """
import pulumi
import pulumi_kubernetes as kubernetes
from kinky.components.bodies import declare

provider = kubernetes.Provider("dev-host", render_yaml_to_directory="rendered")


class Network(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("kinky:host:Network", "dev-network", None, pulumi.ResourceOptions(providers=[provider]))


metadata = {"name": "seen", "namespace": "kinky-dev"}
declare(Network(), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": "VALUE"}})
# A class of the library asks for the provider in the library's own version.
kubernetes.core.v1.Namespace("of-a-program", opts=pulumi.ResourceOptions(provider=provider))
"""


class Trial:
    """The program in a folder, and the engine that runs it."""

    def __init__(self, folder: Path, programs: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = monkeypatch
        (folder / "Pulumi.yaml").write_text(PROJECT)
        (folder / "trial_steps.py").write_text(STEPS)
        self.write(fails=False)
        self.settings = {
            **build_environment(read_stack_file("dev"), environ=os.environ),
            "PATH": build_search_path(programs.values(), environ=os.environ),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }
        self._command = OwnCommand(programs["pulumi"])
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setattr(inline, "run_program", lambda: runpy.run_path(str(folder / "__main__.py")))

    def write(self, *, fails: bool) -> None:
        """Write the program."""
        (self.folder / "__main__.py").write_text(PROGRAM.replace("FAILS", str(fails)))

    def write_objects(self, value: str) -> None:
        """Write another program: objects that Kubernetes' provider puts into files instead of a cluster."""
        (self.folder / "__main__.py").write_text(OBJECTS.replace("VALUE", value))

    def open(self, *, verbose: bool = False) -> StackEngine:
        """Return the engine, as `open_engine` does for a stack of KinKy's."""
        workspace = OwnWorkspace(work_dir=str(self.folder), env_vars=self.settings, pulumi_command=self._command)
        return StackEngine(read_stack_file("dev"), workspace=workspace, verbose=verbose)

    def run(self, *command: str, log: Path) -> None:
        """Run a program in the shell that `kinky env` makes."""
        process.run(["env", *command], reason="test", env=self.settings, cwd=self.folder, log=log)
