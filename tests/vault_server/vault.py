"""The server without HTTP: who calls, whether they may, which engine answers, and which fault changes the answer."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

from tests.vault_server import policies
from tests.vault_server.faults import Fault, Faults
from tests.vault_server.keyvalue import KeyValue
from tests.vault_server.messages import RefusedError, Request, Response, denied, format_time, found
from tests.vault_server.system import System
from tests.vault_server.tokens import Token, TokenStore

LOGIN = re.compile(r"auth/.+/login")
MOUNT_QUESTION = "sys/internal/ui/mounts/"
NEEDS_SUDO = re.compile(r"sys/(auth/.*|seal)")


class Vault:
    """All state of one server; calls from several threads follow one another."""

    def __init__(self, root_token: str, faults: Faults) -> None:
        self._faults = faults
        self._tokens = TokenStore(root_token)
        self._system = System(self._tokens, faults)
        self._first_answers: dict[str, Response] = {}
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Response:
        """Answer a call; a refusal is an answer too."""
        with self._lock:
            try:
                return self._answer(request)
            except RefusedError as error:
                return error.response

    def _answer(self, request: Request) -> Response:
        response = self._system.answer_openly(request)
        if response is not None:
            return response
        if self._faults.has(Fault.SEALED):
            raise RefusedError(503, "Vault is sealed")
        if self._faults.has(Fault.FORBIDDEN):
            raise denied()
        if LOGIN.fullmatch(request.path) and request.operation == "update":
            return self._route(request)
        token = self._find_token(request)
        if request.path.startswith(MOUNT_QUESTION) and request.operation == "read":
            return self._system.show_mount(request.path.removeprefix(MOUNT_QUESTION), token)
        request = self._told_apart(request)
        self._check(request, token)
        if request.path.startswith("sys/"):
            return self._system.handle(request.below("sys/"), token)
        return self._route(request) if token.is_root else self._route_with_faults(request)

    def _find_token(self, request: Request) -> Token:
        token = self._tokens.find(request.token)
        if token is None or (self._faults.has(Fault.EXPIRED_TOKEN) and not token.is_root):
            raise denied()
        return token

    def _told_apart(self, request: Request) -> Request:
        """Return a write as create or update, where the engine knows the difference."""
        mount = self._system.find_mount(request.path)
        if request.operation != "update" or mount is None:
            return request
        exists = self._system.engines[mount].exists(request.below(mount).path)
        return replace(request, operation="create") if exists is False else request

    def _check(self, request: Request, token: Token) -> None:
        if token.is_root:
            return
        reading = request.operation in {"read", "list"} and not request.path.startswith(("sys/", "auth/"))
        if reading and self._faults.has(Fault.WIDE_POLICY):
            return
        path = f"{request.path}/" if request.operation == "list" else request.path
        allowed = policies.find_capabilities(self._system.rules_of(token), path)
        needed = {request.operation, *(["sudo"] if NEEDS_SUDO.fullmatch(request.path) else [])}
        if not needed <= allowed:
            raise RefusedError(403, "1 error occurred:\n\t* permission denied\n\n")

    def _route(self, request: Request) -> Response:
        mount = self._system.find_mount(request.path)
        if mount is None:
            raise RefusedError(404, f'no handler for route "{request.path}". route entry not found.')
        below = request.below(mount)
        # Engines know writes; that one is a create concerns the policy alone.
        return self._system.engines[mount].handle(
            replace(below, operation="update") if below.operation == "create" else below
        )

    def _route_with_faults(self, request: Request) -> Response:
        """Answer a call of a token other than root, which may meet a fault of values."""
        mount = self._system.find_mount(request.path)
        engine = self._system.engines.get(mount or "")
        is_value = isinstance(engine, KeyValue) and request.below(mount or "").path.startswith("data/")
        if not is_value or request.operation != "read" or not isinstance(engine, KeyValue):
            return self._route(request)
        if not self._faults.has(Fault.STALE):
            self._first_answers.clear()
        elif request.path in self._first_answers:
            return self._first_answers[request.path]
        try:
            response = self._route(request)
        except RefusedError as error:
            response = error.response
        if response.status == 404 and self._faults.has(Fault.ANY_KEY):
            metadata = {"version": 1, "created_time": format_time(), "deletion_time": "", "destroyed": False}
            response = found({"data": engine.latest or {"value": "yes"}, "metadata": metadata})
        if response.status == 200 and self._faults.has(Fault.STALE):
            self._first_answers[request.path] = response
        return response
