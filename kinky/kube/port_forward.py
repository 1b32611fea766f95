"""One TCP connection to one port of a pod, carried by the host's API in its own WebSocket.

The API serves the subprotocol `v4.channel.k8s.io` since 1.5. Each message begins with a byte: 0 is data, 1 is the text
of an error; the first message of each channel repeats the port. There is no message for the end of one direction, so
the pod does not learn that a client has sent everything. `kubectl port-forward` puts all its connections into one
tunnel and closes it at the first error; a WebSocket for each connection keeps them apart.
"""

import asyncio
import contextlib
import socket
import ssl
from types import TracebackType
from urllib.parse import urlencode

import aiohttp

from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.access import StreamTerms

SUBPROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
DIAL_SECONDS = 10.0
"""An emulated host answers slowly; after this time a host counts as silent."""
PING_SECONDS = 30.0
"""Load balancers close a connection that is quiet for a minute; the container runtime at its end answers pings."""
UNANSWERED_PINGS = 4
CLOSE_SECONDS = 2.0
FRAME_BYTES = 65536
REASON_LENGTH = 300


class StreamError(HostError):
    """A stream to a pod could not be opened, or it failed."""


class PodStream:
    """One open connection to a port of a pod."""

    carries_end = False
    """Whether the pod learns that the client has sent everything."""

    def __init__(self, web_socket: "aiohttp.ClientWebSocketResponse[bool]", *, target: str) -> None:
        """Use the WebSocket; `target` names pod and port for messages."""
        self._web_socket = web_socket
        self._target = target
        self._announced: set[int] = set()
        self._sending = False

    async def receive(self) -> bytes:
        """Receive some bytes; empty when the pod has closed the connection.

        Raises:
            StreamError: The pod's port refused or broke the connection, or pings get no answer any more.
        """
        unanswered = 0
        while True:
            try:
                message = await self._web_socket.receive(timeout=PING_SECONDS)
            except TimeoutError:
                # A host that takes no bytes from us at the moment cannot answer a ping either.
                if not self._sending:
                    unanswered += 1
                    await self._ping(unanswered)
                continue
            unanswered = 0
            if message.type is aiohttp.WSMsgType.BINARY:
                if payload := self._unpack(message.data):
                    return payload
            elif message.type is aiohttp.WSMsgType.PING:
                await self._web_socket.pong(message.data)
            elif message.type is aiohttp.WSMsgType.CLOSE:
                return b""
            elif message.type is not aiohttp.WSMsgType.PONG:
                raise StreamError(f"{self._target}: connection to the host lost ({message.type.name})")

    async def send(self, payload: bytes) -> None:
        """Send bytes; returns when the host has taken most of them.

        Raises:
            StreamError: The connection is lost.
        """
        self._sending = True
        try:
            for start in range(0, len(payload), FRAME_BYTES):
                await self._web_socket.send_bytes(bytes([DATA]) + payload[start : start + FRAME_BYTES])
        except (aiohttp.ClientError, OSError) as error:
            raise StreamError(f"{self._target}: connection to the host lost ({type(error).__name__})") from None
        finally:
            self._sending = False

    async def send_end(self) -> None:
        """Do nothing: the protocol has no message for it."""

    async def close(self) -> None:
        """Close the stream; the pod's port sees its connection end."""
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(2 * CLOSE_SECONDS):
                await self._web_socket.close()

    def _unpack(self, message: bytes) -> bytes:
        """Return the data of a message: empty for the first of each channel, which only repeats the port."""
        channel = message[0] if message else DATA
        if channel not in self._announced:
            self._announced.add(channel)
            return b""
        if channel == ERROR:
            reason = message[1:].decode(errors="replace")
            raise StreamError(f"{self._target}: {' '.join(reason.split())[:REASON_LENGTH]}")
        return message[1:]

    async def _ping(self, count: int) -> None:
        if count > UNANSWERED_PINGS:
            raise StreamError(f"{self._target}: no answer for {count * PING_SECONDS:.0f} s")
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self._web_socket.ping()


class PortForwarder:
    """Opens streams to pods; one forwarder serves a whole event loop."""

    def __init__(self) -> None:
        """Open nothing yet; must be called in the event loop."""
        self._session = aiohttp.ClientSession(
            # A stream lives for days, and there may be hundreds.
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> "PortForwarder":
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all open streams."""
        await self._session.close()

    async def dial(self, terms: StreamTerms, *, namespace: str, pod: str, port: int) -> PodStream:
        """Open a stream to a port of a pod; whether the port accepts shows in the first `receive`.

        Raises:
            StreamError: The host refused it, or did not answer in time.
        """
        target = f"pod {pod}, port {port}"
        path = resources.PODS.build_path(namespace, pod, "portforward")
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                web_socket = await self._session.ws_connect(
                    f"{terms.server}{path}?{urlencode({'ports': port})}",
                    protocols=(SUBPROTOCOL,),
                    headers=terms.headers,
                    ssl=_check_context(terms.ssl_context),
                    server_hostname=terms.server_name,
                    proxy=terms.proxy,
                    proxy_headers=terms.proxy_headers or None,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                    autoping=False,
                )
        # The text of these errors may hold headers of the request, with the token.
        except aiohttp.WSServerHandshakeError as error:
            raise StreamError(f"{target}: the host refused the port-forward: status {error.status}") from None
        except TimeoutError:
            raise StreamError(f"{target}: the host did not answer in {DIAL_SECONDS:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise StreamError(f"{target}: cannot reach the host: {type(error).__name__}") from None
        if web_socket.protocol != SUBPROTOCOL:
            await web_socket.close()
            raise StreamError(f"{target}: the host does not speak {SUBPROTOCOL}")
        _watch_peer(web_socket.get_extra_info("socket"))
        return PodStream(web_socket, target=target)


def _check_context(context: ssl.SSLContext | None) -> ssl.SSLContext | bool:
    """Return the context if it verifies the server; without one the system's CAs verify it."""
    if context is not None and not (context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED):
        raise StreamError("the connection to the host does not verify the server's certificate")
    return True if context is None else context


def _watch_peer(raw: socket.socket | None) -> None:
    """Let the kernel notice within a minute that the host's machine is gone, also while we send."""
    if raw is None:
        return
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    ):
        with contextlib.suppress(OSError):
            raw.setsockopt(level, option, value)
