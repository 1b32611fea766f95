"""Runs the program against a monitor that records what was registered; tests assert on the plain records."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from pulumi.runtime import mocks, rpc, set_mocks, settings
from pulumi.runtime.stack import run_in_stack

from kinky.components.live_step import LiveStep, NoOutputs
from kinky.components.properties import describe
from kinky.components.steps.applied import ConfigurationApplied, ConfigurationAppliedOutputs
from kinky.components.steps.console import ConsoleLogsStopped
from kinky.components.steps.forming import NodesReady, OutsideReady, OutsideReadyOutputs
from kinky.components.steps.gate import Gate, GateOpened, GateOpenedOutputs, GateOutputs
from kinky.components.steps.identity import ClusterIdentity, ClusterIdentityOutputs, HostGuard
from kinky.components.steps.keys import ClusterKeys, NodeCredentials, NodeCredentialsOutputs
from kinky.components.steps.record import ClusterRecord, ClusterRecordOutputs
from kinky.components.steps.store import (
    StoreCredential,
    StoreCredentialOutputs,
    StoreServed,
    StoreServedOutputs,
    StoreValue,
)
from kinky.components.steps.workload import WorkloadAnswered
from kinky.forming.tables import NodesRecord
from kinky.gate.proof import EvidenceItem
from kinky.gate.workload import WorkloadRecord
from kinky.keys.material import KeyRecord
from kinky.stores.values import StoreValueRecord

FIRST_ADDRESS = ipaddress.ip_address("10.96.10.1")
ADDRESS_COUNT = 60_000
KUBECONFIG_TEXT = '{"kind": "Config", "users": [{"name": "operator", "user": {"exec": {"command": "kinky"}}}]}'

OUTPUTS: tuple[tuple[type[LiveStep[Any, Any]], Any], ...] = (
    (ClusterIdentity, ClusterIdentityOutputs(host_uid="4f2a", cluster_id="c1d2")),
    (ClusterRecord, ClusterRecordOutputs(namespace_created=True, owners=())),
    (HostGuard, NoOutputs()),
    (ClusterKeys, KeyRecord(secret_name="dev-pki", fingerprints={"ca.crt": "00"})),
    (
        NodeCredentials,
        NodeCredentialsOutputs(
            secret_name="", not_after="2027-11-22T00:00:00Z", fingerprints={}, generation=1, all_secret_names=()
        ),
    ),
    (StoreValue, StoreValueRecord(place="Secret ns/x", fingerprint="ab" * 32)),
    (StoreServed, StoreServedOutputs(key_ids=("0123",))),
    (
        OutsideReady,
        OutsideReadyOutputs(
            server="https://127.0.0.1:16500",
            kubeconfig="/state/clusters/dev/kubeconfig.yaml",
            kubeconfig_text=KUBECONFIG_TEXT,
            cluster_uid="5f0c",
            kubernetes_version="v1.36.3",
            ca_fingerprint="cd" * 32,
            tls_seconds=100.0,
            ready_seconds=180.0,
        ),
    ),
    (ConfigurationApplied, ConfigurationAppliedOutputs(applied_at="2026-11-22T00:00:00Z")),
    (NodesReady, NodesRecord(nodes=(), seconds=20.0)),
    (
        StoreCredential,
        StoreCredentialOutputs(
            secret="kinky-system/host-store-token",
            fingerprint="ef" * 32,
            expires_at="2026-11-29T00:00:00Z",
            host_server="https://10.96.0.1:443",
            host_ca_bundle="Q0E=",
        ),
    ),
    (Gate, GateOutputs(inner_kubeconfig=KUBECONFIG_TEXT)),
    (
        GateOpened,
        GateOpenedOutputs(
            first_seconds=5.0,
            second_seconds=6.0,
            proved_at="2026-11-22T00:00:00Z",
            opened_at="2026-11-22T00:00:01Z",
            items=(EvidenceItem("G1", "the secrets store is Ready", "2026-11-22T00:00:00Z"),),
            workloads_kubeconfig=KUBECONFIG_TEXT,
        ),
    ),
    (ConsoleLogsStopped, NoOutputs()),
    (WorkloadAnswered, WorkloadRecord(node="dev-worker-0", secret_fingerprint="ab" * 32, seconds=30.0)),
)
"""What each live step would answer."""
STEP_OUTPUTS: Mapping[str, Mapping[str, Any]] = {step.__name__: describe(told) for step, told in OUTPUTS}
"""The same by the last part of a step's type, as Pulumi keeps it."""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource as the engine would have got it."""

    type: str
    name: str
    urn: str
    parent: str
    inputs: dict[str, Any]
    secrets: frozenset[str]
    """Inputs that Pulumi encrypts in its state."""
    secret_outputs: frozenset[str]
    provider: str
    depends_on: frozenset[str]
    deleted_with: str
    retain_on_delete: bool
    custom: bool

    @property
    def kind(self) -> str:
        """The last part of the type, such as Secret or ClusterRecord."""
        return self.type.rpartition(":")[2]


