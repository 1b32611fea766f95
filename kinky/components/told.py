"""Errors in a Pulumi program: Pulumi prints a `RunError` by its text alone, and any other one with a traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import pulumi

from kinky.border import border
from kinky.errors import KinkyError

Given = TypeVar("Given")
Result = TypeVar("Result")


@contextlib.contextmanager
def told_by_pulumi(doing: str) -> Iterator[None]:
    """Let errors of the block reach the user as texts for a reader, without what a library quotes.

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


def tell_errors(function: Callable[[Given], Result], doing: str) -> Callable[[Given], Result]:
    """Return the function for an output's `apply`, which runs after the program's own code and outside its border."""

    def told(given: Given) -> Result:
        with told_by_pulumi(doing):
            return function(given)

    return told
