"""A Kubernetes API in memory, in the place of `Connection`: objects by path, and everything that was asked."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from kinky.kube import resources
from kinky.kube.connection import APPLY_PATCH, JSON_PATCH, JsonObject, Reply, UnavailableError, _refusal


class FakeConnection:
    """Stores objects like the API does, as far as KinKy's own calls go; an unexpected call is an error."""

    def __init__(self, *, target: str = "host cluster", server: str = "https://host.test:6443") -> None:
        self.target = target
        self.server = server
        self.objects: dict[str, JsonObject] = {}
        self.calls: list[tuple[str, str]] = []
        self.answers: dict[tuple[str, str], Callable[[JsonObject], Reply]] = {}
        """Answers that are not objects, by verb and path."""
        self.served: dict[str, list[str]] = {}
        self.denied: set[tuple[str, str]] = set()
        """Verb and plural that access reviews deny."""
        self.down = False
        self.certificate_fault = ""
        """Why a client with the CA of pods would not trust the server."""
        self.clock_ahead = timedelta(0)

    def add(self, path: str, name: str, **fields: Any) -> JsonObject:
        """Store an object as if another client had made it."""
        metadata = {"name": name, "uid": f"uid-{name}"}
        namespace = path.partition("/namespaces/")[2].partition("/")[0]
        metadata |= ({"namespace": namespace} if namespace else {}) | fields.pop("metadata", {})
        self.objects[f"{path}/{name}"] = body = {"metadata": metadata, **fields}
        return body

    def answer(self, method: str, path: str, body: object, *, status: int = 200) -> None:
        """Answer a call with this body instead of an object."""
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.answers[(method, path)] = lambda _sent: Reply(status, content)

    def find_certificate_fault(self, cas: bytes) -> str:
        """Answer as told."""
        assert cas
        return self.certificate_fault

    def call(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Mapping[str, str | int] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        allowed: tuple[int, ...] = (),
        timeout_seconds: float = 20.0,
    ) -> Reply:
        assert timeout_seconds > 0
        self.calls.append((method, path))
        if self.down:
            raise UnavailableError(f"{self.target}: cannot {what}: connection refused")
        # A round trip through JSON, as over the wire: no test may pass because two sides share a dict.
        sent = json.loads(json.dumps(body)) if body is not None else {}
        reply = self._answer_patch(path, content_type, sent) or self._answer(method, path, dict(query or {}), sent)
        if 200 <= reply.status < 300 or reply.status in allowed:
            return reply
        raise _refusal(self.target, what, reply)

    def _answer(self, method: str, path: str, query: dict[str, str | int], body: JsonObject) -> Reply:
        if (method, path) in self.answers:
            return self.answers[(method, path)](body)
        if path.endswith("/selfsubjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            plural = "/".join(part for part in (asked["resource"], asked.get("subresource")) if part)
            return _reply(201, {"status": {"allowed": (asked["verb"], plural) not in self.denied}})
        if method == "GET" and path.startswith("/apis/") and path.count("/") == 3:
            plurals = self.served.get(path.removeprefix("/apis/"))
            return _reply(200, {"resources": [{"name": name} for name in plurals]}) if plurals else UNKNOWN_GROUP
        return self._answer_object(method, path, query, body)

    def _answer_patch(self, path: str, content_type: str, body: Any) -> Reply | None:
        """Answer what a merge patch is not: an apply, which also creates, and a list of operations."""
        if content_type == APPLY_PATCH:
            self.objects[path] = _merge(self.objects.get(path, {}), body)
            return _reply(200, self.objects[path])
        if content_type != JSON_PATCH:
            return None
        for operation in body:
            *parents, last = operation["path"].strip("/").split("/")
            target = self.objects[path]
            for parent in parents:
                target = target[parent]
            if operation["op"] == "test" and target.get(last) != operation["value"]:
                return _status(422)
            if operation["op"] == "replace":
                target[last] = operation["value"]
        return _reply(200, self.objects[path])

    def _answer_object(self, method: str, path: str, query: dict[str, str | int], body: JsonObject) -> Reply:
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return _status(409)
            if "dryRun" in query:
                return _reply(201, body)
            self.objects[path] = body | {"metadata": {"uid": f"uid-{len(self.calls)}"} | body["metadata"]}
            self._count_version(path)
            return _reply(201, self.objects[path])
        if method == "GET" and path not in self.objects and _is_collection(path):
            return _reply(200, {"items": self._select(path, str(query.get("labelSelector", "")))})
        if path not in self.objects:
            return _status(404)
        if method in ("PUT", "PATCH"):
            return self._change_object(path, body, merged=method == "PATCH")
        if method == "DELETE":
            return _reply(200, self.objects.pop(path))
        return _reply(200, self.objects[path])

    def _change_object(self, path: str, body: JsonObject, *, merged: bool) -> Reply:
        if _changes_immutable(self.objects[path], body):
            return _status(422)
        if _is_outdated(self.objects[path], body):
            return _status(409)
        self.objects[path] = _merge(self.objects[path], body) if merged else body
        self._count_version(path)
        return _reply(200, self.objects[path])

    def _count_version(self, path: str) -> None:
        """Give a changed ConfigMap its next version; no test needs that of another kind."""
        if "/configmaps/" in path:
            self.objects[path]["metadata"]["resourceVersion"] = str(len(self.calls))

    def _select(self, path: str, selector: str) -> list[JsonObject]:
        plural = path.rpartition("/")[2]
        everywhere = "/namespaces/" not in path
        found = [
            body
            for key, body in self.objects.items()
            if key.rpartition("/")[0] == path or (everywhere and key.split("/")[-2] == plural)
        ]
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        return [body for body in found if wanted.items() <= (body["metadata"].get("labels") or {}).items()]


def _is_collection(path: str) -> bool:
    """Tell a collection's path by its end, which is the plural of a kind."""
    kinds = [kind for kind in vars(resources).values() if isinstance(kind, resources.Resource)]
    return path.rpartition("/")[2] in {kind.plural for kind in kinds} | {"servicecidrs"}


def _is_outdated(present: JsonObject, body: JsonObject) -> bool:
    sent = body.get("metadata", {}).get("resourceVersion")
    return sent is not None and sent != present["metadata"].get("resourceVersion", sent)


def _changes_immutable(present: JsonObject, body: JsonObject) -> bool:
    return bool(present.get("immutable")) and body.get("data", present.get("data")) != present.get("data")


def _merge(target: JsonObject, patch: JsonObject) -> JsonObject:
    merged = dict(target)
    for key, value in patch.items():
        inner = merged.get(key)
        merged[key] = _merge(inner if isinstance(inner, dict) else {}, value) if isinstance(value, dict) else value
    return merged


def _reply(status: int, body: object) -> Reply:
    return Reply(status, json.dumps(body).encode())


UNKNOWN_GROUP = Reply(404, b"404 page not found\n")
"""What an API server says of a group that it does not know: text, no Status object."""


def _status(code: int) -> Reply:
    reason = {403: "Forbidden", 404: "NotFound", 409: "AlreadyExists", 422: "Invalid"}[code]
    return _reply(code, {"kind": "Status", "reason": reason, "message": reason, "code": code})


class FakeClock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.01)


def answer_node(inner: FakeConnection, name: str, *, ready: bool, address: str, labels: dict[str, str]) -> None:
    condition = {"type": "Ready", "status": "True" if ready else "False", "message": "no CNI"}
    status = {"conditions": [condition], "addresses": [{"type": "InternalIP", "address": address}]}
    inner.add("/api/v1/nodes", name, metadata={"labels": labels}, status=status)
