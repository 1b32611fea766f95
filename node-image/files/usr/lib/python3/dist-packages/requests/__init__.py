"""Stand-in for the HTTP library that cloud-init imports at its start: a node reads its user-data from a disk.

Every name that is asked for is an exception class, so annotations and `except` clauses hold; a call fails clearly.
"""

from . import exceptions


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(exceptions, name)
