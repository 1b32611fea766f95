"""The auth method that is always there: look at, renew, end and make tokens."""

from __future__ import annotations

from tests.vault_server.messages import RefusedError, Request, Response, denied, done, found, parse_list, parse_seconds
from tests.vault_server.tokens import LONGEST_SECONDS, Token, TokenStore


class TokenMethod:
    """The method at auth/token/."""

    kind = "token"

    def __init__(self, tokens: TokenStore) -> None:
        self._tokens = tokens

    def exists(self, _path: str) -> bool | None:
        """No write here is a question of create or update."""
        return None

    def handle(self, request: Request) -> Response:
        """Answer a call below the mount."""
        own = self._tokens.find(request.token)
        if own is None:
            raise denied()
        named = str(request.data.get("token", ""))
        match (request.operation, request.path):
            case ("read" | "update", "lookup-self"):
                return found(own.as_data())
            case ("update", "revoke-self"):
                self._tokens.revoke(own)
                return done()
            case ("update", "renew-self"):
                return self._renew(own, request)
            case ("update", "lookup"):
                return found(self._named(named).as_data())
            case ("update", "revoke"):
                self._tokens.revoke(self._named(named))
                return done()
            case ("update", "create" | "create-orphan"):
                return self._create(own, request)
        raise RefusedError(404, "unsupported path: auth/token")

    def _named(self, text: str) -> Token:
        token = self._tokens.find(text)
        if token is None:
            raise RefusedError(403, "bad token")
        return token

    def _renew(self, token: Token, request: Request) -> Response:
        if not token.ends or not token.renewable:
            raise RefusedError(400, "lease is not renewable")
        token.renew(parse_seconds(request.data.get("increment", 0), name="increment"))
        return found(None, auth=token.as_auth())

    def _create(self, parent: Token, request: Request) -> Response:
        policies = {*parse_list(request.data.get("policies"))} or {*parent.policies}
        if not parent.is_root and not policies <= {*parent.policies, "default"}:
            raise RefusedError(400, "child policies must be subset of parent")
        if "root" not in policies and not request.data.get("no_default_policy"):
            policies.add("default")
        seconds = parse_seconds(request.data.get("ttl", 0), name="ttl")
        orphan = request.data.get("no_parent") or request.path == "create-orphan"
        token = self._tokens.make(
            policies=tuple(sorted(policies)),
            path="auth/token/create",
            display_name="token",
            ttl_seconds=seconds or (0 if "root" in policies else LONGEST_SECONDS),
            renewable=bool(request.data.get("renewable", True)),
            parent="" if orphan else parent.text,
        )
        return found(None, auth=token.as_auth())
