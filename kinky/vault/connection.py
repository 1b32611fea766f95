"""One connection to a server with Vault's API: every call has a limit, every refusal one line that says what to do.

hvac is imported inside functions: most commands never need it. No text of a server's answer is told that could quote
a value; a token is in no URL and in no message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kinky.errors import KinkyError
from kinky.proxies import Proxy, describe_way, find_proxy

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 20.0
"""A server that unseals or elects a leader answers late; a server that takes longer counts as silent."""
LONGEST_TEXT: Final = 200

Answer = Mapping[str, Any]


class VaultError(KinkyError):
    """The server refused a call, or did not answer."""


class VaultSilentError(VaultError):
    """The server did not answer: what may be waited out."""


class VaultRefusedError(VaultError):
    """The server answered with a refusal that may concern this call alone (status 400)."""


@dataclass(frozen=True, kw_only=True)
class VaultAccess:
    """Where the server is, whom its certificate must be of, and who asks."""

    address: str
    ca: Path | None
    """File with the certificates of its CAs; None for the public ones."""
    namespace: str = ""
    token: str = field(default="", repr=False)


class VaultApi:
    """A caller of one server; opening it sends nothing."""

    def __init__(self, access: VaultAccess) -> None:
        """Keep the access; the client is made at the first call."""
        self._access = access
        self._client: Any = None
        self._proxy: Proxy | None = None

    @property
    def address(self) -> str:
        """URL of the server."""
        return self._access.address

    def read(self, path: str, *, what: str) -> Answer | None:
        """Read a path; None when nothing is there."""
        return self._ask(what, lambda adapter: adapter.get(f"/v1/{path}"))

    def list(self, path: str, *, what: str) -> list[str]:
        """List the names below a path; none when there is nothing."""
        answer = self._ask(what, lambda adapter: adapter.list(f"/v1/{path}")) or {}
        return [str(name) for name in (answer.get("data") or {}).get("keys") or ()]

    def write(self, path: str, body: Mapping[str, Any], *, what: str) -> Answer:
        """Write to a path and return the answer, which is empty for most."""
        answer = self._ask(what, lambda adapter: adapter.post(f"/v1/{path}", json=dict(body)), needs_path=True)
        return answer or {}

    def delete(self, path: str, *, what: str) -> None:
        """Delete a path; it may be gone already."""
        self._ask(what, lambda adapter: adapter.delete(f"/v1/{path}"))

    def with_token(self, token: str) -> VaultApi:
        """Return a caller with another token, or with none."""
        access = self._access
        return VaultApi(VaultAccess(address=access.address, ca=access.ca, namespace=access.namespace, token=token))

    def _ask(self, what: str, question: Callable[[Any], Any], *, needs_path: bool = False) -> Answer | None:
        """Ask one question; `what` is the verb and the object of the message.

        Args:
            needs_path: Whether it is an error that nothing is there.
        """
        import requests
        from hvac import exceptions

        try:
            answer = question(self._open())
        except exceptions.InvalidPath as error:
            if needs_path or "no handler for route" in str(error.errors):
                raise VaultError(
                    f"{self._name}: cannot {what}: nothing is mounted there",
                    hint="check mount, authMount and namespace of secretsStore.vault",
                ) from None
            return None
        except exceptions.VaultError as error:
            raise self._refusal(what, error) from None
        except requests.exceptions.RequestException as error:
            raise self._silence(what, error) from None
        if isinstance(answer, Mapping):
            return answer
        status = int(getattr(answer, "status_code", 204))
        if 300 <= status < 400:
            # A redirect would carry the token to whatever host it names.
            raise VaultError(
                f"{self._name}: cannot {what}: it sends on to another server ({status})",
                hint="secretsStore.vault.address must be that of the server that answers itself",
            )
        return None

    def _open(self) -> Any:
        if self._client is None:
            import hvac

            self._proxy = find_proxy(self._access.address)
            # Empty texts without a proxy: otherwise requests would read the environment by its own rules.
            way = self._proxy.full_url if self._proxy else ""
            self._client = hvac.Client(
                url=self._access.address,
                # Never None: hvac would then look for a token by itself.
                token=self._access.token or "",
                namespace=self._access.namespace or None,
                verify=str(self._access.ca) if self._access.ca else True,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
                proxies={"http": way, "https": way},
            )
        return self._client.adapter

    @property
    def _name(self) -> str:
        return f"secrets store {self._access.address}"

    def _refusal(self, what: str, error: Any) -> VaultError:
        """Build the error for an answer with an error status."""
        from hvac import exceptions

        why = ", ".join(str(line).strip() for line in error.errors or ())[:LONGEST_TEXT]
        start = f"{self._name}: cannot {what}"
        match error:
            case exceptions.VaultDown():
                return VaultError(f"{start}: the server is sealed (503)", hint="unseal it: bao operator unseal")
            case exceptions.VaultNotInitialized():
                return VaultError(f"{start}: the server is not initialized (501)", hint="bao operator init")
            case exceptions.Forbidden() | exceptions.Unauthorized():
                return self._denial(start)
            case exceptions.InvalidRequest():
                return VaultRefusedError(f"{start}: {' '.join(why.split()) or 'refused'} (400)")
            case exceptions.RateLimitExceeded():
                return VaultError(f"{start}: it answers too many calls (429)", hint="try again later")
        # The class says which status it was; the text of an unknown one could quote anything.
        return VaultError(f"{start}: {type(error).__name__}", hint="look at the server's own log")

    def _denial(self, start: str) -> VaultError:
        """Tell a token that lacks a right from a token that is no longer valid."""
        if self._access.token and self._is_known():
            return VaultError(
                f"{start}: your token is not allowed to do this (403)", hint="docs/vault.md lists its rights"
            )
        return VaultError(
            f"{start}: your token is not valid, or has expired (403)", hint="log in again: bao login, vault login"
        )

    def _is_known(self) -> bool:
        """Tell whether the server knows the token; a token may look at itself unless its policies forbid even that."""
        import requests
        from hvac import exceptions

        try:
            return isinstance(self._open().get("/v1/auth/token/lookup-self"), Mapping)
        except (exceptions.VaultError, requests.exceptions.RequestException):
            return False

    def _silence(self, what: str, error: Exception) -> VaultError:
        """Build the error for no answer, or none to trust; the client's own text carries object addresses."""
        from requests import exceptions

        start, via = f"{self._name}: cannot {what}", describe_way(self._proxy)
        # A connection that ends in the handshake is one of these too.
        if isinstance(error, exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return VaultError(
                f"{start}: its TLS certificate is not verified{via}",
                hint="secretsStore.vault.caFile must hold the CA that signed it, and the address its name",
            )
        if isinstance(error, exceptions.ReadTimeout):
            return VaultSilentError(
                f"{start}: no answer in {ANSWER_SECONDS:.0f} s{via}", hint="look at the server's load"
            )
        reason = "no connection in time" if isinstance(error, exceptions.ConnectTimeout) else "it cannot be reached"
        return VaultSilentError(f"{start}: {reason}{via}", hint="check secretsStore.vault.address, and that it runs")
