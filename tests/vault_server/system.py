"""Everything below sys/: health, mounts, auth methods, policies."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from tests.vault_server import policies
from tests.vault_server.faults import Fault, Faults
from tests.vault_server.jwt_method import JwtMethod
from tests.vault_server.keyvalue import KeyValue
from tests.vault_server.messages import RefusedError, Request, Response, absent, done, found, listing, parse_list
from tests.vault_server.token_method import TokenMethod
from tests.vault_server.tokens import Token, TokenStore

VERSION = "1.14.8"
"""The version whose API this server has."""
SECRETS, AUTH = "mounts", "auth"
Engine = KeyValue | JwtMethod | TokenMethod


class System:
    """What is mounted, which policies there are, and the calls that change it."""

    def __init__(self, tokens: TokenStore, faults: Faults) -> None:
        self._tokens = tokens
        self._faults = faults
        self.engines: dict[str, Engine] = {"auth/token/": TokenMethod(tokens)}
        """Engines by the path of their mount, which ends with a slash."""
        self._information: dict[str, dict[str, Any]] = {"auth/token/": _describe("token", {})}
        self._policies = {"default": policies.DEFAULT_TEXT}

    def rules_of(self, token: Token) -> list[policies.Rules]:
        """Return the rules of the token's policies; a policy that is not there allows nothing."""
        known = (self._policies.get(name) for name in token.policies)
        return [policies.parse_policy(text) for text in known if text is not None]

    def find_mount(self, path: str) -> str | None:
        """Return the mount that serves a path: the longest one it lies below."""
        fitting = [mount for mount in self.engines if f"{path}/".startswith(mount)]
        return max(fitting, key=len, default=None)

    def answer_openly(self, request: Request) -> Response | None:
        """Answer what needs no token and works sealed too; None for everything else."""
        sealed = self._faults.has(Fault.SEALED)
        if request.path == "sys/health":
            state: dict[str, object] = {
                "initialized": True,
                "sealed": sealed,
                "standby": False,
                "performance_standby": False,
            }
            return Response(503 if sealed else 200, {**state, "server_time_utc": int(time.time()), "version": VERSION})
        if request.path == "sys/init":
            return Response(200, {"initialized": True})
        if request.path == "sys/seal-status":
            seal = {"type": "shamir", "initialized": True, "sealed": sealed, "t": 1, "n": 1, "progress": 0}
            return Response(200, {**seal, "nonce": "", "version": VERSION, "storage_type": "inmem"})
        return None

    def handle(self, request: Request, token: Token) -> Response:
        """Answer a call below sys/ that the token may make."""
        area, _, rest = request.path.partition("/")
        if area in {SECRETS, AUTH}:
            return self._mounts(request, area, rest)
        if area in {"policy", "policies"}:
            old = area == "policy"
            return self._policy(
                request, rest if old else rest.removeprefix("acl").strip("/"), "rules" if old else "policy"
            )
        if request.path == "capabilities-self" and request.operation == "update":
            return self._capabilities(request, token)
        if request.path == "seal" and request.operation == "update":
            self._faults.switch_on(Fault.SEALED)
            return done()
        raise RefusedError(404, f"unsupported path: sys/{area}")

    def show_mount(self, path: str, token: Token) -> Response:
        """Tell which mount serves a path, if any rule of the token reaches into it."""
        mount = self.find_mount(path.strip("/"))
        reachable = mount is not None and (token.is_root or self._reaches(token, mount))
        if mount is None or not reachable:
            raise RefusedError(
                403,
                "preflight capability check returned 403, please ensure client's policies grant access to path "
                f'"{path.strip("/")}/"',
            )
        return found({**self._information[mount], "path": mount.removeprefix("auth/")})

    def _reaches(self, token: Token, mount: str) -> bool:
        patterns = [
            pattern for rules in self.rules_of(token) for pattern, allowed in rules.items() if "deny" not in allowed
        ]
        literals = [pattern.split("+")[0].rstrip("*") for pattern in patterns]
        return any(literal.startswith(mount) or mount.startswith(literal) for literal in literals)

    def _capabilities(self, request: Request, token: Token) -> Response:
        paths = parse_list(request.data.get("paths") or request.data.get("path"))
        answer = {path: self._capabilities_on(path, token) for path in paths}
        return found({**answer, **({"capabilities": answer[paths[0]]} if len(paths) == 1 else {})})

    def _capabilities_on(self, path: str, token: Token) -> list[str]:
        if token.is_root:
            return ["root"]
        return sorted(policies.find_capabilities(self.rules_of(token), path)) or ["deny"]

    def _mounts(self, request: Request, area: str, name: str) -> Response:
        prefix = "auth/" if area == AUTH else ""
        if not name and request.operation == "read":
            table = {
                mount.removeprefix(prefix): information
                for mount, information in self._information.items()
                if mount.startswith("auth/") == (area == AUTH)
            }
            answer = found(table)
            return Response(200, {**table, **(answer.body or {})})
        mount = f"{prefix}{name.strip('/')}/"
        if request.operation == "read":
            if mount not in self._information:
                what = "auth engine" if area == AUTH else "secret engine mount"
                raise RefusedError(400, f"No {what} at {name.strip('/')}/")
            return found(self._information[mount])
        if request.operation == "delete":
            self.engines.pop(mount, None)
            self._information.pop(mount, None)
            if area == AUTH:
                self._tokens.revoke_below(mount)
            return done()
        self._mount(mount, area, request.data)
        return done()

    def _mount(self, mount: str, area: str, data: Mapping[str, Any]) -> None:
        for taken in self.engines:
            if mount.startswith(taken) or taken.startswith(mount):
                raise RefusedError(
                    400, f"path is already in use at {taken.removeprefix('auth/') if area == AUTH else taken}"
                )
        kind, options = str(data.get("type", "")), dict(data.get("options") or {})
        if kind == "kv-v2":
            kind, options = "kv", {**options, "version": "2"}
        if area == AUTH and kind == "jwt":
            self.engines[mount] = JwtMethod(mount.removeprefix("auth/"), self._tokens, self._faults)
        elif area == SECRETS and kind == "kv" and str(options.get("version")) == "2":
            self.engines[mount] = KeyValue()
        else:
            raise RefusedError(400, f"plugin not found in the catalog: {kind or 'none'}")
        self._information[mount] = {**_describe(kind, options), "description": data.get("description", "")}

    def _policy(self, request: Request, name: str, field: str) -> Response:
        if not name:
            return listing([*self._policies, policies.ROOT])
        name = name.lower()
        if request.operation == "read":
            if name == policies.ROOT or name not in self._policies:
                raise absent()
            return found({"name": name, field: self._policies[name]})
        if name == policies.ROOT or (request.operation == "delete" and name == "default"):
            verb = "delete" if request.operation == "delete" else "update"
            raise RefusedError(400, f'cannot {verb} "{name}" policy')
        if request.operation == "delete":
            self._policies.pop(name, None)
            return done()
        text = str(request.data.get("policy") or request.data.get("rules") or "")
        if not text:
            raise RefusedError(400, "'policy' parameter not supplied or empty")
        policies.parse_policy(text)
        self._policies[name] = text
        return done()


def _describe(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    identity = {"accessor": f"{kind}_{uuid.uuid4().hex[:8]}", "uuid": str(uuid.uuid4())}
    times = {"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": False}
    return {
        "type": kind,
        "description": "",
        "options": dict(options) or None,
        "config": times,
        "local": False,
        **identity,
    }