@dataclass
class Recorder(mocks.MockMonitor):
    """A monitor that answers as a host would, and remembers every request."""

    preview: bool = False
    seen: list[Registered] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(Host(preview=self.preview))

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)
        if request.type == "pulumi:pulumi:Stack":
            return response
        inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
        self.seen.append(
            Registered(
                type=request.type,
                name=request.name,
                urn=response.urn,
                parent=request.parent,
                inputs=plain(inputs),
                secrets=frozenset(key for key, value in inputs.items() if rpc.is_rpc_secret(value)),
                secret_outputs=frozenset(request.additionalSecretOutputs),
                provider=request.provider,
                depends_on=frozenset(request.dependencies),
                deleted_with=request.deletedWith,
                retain_on_delete=request.retainOnDelete,
                custom=request.custom,
            )
        )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if "pulumi:pulumi:Stack" in request.urn:
            self.exports.update(plain(rpc.deserialize_properties(request.outputs, keep_unknowns=True)))
        return super().RegisterResourceOutputs(request)

    def of(self, kind: str) -> list[Registered]:
        """Return all resources of a kind, in the order of registration."""
        return [item for item in self.seen if item.kind == kind]

    def one(self, kind: str, name: str | None = None) -> Registered:
        """Return the only resource of a kind, or the one whose object or resource has the name."""
        found = [item for item in self.of(kind) if name is None or name in (item.name, object_name(item))]
        assert len(found) == 1, f"{kind} {name}: {[item.name for item in self.of(kind)]}"
        return found[0]

    def before(self, item: Registered) -> set[str]:
        """Return the names of all that the engine creates before the resource, and deletes after it."""
        by_urn = {other.urn: other for other in self.seen}
        found: set[str] = set()
        todo = [item.urn]
        while todo:
            at = by_urn[todo.pop()]
            needed = {*at.depends_on, at.provider.rpartition("::")[0]} & by_urn.keys()
            todo += [urn for urn in needed if by_urn[urn].name not in found]
            found |= {by_urn[urn].name for urn in needed}
        return found

    def deleted_with(self, item: Registered) -> str:
        """Return what the resource is deleted with; the engine takes it from the parent, as this does."""
        by_urn = {other.urn: other for other in self.seen}
        at: Registered | None = item
        while at is not None:
            if at.deleted_with:
                return at.deleted_with
            at = by_urn.get(at.parent)
        return ""


Declare = Callable[..., Recorder]
"""What the fixture `declare` gives: it runs the program with some keys of its configuration changed."""


class Host(mocks.Mocks):
    """Echoes inputs, and adds what a host and the live steps would answer; in a preview nobody answers."""

    def __init__(self, *, preview: bool = False) -> None:
        self._preview = preview

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"the program must call no provider function: {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        kind = args.typ.rpartition(":")[2]
        outputs = dict(args.inputs)
        if self._preview:
            return None, outputs
        if kind == "Service":
            # By name and not by order, in which the engine gives no promise.
            offset = int(digest(args.name), 16) % ADDRESS_COUNT
            outputs["spec"] = {**outputs["spec"], "clusterIPs": [str(FIRST_ADDRESS + offset)]}
        if args.typ.startswith("pulumi-python:"):
            outputs |= STEP_OUTPUTS[kind]
        if kind == "NodeCredentials":
            outputs["secret_name"] = f"{args.inputs['node']}-credentials-{digest(args.inputs['address'])}"
        return f"{args.name}-id", outputs


def record(program: Callable[[], object], *, stack: str = "dev", preview: bool = False) -> Recorder:
    """Run the program as the engine would, in an event loop and settings of its own.

    As in `make up`, an Output in an f-string raises instead of writing a help text into the value.
    """
    with patch.dict(os.environ, {"PULUMI_ERROR_OUTPUT_STRING": "1"}):
        return contextvars.copy_context().run(_record, program, stack, preview)


def _record(program: Callable[[], object], stack: str, preview: bool) -> Recorder:
    recorder = Recorder(preview=preview)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        set_mocks(recorder.mocks, project="kinky", stack=stack, preview=preview, monitor=recorder)
        # `set_mocks` makes a root of its own, which would not record what the program exports.
        settings.ROOT.set(None)
        loop.run_until_complete(run_in_stack(lambda: _run(program)))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return recorder


def _run(program: Callable[[], object]) -> None:
    program()


def plain(value: Any) -> Any:
    """Return a value without Pulumi's wrapping of secrets."""
    if rpc.is_rpc_secret(value):
        return plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def object_name(item: Registered) -> str:
    """Return the name of the Kubernetes object, or nothing."""
    metadata = item.inputs.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def kubernetes_objects(recorded: Recorder) -> list[Registered]:
    """Return all Kubernetes objects, in the order of registration."""
    return [item for item in recorded.seen if item.type.startswith("kubernetes:")]


def provider_name(item: Registered) -> str:
    """Return the name of the provider that writes the resource, or nothing."""
    return item.provider.split("::")[-2] if item.provider else ""


def digest(text: str) -> str:
    """Return eight characters that follow from the text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
