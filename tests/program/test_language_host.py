"""The launchers that stand in for Pulumi's Python language host, as the engine uses them."""

from __future__ import annotations

import io
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2_grpc,
    language_pb2,
    language_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
)

from kinky import retry
from kinky.errors import WaitError

LAUNCHERS = Path(__file__).resolve().parents[2] / "toolchain/python-language-host"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [LAUNCHERS / "pulumi-language-python", "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "KINKY_PYTHON": sys.executable},
    )
    yield started
    started.kill()
    started.wait()


@pytest.fixture
def host(process: subprocess.Popen[str]) -> Iterator[language_pb2_grpc.LanguageRuntimeStub]:
    assert process.stdout is not None
    with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
        yield language_pb2_grpc.LanguageRuntimeStub(channel)


def test_it_answers_what_the_engine_asks(host: Any) -> None:
    assert host.GetPluginInfo(language_pb2.google_dot_protobuf_dot_empty__pb2.Empty()).version
    assert list(host.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest()).packages) == []
    assert host.Handshake(language_pb2.LanguageHandshakeRequest(engine_address="127.0.0.1:2")) is not None
    assert len(list(host.InstallDependencies(language_pb2.InstallDependenciesRequest()))) == 1
    found = host.GetProgramDependencies(language_pb2.GetProgramDependenciesRequest()).dependencies
    assert "pulumi" in {item.name for item in found}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_quietly(process: subprocess.Popen[str], host: Any, number: int) -> None:
    process.send_signal(number)
    assert process.wait(timeout=20) == 0


def test_a_folder_is_run_by_its_main_file(tmp_path: Path) -> None:
    module = runpy.run_path(str(LAUNCHERS / "language_host.py"))
    assert module["find_entry_point"](str(tmp_path), ".") == tmp_path / "__main__.py"
    (tmp_path / "program.py").write_text("")
    assert module["find_entry_point"](str(tmp_path), "program.py") == tmp_path / "program.py"


def test_cancel_ends_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_INTERRUPTED", threading.Event())
    module = runpy.run_path(str(LAUNCHERS / "dynamic_host.py"))

    class Server(provider_pb2_grpc.ResourceProviderServicer):
        pass

    registered: list[Any] = []
    lines = module["Lines"]("127.0.0.1:1", sys.stderr)
    module["with_steps"](lambda servicer, _server: registered.append(servicer), lines)(Server(), None)
    registered[0].Cancel(None, None)
    with pytest.raises(WaitError, match="interrupted"):
        retry.wait_until(lambda: retry.Pending("nothing"), what="it", deadline_seconds=60)


class Engine(engine_pb2_grpc.EngineServicer):
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, str, bool]] = []

    def Log(self, request: Any, context: Any) -> Any:
        self.logged.append((request.urn, request.message, request.ephemeral))
        return empty_pb2.Empty()


def test_lines_go_to_the_resource_of_their_thread_and_without_an_engine_to_standard_error() -> None:
    lines_of = runpy.run_path(str(LAUNCHERS / "dynamic_host.py"))["Lines"]
    engine, server, printed = Engine(), grpc.server(futures.ThreadPoolExecutor(max_workers=2)), io.StringIO()
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    lines = lines_of(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", printed)
    server.start()
    both = threading.Barrier(2)

    def create(request: Any, context: Any) -> None:
        lines.write("half of")
        both.wait(timeout=20)
        print(f" {request.urn}", file=lines)
        lines.write("without an end")

    calls = [
        threading.Thread(target=lines.attribute(create), args=(provider_pb2.CreateRequest(urn=urn), None))
        for urn in ("a", "b")
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    print("of nobody", file=lines)
    server.stop(grace=None).wait()
    print("late", file=lines)
    expected = [(urn, text, True) for urn in ("a", "b") for text in (f"half of {urn}", "without an end")]
    assert sorted(engine.logged) == [("", "of nobody", True), *expected]
    assert printed.getvalue() == "late\n"
