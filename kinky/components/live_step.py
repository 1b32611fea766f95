"""The base of all dynamic resources: something that KinKy does once and Pulumi remembers.

A step that fails leaves no record, so the next `pulumi up` tries it again. Steps run in a process of their own
(`python -m pulumi.dynamic`): what they print to standard error reaches the user through the engine, and of an
exception only its text.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final

import pulumi
from pulumi import dynamic

from kinky.bootstrap.reach import Reach
from kinky.bootstrap.stores.opening import open_store
from kinky.bootstrap.stores.store import Store
from kinky.border import border
from kinky.errors import KinkyError
from kinky.kube.access import HostAccess

Properties = dict[str, Any]

PROVIDER_KEY: Final = "__provider"
LIMIT_SUFFIX: Final = "_seconds"
"""Inputs of this ending say how long to wait, not what for: a change of them alone runs nothing again."""


class Step(dynamic.ResourceProvider):
    """What a step does at create, update and delete; a subclass only calls a function of `bootstrap`."""

    identity: ClassVar[tuple[str, ...]] = ("cluster", "namespace")
    """Inputs that make it another thing when they change, so that the old one is deleted."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        """Do the step and return its outputs; `previous` holds the properties of the last run, if there was one."""
        raise TypeError(f"{type(self).__name__} does not say what it does")

    def _undo(self, properties: Properties) -> None:
        """Undo the step; most leave nothing that outlives the cluster."""

    def _is_due(self, properties: Properties) -> bool:
        """Tell whether the step must run again although no input changed."""
        return False

    def configure(self, req: dynamic.ConfigureRequest) -> None:
        """Keep the traceback of an expected failure off the screen: its text says everything."""
        logging.getLogger("grpc._server").addFilter(is_unexpected)

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> dynamic.DiffResult:
        """Compare the inputs; outputs and waiting limits are no reason for a change."""
        changed = changed_inputs(_olds, _news)
        with self._border("preview", _olds):
            is_due = self._is_due(_olds)
        return dynamic.DiffResult(
            changes=bool(changed) or is_due,
            replaces=[key for key in changed if key in self.identity],
            delete_before_replace=True,
        )

    def _require_host(self, properties: Properties) -> None:
        """Make sure, before anything is written or deleted, that this is the cluster's host."""
        parse_reach(properties).host().require_host()

    def create(self, props: Properties) -> dynamic.CreateResult:
        """Run the step for the first time."""
        inputs = without_provider(props)
        with self._border("create", inputs):
            self._require_host(inputs)
            identity = "/".join(str(inputs[key]) for key in reversed(self.identity))
            return dynamic.CreateResult(identity, {**inputs, **self._run(inputs, {})})

    def update(self, _id: str, _olds: Properties, _news: Properties) -> dynamic.UpdateResult:
        """Run the step again."""
        inputs = without_provider(_news)
        with self._border("update", inputs):
            self._require_host(inputs)
            return dynamic.UpdateResult({**inputs, **self._run(inputs, without_provider(_olds))})

    def delete(self, _id: str, _props: Properties) -> None:
        """Undo the step."""
        with self._border("delete", _props):
            self._require_host(_props)
            self._undo(_props)

    def _border(self, action: str, properties: Properties) -> AbstractContextManager[None]:
        """Keep the texts of libraries' exceptions from Pulumi, which would show them."""
        place = "/".join(str(properties.get(key, "")) for key in reversed(self.identity))
        return border(f"step {type(self).__name__.removesuffix('Step')} {place}, {action}")


class LiveStep(dynamic.Resource):
    """A step as a resource; the annotations of a subclass name its outputs."""

    def __init__(
        self,
        step: Step,
        name: str,
        inputs: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the step with its inputs."""
        outputs = dict.fromkeys(type(self).__annotations__)
        super().__init__(step, name, {**outputs, **inputs}, opts)


def describe_access(access: HostAccess) -> Properties:
    """Return the inputs that every step has: the host and the cluster, nothing secret."""
    return {
        # Not just `kubeconfig`: that is what a step may return, and an output of the same name would hide the input.
        "host_kubeconfig": access.kubeconfig,
        "host_context": access.context or "",
        "namespace": access.namespace,
        "cluster": access.cluster,
    }


def parse_access(inputs: Properties) -> HostAccess:
    """Return the access that `describe_access` described."""
    return HostAccess(
        kubeconfig=str(inputs["host_kubeconfig"]),
        context=str(inputs["host_context"]) or None,
        namespace=str(inputs["namespace"]),
        cluster=str(inputs["cluster"]),
        # The step that finds host_uid and cluster_id does not have them yet.
        host_uid=str(inputs.get("host_uid", "")),
        cluster_id=str(inputs.get("cluster_id", "")),
    )


def parse_reach(inputs: Properties) -> Reach:
    """Return the way to the cluster; to its inner API for the steps that have the input `server`."""
    return Reach(parse_access(inputs), str(inputs.get("server", "")))


def parse_store(inputs: Properties) -> Store:
    """Return the store that the input `store` describes."""
    return open_store(inputs["store"], parse_reach(inputs))


def changed_inputs(olds: Properties, news: Properties) -> list[str]:
    """Return the names of the inputs that differ from what the last run was given."""
    return [
        key
        for key, value in news.items()
        if key != PROVIDER_KEY and not key.endswith(LIMIT_SUFFIX) and value != olds.get(key)
    ]


def without_provider(properties: Properties) -> Properties:
    """Return the properties without Pulumi's record of the class."""
    return {key: value for key, value in properties.items() if key != PROVIDER_KEY}


def is_unexpected(record: logging.LogRecord) -> bool:
    """Tell whether a log record is about anything but an expected failure."""
    return not (record.exc_info and isinstance(record.exc_info[1], KinkyError))
