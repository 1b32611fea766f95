"""What Pulumi shows of a failure: the real servers of dynamic resources and of programs, with exceptions inside."""

from __future__ import annotations

import base64
import contextlib
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import dill
import grpc
import pulumi
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import (
    engine_pb2_grpc,
    language_pb2,
    language_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)

from kinky.components.told import told_by_pulumi
from kinky.errors import HostError
from kinky.stacks.inline import ProgramServer

ROOT = Path(__file__).resolve().parents[2]
LAUNCHERS = ROOT / "toolchain/python-language-host"
SECRET = "hunter2-and-hunter3"
STEP = f'''
from dataclasses import dataclass
from kinky.components.live_step import NoOutputs, Step, StepInputs
from kinky.errors import HostError


@dataclass(frozen=True, kw_only=True)
class LeakingInputs(StepInputs):
    kind: str


class LeakingStep(Step[LeakingInputs, NoOutputs]):
    def _run(self, inputs, previous):
        if inputs.kind == "ours":
            try:
                raise ValueError("{SECRET}")
            except ValueError as error:
                raise HostError("host cluster: ours") from error
        raise ValueError("Invalid header value b'Bearer {SECRET}\\\\n'")

    def _require_host(self, reach, *, is_made):
        pass

    def _undo(self, inputs, outputs):
        raise KeyError("{SECRET}")

    def _is_due(self, inputs, outputs):
        raise RuntimeError("{SECRET}")
'''
PROGRAM = f'''
import pulumi


def fail(_):
    raise ValueError("{SECRET}")


pulumi.export("x", pulumi.Output.from_input(1).apply(fail))
'''
OWN_PROGRAM = f'''
from kinky.components.told import tell_errors, told_by_pulumi
import pulumi


def fail(_):
    raise ValueError("{SECRET}")


with told_by_pulumi("a test"):
    WHAT
'''


@pytest.fixture(params=["official", "ours"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the server of dynamic resources as Pulumi's own launcher does, or as ours does."""
    (tmp_path / "leaking_step.py").write_text(STEP)
    command = {
        "official": [sys.executable, "-u", "-m", "pulumi.dynamic", "127.0.0.1:1"],
        "ours": [LAUNCHERS / "pulumi-resource-pulumi-python", "127.0.0.1:1"],
    }[request.param]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "KINKY_PYTHON": sys.executable}
    with (tmp_path / "stderr").open("wb") as errors:
        started = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, env=environment)
    yield started
    started.kill()
    started.wait()


def to_struct(values: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


def call(stub: provider_pb2_grpc.ResourceProviderStub, action: str, properties: struct_pb2.Struct) -> str:
    """Make one call that fails and return what the engine is told."""
    requests = {
        "Create": provider_pb2.CreateRequest(properties=properties),
        "Update": provider_pb2.UpdateRequest(id="x", olds=properties, news=properties),
        "Delete": provider_pb2.DeleteRequest(id="x", properties=properties),
        "Diff": provider_pb2.DiffRequest(id="x", olds=properties, news=properties),
    }
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub, action)(requests[action])
    return str(caught.value.details())


