"""The auth method of type jwt with given public keys: its configuration, its roles, and the login."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.vault_server import signatures
from tests.vault_server.faults import Fault, Faults
from tests.vault_server.messages import (
    RefusedError,
    Request,
    Response,
    absent,
    done,
    found,
    listing,
    parse_list,
    parse_seconds,
)
from tests.vault_server.tokens import LONGEST_SECONDS, TokenStore, make_entity

_SECONDS = ("clock_skew_leeway", "expiration_leeway", "not_before_leeway", "token_ttl", "token_max_ttl")
_LISTS = ("bound_audiences", "token_policies")
_TEXTS = {"bound_subject": "", "user_claim": "", "bound_claims_type": "string"}
_UNSUPPORTED = ("bound_claims", "claim_mappings", "groups_claim", "token_bound_cidrs", "token_period", "token_num_uses")
"""Fields of a role that this server would have to enforce; with a value they are refused rather than ignored."""


class JwtMethod:
    """One mounted auth method."""

    kind = "jwt"

    def __init__(self, mount: str, tokens: TokenStore, faults: Faults) -> None:
        self._mount = mount
        self._tokens = tokens
        self._faults = faults
        self._config: dict[str, Any] | None = None
        self._roles: dict[str, dict[str, Any]] = {}
        self._entities: dict[str, str] = {}

    def exists(self, path: str) -> bool | None:
        """Tell whether a write to the path is an update; None where that is no question."""
        area, _, name = path.partition("/")
        return name in self._roles if area == "role" else None

    def handle(self, request: Request) -> Response:
        """Answer a call below the mount."""
        area, _, name = request.path.partition("/")
        if area == "login" and not name and request.operation == "update":
            return self._login(request.data)
        if area == "config" and not name:
            return self._configure(request)
        if area == "role" and request.operation == "list":
            return listing([*self._roles])
        if area == "role" and name:
            return self._role(request, name)
        raise RefusedError(404, f"unsupported path: {area}")

    def _configure(self, request: Request) -> Response:
        if request.operation == "read":
            if self._config is None:
                raise absent()
            return found(self._config)
        keys = parse_list(request.data.get("jwt_validation_pubkeys"))
        if not keys or request.data.get("jwks_url") or request.data.get("oidc_discovery_url"):
            raise RefusedError(
                400, "exactly one of 'jwt_validation_pubkeys', 'jwks_url' or 'oidc_discovery_url' must be set"
            )
        try:
            for key in keys:
                signatures.load_public_key(key)
        except ValueError:
            raise RefusedError(400, "error parsing public key") from None
        self._config = {
            "jwt_validation_pubkeys": keys,
            "bound_issuer": request.data.get("bound_issuer", ""),
            "default_role": request.data.get("default_role", ""),
            "jwt_supported_algs": parse_list(request.data.get("jwt_supported_algs")),
            "jwks_url": "",
            "oidc_discovery_url": "",
        }
        return done()

    def _role(self, request: Request, name: str) -> Response:
        if request.operation == "delete":
            self._roles.pop(name, None)
            return done()
        if request.operation == "read":
            if name not in self._roles:
                raise absent()
            return found(self._roles[name])
        self._roles[name] = self._build_role(self._roles.get(name, {}), request.data)
        return done()

    def _build_role(self, before: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
        if data.get("role_type") != "jwt":
            raise RefusedError(400, "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.")
        for field in _UNSUPPORTED:
            if data.get(field):
                raise RefusedError(400, f"this server does not have {field}")
        role: dict[str, Any] = {"role_type": "jwt", "token_type": "default"}
        merged = {**before, **data}
        role |= {field: parse_seconds(merged.get(field, 0), name=field) for field in _SECONDS}
        role |= {field: parse_list(merged.get(field)) for field in _LISTS}
        role |= {field: merged.get(field, default) for field, default in _TEXTS.items()}
        role["token_no_default_policy"] = bool(merged.get("token_no_default_policy"))
        role |= {"bound_claims": None, "token_bound_cidrs": [], "token_period": 0, "token_num_uses": 0}
        if not role["user_claim"]:
            raise RefusedError(400, "a user claim must be defined on the role")
        if not role["bound_audiences"] and not role["bound_subject"]:
            raise RefusedError(400, "must have at least one bound constraint when creating/updating a role")
        if role["token_max_ttl"] and role["token_ttl"] > role["token_max_ttl"]:
            raise RefusedError(400, "ttl should not be greater than max ttl")
        return role

    def _login(self, data: Mapping[str, Any]) -> Response:
        if self._config is None:
            raise RefusedError(400, "could not load configuration")
        name = str(data.get("role") or self._config["default_role"])
        if not name:
            raise RefusedError(400, "missing role")
        role = self._roles.get(name)
        if role is None:
            raise RefusedError(400, f'role "{name}" could not be found')
        if not data.get("jwt"):
            raise RefusedError(400, "missing token")
        try:
            claims = signatures.verify(str(data["jwt"]), self._keys())
            signatures.check_claims(
                claims,
                issuer=self._config["bound_issuer"],
                subject=role["bound_subject"],
                audiences=role["bound_audiences"],
                skew=role["clock_skew_leeway"],
            )
        except signatures.InvalidTokenError as error:
            raise RefusedError(400, f"error validating token: {error}") from None
        return self._admit(name, role, claims)

    def _keys(self) -> list[signatures.PublicKey]:
        if self._faults.has(Fault.WRONG_KEY):
            return [ec.generate_private_key(ec.SECP256R1()).public_key()]
        assert self._config is not None
        return [signatures.load_public_key(key) for key in self._config["jwt_validation_pubkeys"]]

    def _admit(self, name: str, role: Mapping[str, Any], claims: Mapping[str, Any]) -> Response:
        if signatures.list_audiences(claims) and not role["bound_audiences"]:
            raise RefusedError(400, "audience claim found in JWT but no audiences bound to the role")
        user = claims.get(role["user_claim"])
        if not isinstance(user, str):
            raise RefusedError(400, f'claim "{role["user_claim"]}" not found in token')
        policies = {*role["token_policies"], *([] if role["token_no_default_policy"] else ["default"])}
        longest = role["token_max_ttl"] or LONGEST_SECONDS
        token = self._tokens.make(
            policies=tuple(sorted(policies)),
            path=f"auth/{self._mount}login",
            display_name=f"{self._mount.replace('/', '-')}{user}",
            ttl_seconds=min(role["token_ttl"] or LONGEST_SECONDS, longest),
            longest_seconds=longest,
            meta={"role": name},
            entity=self._entities.setdefault(user, make_entity()),
        )
        return found(None, auth=token.as_auth())
