"""The program run in this process for Pulumi, which would start two more Python interpreters for the same.

`pulumi up` itself runs the same function, through `__main__.py` and the language host.
"""

from __future__ import annotations

import importlib
import os
import runpy
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pulumi.automation import _server, _stack
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto.language_pb2 import RunResponse

from kinky import paths
from kinky.components.told import tell_run, until_engine_ends

PROGRAM: Final = "kinky.program"


class ProgramServer(LanguageServer):
    """The Automation API's server of a program, which says each failure once."""

    def Run(self, request: Any, context: Any) -> Any:
        """Run the program and return its result."""
        response: Any = RunResponse()
        with until_engine_ends():
            response = super().Run(request, context)  # type: ignore[no-untyped-call]
        # The base class has shown the error already; without this the engine shows it a second time.
        response.bail = bool(response.error)
        return response


# The Automation API takes both from its own modules, and has no other way to replace them.
_stack.LanguageServer = ProgramServer  # type: ignore[attr-defined]
_server.run_in_stack = tell_run(_server.run_in_stack)  # type: ignore[attr-defined]


def run_program() -> None:
    """Run the project's own program for the stack that Pulumi has in hand."""
    runpy.run_path(str(paths.project_root() / "__main__.py"), run_name="__main__")


@contextmanager
def prepared(variables: Mapping[str, str]) -> Iterator[None]:
    """Give the program the variables that Pulumi gets, and load its modules while Pulumi starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    threading.Thread(target=importlib.import_module, args=(PROGRAM,), daemon=True).start()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