def test_fault_02_a_step_leaks_neither_text_nor_traceback_to_pulumi(
    provider: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    import leaking_step  # type: ignore[import-not-found]

    pickled = base64.b64encode(dill.dumps(leaking_step.LeakingStep())).decode()
    common = {"__provider": pickled, "access": {"kubeconfig": "/k", "cluster": "dev", "namespace": "kinky-dev"}}
    assert provider.stdout is not None
    with grpc.insecure_channel(f"127.0.0.1:{int(provider.stdout.readline())}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        told = {action: call(stub, action, to_struct({**common, "kind": "foreign"})) for action in REPORTED}
        ours = call(stub, "Create", to_struct({**common, "kind": "ours"}))
    for action, text in told.items():
        assert f"unexpected error: {REPORTED[action][0]}, in: step Leaking kinky-dev/dev, {REPORTED[action][1]}" in text
        assert "report: " in text
    assert "host cluster: ours" in ours
    printed = (tmp_path / "stderr").read_text()
    for text in (*told.values(), ours, printed):
        assert "hunter" not in text
    assert "Traceback" not in printed
    reports = list(Path(os.environ["KINKY_STATE_DIR"], "reports").iterdir())
    assert len(reports) == len(REPORTED)
    assert all("hunter" not in report.read_text() for report in reports)
    sys.modules.pop("leaking_step")


REPORTED = {
    "Create": ("ValueError", "create"),
    "Update": ("ValueError", "update"),
    "Delete": ("KeyError", "delete"),
    "Diff": ("RuntimeError", "preview"),
}


class Engine(engine_pb2_grpc.EngineServicer):
    """Keeps what a program logs, which the engine shows as diagnostics."""

    def __init__(self) -> None:
        self.logged: list[str] = []

    def Log(self, request: Any, context: Any) -> Any:
        self.logged.append(request.message)
        return empty_pb2.Empty()

    def SetRootResource(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Takes the stack itself, and nothing else."""

    def SupportsFeature(self, request: Any, context: Any) -> Any:
        return resource_pb2.SupportsFeatureResponse(hasSupport=False)

    def RegisterResource(self, request: Any, context: Any) -> Any:
        return resource_pb2.RegisterResourceResponse(urn="urn:pulumi:dev::kinky::pulumi:pulumi:Stack::kinky-dev")

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (PROGRAM, "unexpected error: ValueError, in: a Pulumi program"),
        (OWN_PROGRAM.replace("WHAT", "fail(1)"), "unexpected error: ValueError, in: a test"),
        (
            OWN_PROGRAM.replace(
                "WHAT", 'pulumi.export("x", pulumi.Output.from_input(1).apply(tell_errors(fail, "y")))'
            ),
            "unexpected error: ValueError, in: y",
        ),
    ],
    ids=["in an output", "in the program", "in an output of ours"],
)
@pytest.mark.parametrize("run", ["pulumi", "kinky"])
def test_fault_02_a_program_leaks_neither_text_nor_traceback(run: str, program: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text(program)
    engine = Engine()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(Monitor(), server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    request = language_pb2.RunRequest(
        project="kinky", stack="dev", pwd=str(tmp_path), program=".", monitor_address=address, parallel=4
    )
    try:
        answer = (run_by_pulumi if run == "pulumi" else run_by_kinky)(request, address, tmp_path)
    finally:
        server.stop(grace=0)
    assert answer.error.startswith(told)
    assert answer.bail
    for text in (answer.error, *engine.logged, (tmp_path / "stderr").read_text()):
        assert "hunter" not in text
        assert "Traceback" not in text


def run_by_pulumi(request: Any, address: str, folder: Path) -> Any:
    """Run the program as `pulumi up` does: in a language host of its own."""
    with (folder / "stderr").open("wb") as errors:
        host = subprocess.Popen(
            [LAUNCHERS / "pulumi-language-python", address],
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "KINKY_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
        )
    request.info.CopyFrom(
        language_pb2.ProgramInfo(root_directory=str(folder), program_directory=str(folder), entry_point=".")
    )
    try:
        assert host.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{int(host.stdout.readline())}") as channel:
            return language_pb2_grpc.LanguageRuntimeStub(channel).Run(request, timeout=60)
    finally:
        host.kill()
        host.wait()


def run_by_kinky(request: Any, address: str, folder: Path) -> Any:
    """Run the program as `kinky up` does: in the process that has started Pulumi."""
    request.args.append(address)
    with (folder / "stderr").open("w") as errors, contextlib.redirect_stderr(errors):
        return ProgramServer(lambda: runpy.run_path(str(folder / "__main__.py"))).Run(request, None)


def test_fault_02_a_text_that_was_written_for_the_user_stays() -> None:
    with pytest.raises(pulumi.RunError, match=r"^choose another name$"), told_by_pulumi("a test"):
        raise pulumi.RunError("choose another name")
    with pytest.raises(pulumi.RunError, match=r"^host cluster: ours\nhint: mend it$"), told_by_pulumi("a test"):
        raise HostError("host cluster: ours", hint="mend it")
