"""Errors in a Pulumi program: Pulumi prints a `RunError` without a traceback, and any other error with one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import grpc
import pulumi

from kinky.border import border, translate
from kinky.errors import KinkyError

Given = TypeVar("Given")
Result = TypeVar("Result")


@contextlib.contextmanager
def told_by_pulumi(doing: str) -> Iterator[None]:
    """Show errors of the block to the user as plain texts, without the text of a library.

    Raises:
        pulumi.RunError: The block failed.
    """
    meant: pulumi.RunError | None = None
    try:
        with border(doing):
            try:
                yield
            except pulumi.RunError as error:
                # Its text was written for the user.
                meant = error
    except KinkyError as error:
        raise pulumi.RunError(str(error)) from None
    if meant is not None:
        raise meant


@contextlib.contextmanager
def until_engine_ends() -> Iterator[None]:
    """End the block when the engine is gone: a step has failed, and the program's last words reach nobody."""
    with contextlib.suppress(grpc.RpcError):
        yield


def tell_errors(function: Callable[[Given], Result], doing: str) -> Callable[[Given], Result]:
    """Wrap a function for an output's `apply`, which runs later than the program's code, outside its border."""

    def told(given: Given) -> Result:
        with told_by_pulumi(doing):
            return function(given)

    return told


def tell_run(run: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Wrap the SDK's function that runs a program to its end, outputs included.

    The SDK would show the whole traceback, with texts into which a library may have put a secret.
    """

    async def told(*arguments: Any) -> Any:
        try:
            return await run(*arguments)
        except (pulumi.RunError, grpc.RpcError):
            raise
        except Exception as error:
            raise pulumi.RunError(str(translate(error, "a Pulumi program"))) from None

    return told
