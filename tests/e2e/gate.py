"""Every way to a running pod that a user of the inner cluster has, and what its API says to each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from kinky import names, process
from kinky.errors import CommandError
from kinky.releases import default_release
from tests.e2e.person import Person, wait_for

NAMESPACE: Final = "default"
DENIED: Final = "the gate is closed"
POD: Final[Mapping[str, Any]] = {
    "containers": [{"name": "c", "image": default_release().system_images["web"], "imagePullPolicy": "Never"}],
    "automountServiceAccountToken": False,
    "terminationGracePeriodSeconds": 0,
}


def build_pods(node: str) -> dict[str, dict[str, Any]]:
    """Return pods by what is special about them."""
    tolerant = {"tolerations": [{"operator": "Exists"}]}
    named: dict[str, Any] = {"name": "s11"}
    return {
        "bare": _object("v1", "Pod", named, dict(POD)),
        "tolerates every taint": _object("v1", "Pod", named, {**POD, **tolerant}),
        "has its node": _object("v1", "Pod", named, {**POD, "nodeName": node}),
        "has a generated name": _object("v1", "Pod", {"generateName": "s11-"}, dict(POD)),
    }


def build_owners() -> dict[str, dict[str, Any]]:
    """Return objects whose controllers make pods, by kind."""
    labels = {"app": "s11"}
    template = {"metadata": {"labels": labels}, "spec": dict(POD)}
    selector = {"selector": {"matchLabels": labels}}
    job = {"metadata": {"labels": labels}, "spec": {**POD, "restartPolicy": "Never"}}
    return {
        "deployment": _object("apps/v1", "Deployment", {"name": "s11"}, {**selector, "template": template}),
        "daemonset": _object("apps/v1", "DaemonSet", {"name": "s11"}, {**selector, "template": template}),
        "job": _object("batch/v1", "Job", {"name": "s11"}, {"template": job}),
    }


def check_refusals(person: Person) -> None:
    """Assert that every way to a running pod is refused (S11); nothing is made by the first that is not."""
    for way, pod in build_pods(person.worker).items():
        assert DENIED in create(person, pod, "--dry-run=server"), way
        assert DENIED in create(person, pod), way
    for path in ("pods/s11/binding", "bindings"):
        assert DENIED in bind(person, path, person.worker), path
    assert fetch_pods(person) == []


def try_pod(person: Person) -> str:
    """Return what the inner API says to a pod of a user, without making it."""
    return create(person, build_pods(person.worker)["bare"], "--dry-run=server")


@contextmanager
def without_store(person: Person) -> Iterator[None]:
    """Take the right to read the store away on the host, and give it back."""
    binding = ("rolebinding", names.store_reader(person.stack.cluster))
    subjects = json.loads(person.host("get", *binding, "--output", "json"))["subjects"]
    _patch_subjects(person, binding, [])
    try:
        yield
    finally:
        _patch_subjects(person, binding, subjects)


def _patch_subjects(person: Person, binding: tuple[str, str], subjects: list[dict[str, str]]) -> None:
    person.host("patch", *binding, "--type", "merge", "--patch", json.dumps({"subjects": subjects}))


def works(person: Person) -> bool:
    """Tell whether the gate is open and nothing is wrong with it or with the store."""
    shown = person.show_gate()
    return shown.startswith("open since ") and "CRITICAL" not in shown


def wait_works(person: Person) -> None:
    """Wait until the gate is open and the store works: what failed is asked for again after half a minute or more."""
    wait_for("a store that works", lambda: works(person), limit_seconds=600)


def create(person: Person, body: Mapping[str, Any], *options: str) -> str:
    """Create an object and return what kubectl says, a refusal included."""
    manifest = json.dumps({**body, "metadata": {**body["metadata"], "namespace": NAMESPACE}})
    command = ["env", "kubectl", "create", "--filename", "-", *options]
    return _told(command, person, stdin=manifest.encode())


def bind(person: Person, path: str, node: str) -> str:
    """Send a Binding to this path below the namespace's and return what kubectl says."""
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "s11"}, "target": target}
    command = ["env", "kubectl", "create", "--raw", f"/api/v1/namespaces/{NAMESPACE}/{path}", "--filename", "-"]
    return _told(command, person, stdin=json.dumps(body).encode())


def fetch_pods(person: Person) -> list[dict[str, Any]]:
    """Return the pods of the namespace."""
    listed = json.loads(person.kubectl("get", "pods", "--namespace", NAMESPACE, "--output", "json"))
    return list(listed["items"])


def fetch_owner_kinds(person: Person) -> set[str]:
    """Return the kinds that own the pods of the namespace."""
    return {owner["kind"] for pod in fetch_pods(person) for owner in pod["metadata"].get("ownerReferences", [])}


def fetch_nodes_of_pods(person: Person) -> list[str]:
    """Return the nodes of the pods in the namespace; empty for a pod that is not placed."""
    return [pod["spec"].get("nodeName", "") for pod in fetch_pods(person)]


def find_pods_elsewhere(person: Person) -> set[str]:
    """Return the identity of each pod, of any namespace, that runs on another node than the worker."""
    listed = json.loads(person.kubectl("get", "pods", "--all-namespaces", "--output", "json"))["items"]
    found = [pod for pod in listed if pod["spec"].get("nodeName") not in (None, person.worker)]
    return {pod["metadata"]["uid"] for pod in found if pod["status"]["phase"] == "Running"}


def is_denied(person: Person, kind: str) -> bool:
    """Tell whether a controller has been refused a pod for an owner of this kind."""
    wanted = ("--field-selector", "reason=FailedCreate", "--output", "json")
    events = json.loads(person.kubectl("get", "events", "--namespace", NAMESPACE, *wanted))["items"]
    kinds = {"deployment": "ReplicaSet", "daemonset": "DaemonSet", "job": "Job"}
    return any(
        event["involvedObject"]["kind"] == kinds[kind] and DENIED in event.get("message", "") for event in events
    )


def _object(version: str, kind: str, metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _told(command: list[str], person: Person, *, stdin: bytes) -> str:
    try:
        return process.run(command, reason="test", env=person.environment(), stdin=stdin, timeout_seconds=60)
    except CommandError as error:
        return str(error)
