"""KinKy: Kubernetes clusters inside KubeVirt virtual machines, declared as a Pulumi program.

    from kinky import InnerCluster, describe_stack, prepare

    CONFIG = {"cluster": {"name": "shop"}, "host": {"embedded": True}}
    cluster = InnerCluster("shop", prepare(CONFIG, source="__main__.py", stack=describe_stack()))
    pulumi.export("kubeconfig", cluster.kubeconfig)

These names are loaded at their first use, because most commands need no Pulumi.

The modules beside this file are the foundation: standard library only, except that `retry` is the home of tenacity
and `progress` the home of rich. The folders are rooms. The docstring of each room says what it holds and which rooms it
imports; `tests/unit/test_layers.py` holds it to that, and orders all rooms in layers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kinky.components.inner_cluster import InnerCluster
    from kinky.program import describe_stack, prepare

__all__ = ["InnerCluster", "describe_stack", "prepare"]

_HOMES = {
    "InnerCluster": "kinky.components.inner_cluster",
    "describe_stack": "kinky.program",
    "prepare": "kinky.program",
}


def __getattr__(name: str) -> Any:
    """Load what a Pulumi program imports from here."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
