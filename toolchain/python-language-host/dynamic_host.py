"""Run Pulumi's server of dynamic resources: Ctrl-C ends what a step waits for, and lines of a step go to its resource.

The engine tells every plug-in that the user pressed Ctrl-C; the server of the SDK takes no notice, so a step would go
on waiting until its limit. KinKy's waits can be ended, and a step that fails leaves no record.

The engine takes each line on standard error for a message about the whole stack, and prints all of them again at its
end. A line that comes through the engine's own API belongs to a resource, and is said once.
"""

from __future__ import annotations

import io
import logging
import os
import runpy
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc

ACTIONS = ("Create", "Update", "Delete", "Diff")
"""The calls in which a step may print."""
LOG_SECONDS = 5.0
"""How long a line may take to reach the engine, which runs on this machine."""


class Lines(io.TextIOBase):
    """Standard error of the steps: each line becomes a message of the engine about the resource at work."""

    def __init__(self, address: str, otherwise: TextIO) -> None:
        """Send to the engine at this address; a line that it does not take is printed to the other stream."""
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))
        self._otherwise = otherwise
        self._thread = OfThread()

    def attribute(self, call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return the call such that the lines of its thread belong to the resource that it is about."""

        def attributed(request: Any, context: Any) -> Any:
            self._thread.urn = request.urn
            try:
                return call(request, context)
            finally:
                self.write("\n")
                self._thread.urn = ""

        return attributed

    def write(self, text: str) -> int:
        """Send the lines that are complete now."""
        *lines, self._thread.rest = (self._thread.rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._send(line)
        return len(text)

    def _send(self, line: str) -> None:
        message = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=line, urn=self._thread.urn, ephemeral=True)
        try:
            self._engine.Log(message, timeout=LOG_SECONDS)
        except grpc.RpcError:
            self._otherwise.write(f"{line}\n")
            self._otherwise.flush()


class OfThread(threading.local):
    """The resource that a thread works for, and the beginning of a line that it has not ended."""

    urn = ""
    rest = ""


def with_steps(register: Callable[[Any, Any], None], lines: Lines) -> Callable[[Any, Any], None]:
    """Return the registration of a server that ends all waits at a cancel, and knows whose lines it prints."""

    def register_with_steps(servicer: Any, server: Any) -> None:
        servicer.Cancel = end_waits
        for action in ACTIONS:
            setattr(servicer, action, lines.attribute(getattr(servicer, action)))
        register(servicer, server)

    return register_with_steps


def end_waits(_request: Any, _context: Any) -> Empty:
    """End the waits of KinKy's steps, if this process runs any."""
    retry = sys.modules.get("kinky.retry")
    if retry is not None:
        retry.interrupt_waits()
    return Empty()


def has_no_traceback(record: logging.LogRecord) -> bool:
    """Tell whether a record may go to the log, which Pulumi shows; that a step failed is told by the step's answer."""
    return record.exc_info is None


if __name__ == "__main__":
    logging.getLogger("grpc._server").addFilter(has_no_traceback)
    # `python -m` would have put the program's folder there, where the steps' module may be.
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - sys.path takes texts
    # The engine's address is the last argument.
    sys.stderr = Lines(sys.argv[-1], otherwise=sys.stderr)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server = with_steps(
        provider_pb2_grpc.add_ResourceProviderServicer_to_server, sys.stderr
    )
    runpy.run_module("pulumi.dynamic", run_name="__main__", alter_sys=True)
