"""The serial console of a guest, as `virtctl console` opens it: a WebSocket of the host's API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import aiohttp

from kinky.kube.access import StreamTerms
from kinky.kube.connection import open_host
from kinky.kube.host import CONSOLE_CONTAINER
from kinky.reach.host import find_host
from tests.e2e.person import Person

SUBPROTOCOL = "plain.kubevirt.io"
SECONDS = 60.0


def watch_until(person: Person, node: str, text: str, act: Callable[[], object]) -> str:
    """Open the console, do something that makes the guest print this text, and return what was shown until then."""
    return asyncio.run(_watch(person, node, text.encode(), act)).decode(errors="replace")


def read_log(person: Person, node: str) -> str:
    """Return what the log container of the guest's pod has kept of its console."""
    return person.host("logs", person.launcher(node), "--container", CONSOLE_CONTAINER)


async def _watch(person: Person, node: str, text: bytes, act: Callable[[], object]) -> bytes:
    terms = open_host(find_host(person.stack.config)).describe_stream()
    namespace = person.stack.config.host.namespace
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances/{node}/console"
    shown = b""
    async with aiohttp.ClientSession() as session, asyncio.timeout(SECONDS):
        console = await _open(session, terms, path)
        acting = asyncio.create_task(asyncio.to_thread(act))
        while text not in shown:
            message = await console.receive()
            assert message.type is aiohttp.WSMsgType.BINARY, message
            shown += message.data
        await acting
        await console.close()
    return shown


async def _open(session: aiohttp.ClientSession, terms: StreamTerms, path: str) -> aiohttp.ClientWebSocketResponse[bool]:
    """Open the WebSocket; on a busy machine KubeVirt's API is away at times."""
    while True:
        try:
            return await session.ws_connect(
                f"{terms.server}{path}",
                protocols=(SUBPROTOCOL,),
                headers=terms.headers,
                ssl=terms.ssl_context or True,
                server_hostname=terms.server_name,
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            await asyncio.sleep(1)
