"""The launchers that stand in for Pulumi's Python language host, as the engine uses them."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, provider_pb2_grpc

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
    module["with_cancel"](lambda servicer, _server: registered.append(servicer))(Server(), None)
    registered[0].Cancel(None, None)
    with pytest.raises(WaitError, match="interrupted"):
        retry.wait_until(lambda: retry.Pending("nothing"), what="it", deadline_seconds=60)
