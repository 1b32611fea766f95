"""Serve Pulumi's LanguageRuntime for Python programs, where the official host cannot be had as a Go module.

The engine starts `pulumi-language-python [options] ENGINE_ADDRESS`, reads one port number from standard output and
talks gRPC to it. Everything that runs a program comes from `pulumi.automation`; only what the Automation API does
not need (a program in a folder, plug-in questions, an end) is added here.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent import futures
from importlib import metadata
from pathlib import Path
from typing import Any

import grpc
from pulumi.automation import _server
from pulumi.automation._server import LanguageServer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

PARENT_CHECK_SECONDS = 2.0


def find_entry_point(program_directory: str, entry_point: str) -> Path:
    """Return the file to run: the entry point itself, or `__main__.py` when it is a folder."""
    path = Path(program_directory, entry_point or ".")
    return path / "__main__.py" if path.is_dir() else path


def tell_by_text(run: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return the function that runs a program to its end; where KinKy is installed, it reports each failure."""

    async def told(*arguments: Any) -> Any:
        try:
            from kinky.components.told import tell_run
        except ImportError:
            # A program of somebody else's, in an environment of his own.
            return await run(*arguments)
        return await tell_run(run)(*arguments)

    return told


def build_program(path: Path) -> Callable[[], None]:
    """Return a function that runs the file as a script, as `python <path>` would."""

    def program() -> None:
        runpy.run_path(str(path), run_name="__main__")

    return program


class LanguageHost(LanguageServer):
    """The Automation API's language server, able to run a program that lives in a folder."""

    def __init__(self, engine_address: str) -> None:
        """Remember where the engine listens; it may be told again by the handshake."""
        super().__init__(program=lambda: None)
        self._engine_address = engine_address

    def Run(self, request: Any, context: Any) -> Any:
        """Run the program of the request and return its result."""
        path = find_entry_point(request.info.program_directory or request.pwd, request.info.entry_point)
        os.chdir(request.pwd or path.parent)
        sys.argv = [str(path), *request.args]
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        self.program = build_program(path)
        # The base class takes the engine's address from the arguments; the engine gives it only at the start.
        del request.args[:]
        request.args.append(self._engine_address)
        response = super().Run(request, context)
        # The base class has shown the error already; without this the engine shows it a second time.
        response.bail = bool(response.error)
        return response

    def Handshake(self, request: Any, context: Any) -> Any:
        """Take the engine's address, if it comes this way."""
        self._engine_address = request.engine_address or self._engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """Return the version of the SDK that runs the programs."""
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        """List the packages that `pulumi about` shows."""
        found = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=version) for name, version in sorted(found.items())
            ]
        )

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:
        """Install nothing: `make venv` owns the virtual environment."""
        yield language_pb2.InstallDependenciesResponse(stdout=b"nothing to install: make venv does it\n")

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        """Ask no question when a project is created."""
        return language_pb2.RuntimeOptionsResponse()


def serve(engine_address: str) -> None:
    """Serve until a signal comes or the engine is gone."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    _server.run_in_stack = tell_by_text(_server.run_in_stack)
    parent = os.getppid()
    # Several requests may be open at once: one runs the program, others ask about it.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=_GRPC_CHANNEL_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(engine_address), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # A killed engine tells nobody: without this check the host would outlive it.
    while not stop.wait(PARENT_CHECK_SECONDS) and os.getppid() == parent:
        pass
    server.stop(grace=0)
    # A program may have left threads of its own; nothing here is worth waiting for.
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[-1] if len(sys.argv) > 1 and not sys.argv[-1].startswith("-") else "")
