"""The base of all dynamic resources: something that KinKy does once and Pulumi remembers.

A step that fails leaves no record, so the next `pulumi up` tries it again. Steps run in a process of their own
(`python -m pulumi.dynamic`). Their standard error reaches the user through the engine, and of an exception only
its text.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args

import pulumi
from pulumi import dynamic

from kinky.border import border
from kinky.components.properties import Mark, Properties, describe, find_hints, find_marked, later, parse
from kinky.errors import KinkyError
from kinky.kube.access import HostAccess
from kinky.reach.reach import Reach
from kinky.stores.opening import open_store
from kinky.stores.store import Store


@dataclass(frozen=True, kw_only=True)
class StepInputs:
    """Inputs of each step: the host and the cluster. Nothing secret, since Pulumi's state holds it."""

    access: HostAccess

    @property
    def reach(self) -> Reach:
        """The way to the cluster; without a URL of the inner API."""
        return Reach(self.access, "")


@dataclass(frozen=True, kw_only=True)
class InnerInputs(StepInputs):
    """Inputs of a step that asks the inner cluster."""

    server: str
    """URL of the inner API."""

    @property
    def reach(self) -> Reach:
        """The way to the cluster, to its inner API too."""
        return Reach(self.access, self.server)


@dataclass(frozen=True, kw_only=True)
class StoreInputs(InnerInputs):
    """Inputs of a step that asks the secrets store; `server` is empty when the store is not inside."""

    store: Mapping[str, Any]
    """The store in plain values, as `describe_store` describes it."""

    def open_store(self) -> Store:
        """Open the store; the inner API is opened only when the store asks for it."""
        return open_store(self.store, self.reach)


@dataclass(frozen=True, kw_only=True)
class NoOutputs:
    """The outputs of a step that has nothing to tell."""


In = TypeVar("In", bound=StepInputs)
Out = TypeVar("Out")


class Step(dynamic.ResourceProvider, Generic[In, Out]):
    """The create, update and delete of a step; a subclass only calls functions of the rooms below."""

    inputs: ClassVar[type[Any]]
    outputs: ClassVar[type[Any]]

    def __init_subclass__(cls) -> None:
        """Read the types of the inputs and outputs from the head of the subclass."""
        super().__init_subclass__()
        cls.inputs, cls.outputs = get_args(vars(cls)["__orig_bases__"][0])

    def _run(self, inputs: In, previous: Out | None) -> Out:
        """Do the step and return its outputs; `previous` holds those of the last run, if there was one."""
        raise TypeError(f"{type(self).__name__} does not say what it does")

    def _undo(self, inputs: In, outputs: Out) -> None:
        """Undo the step; most leave nothing that outlives the cluster."""

    def _is_due(self, inputs: In, outputs: Out) -> bool:
        """Tell whether the step must run again although no input changed."""
        return False

    def _require_host(self, reach: Reach, *, is_made: bool) -> None:
        """Make sure, before anything is written or deleted, that this is the cluster's host.

        Args:
            is_made: Whether the step has run, and what it made is deleted now.
        """
        reach.host().require_host()

    def configure(self, req: dynamic.ConfigureRequest) -> None:
        """Keep the traceback of an expected failure off the screen: its text says everything."""
        logging.getLogger("grpc._server").addFilter(is_unexpected)

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> dynamic.DiffResult:
        """Compare the inputs; outputs and waiting limits are no reason for a change."""
        changed = self._find_changed(_olds, _news)
        with self._border("preview", _olds):
            is_due = self._is_due(self._read_inputs(_olds), self._read_outputs(_olds))
        return dynamic.DiffResult(
            changes=bool(changed) or is_due,
            replaces=changed if self._place(_olds) != self._place(_news) else [],
            delete_before_replace=True,
        )

    def create(self, props: Properties) -> dynamic.CreateResult:
        """Run the step for the first time."""
        with self._border("create", props):
            inputs = self._read_inputs(props)
            self._require_host(inputs.reach, is_made=False)
            return dynamic.CreateResult(self._place(props), self._tell(props, self._run(inputs, None)))

    def update(self, _id: str, _olds: Properties, _news: Properties) -> dynamic.UpdateResult:
        """Run the step again."""
        with self._border("update", _news):
            inputs = self._read_inputs(_news)
            self._require_host(inputs.reach, is_made=False)
            return dynamic.UpdateResult(self._tell(_news, self._run(inputs, self._read_outputs(_olds))))

    def delete(self, _id: str, _props: Properties) -> None:
        """Undo the step."""
        with self._border("delete", _props):
            inputs = self._read_inputs(_props)
            self._require_host(inputs.reach, is_made=True)
            self._undo(inputs, self._read_outputs(_props))

    def _read_inputs(self, properties: Properties) -> In:
        return cast(In, parse(self.inputs, properties))

    def _read_outputs(self, properties: Properties) -> Out:
        return cast(Out, parse(self.outputs, properties))

    def _tell(self, props: Properties, outputs: Out) -> Properties:
        """Return all that Pulumi remembers: the inputs as they were given, and the outputs."""
        return {**{name: props[name] for name in find_hints(self.inputs) if name in props}, **describe(outputs)}

    def _find_changed(self, olds: Properties, news: Properties) -> list[str]:
        """Return the names of the inputs that differ from what the last run was given."""
        limits = find_marked(self.inputs, Mark.LIMIT)
        # As they are: in a preview, what is not known yet is no value of the input's type.
        return [name for name in find_hints(self.inputs) if name not in limits and news.get(name) != olds.get(name)]

    def _place(self, properties: Properties) -> str:
        """Return what tells this thing from others of its kind: namespace, cluster, and what is marked so."""
        access = properties["access"]
        marked = [properties[name] for name in find_marked(self.inputs, Mark.IDENTITY)]
        return "/".join(map(str, (access["namespace"], access["cluster"], *marked)))

    def _border(self, action: str, properties: Properties) -> AbstractContextManager[None]:
        """Keep the texts of libraries' exceptions from Pulumi, which would show them."""
        return border(f"step {type(self).__name__.removesuffix('Step')} {self._place(properties)}, {action}")


class LiveStep(dynamic.Resource, Generic[In, Out]):
    """A step as a resource of the program."""

    step: ClassVar[type[Step[Any, Any]]]
    """The step behind the resource."""
    outputs: Out
    """Its outputs: each field is a Pulumi output (`later`)."""

    def __init_subclass__(cls) -> None:
        """Give the resource's type the name of the class."""
        super().__init_subclass__(module="kinky", name=cls.__name__)

    def __init__(self, name: str, inputs: In, opts: pulumi.ResourceOptions) -> None:
        """Register the step with its inputs."""
        told = [field.name for field in fields(self.step.outputs)]
        super().__init__(self.step(), name, {**dict.fromkeys(told), **describe(inputs)}, opts)
        self.outputs = self.step.outputs(**{name: later(getattr(self, name)) for name in told})


def is_unexpected(record: logging.LogRecord) -> bool:
    """Tell whether a log record is about anything but an expected failure."""
    return not (record.exc_info and isinstance(record.exc_info[1], KinkyError))
