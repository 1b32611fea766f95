"""Run Pulumi's server of dynamic resources, and let Ctrl-C end what they wait for.

The engine tells every plug-in that the user pressed Ctrl-C; the server of the SDK takes no notice, so a step would go
on waiting until its limit. KinKy's waits can be ended, and a step that fails leaves no record.
"""

from __future__ import annotations

import logging
import os
import runpy
import sys
from collections.abc import Callable
from typing import Any

from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2_grpc


def with_cancel(register: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Return the registration of a server that ends all waits when it is told to cancel."""

    def register_with_cancel(servicer: Any, server: Any) -> None:
        servicer.Cancel = end_waits
        register(servicer, server)

    return register_with_cancel


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
    provider_pb2_grpc.add_ResourceProviderServicer_to_server = with_cancel(
        provider_pb2_grpc.add_ResourceProviderServicer_to_server
    )
    runpy.run_module("pulumi.dynamic", run_name="__main__", alter_sys=True)
