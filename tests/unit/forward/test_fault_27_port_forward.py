"""A stream to a pod: who may open it, what breaks it, and how a dead end is noticed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kinky.embedded import proxy
from kinky.keys.certificates import make_ca
from kinky.kube import port_forward
from kinky.kube.access import StreamTerms
from kinky.kube.connection import open_host
from kinky.kube.port_forward import PodStream, PortForwarder, StreamError
from kinky.reach import host_door
from tests.unit.fake_forward_guest import Guest
from tests.unit.fake_forward_host import FakeHost, Pod, encode

OTHER_CA = make_ca("lab").certificate
Dial = Callable[[StreamTerms], Awaitable[PodStream]]


def with_host(test: Callable[[FakeHost, Dial], Awaitable[Any]], folder: Path) -> Any:
    """Run a test against a host with one pod and its guest."""

    async def run() -> Any:
        host, guest = FakeHost(folder), Guest("a")
        await host.start()
        await guest.start()
        host.pods["a"] = Pod(port=guest.port)
        async with PortForwarder() as forwarder:

            async def dial(terms: StreamTerms) -> PodStream:
                return await forwarder.dial(terms, namespace="ns", pod="a", port=6443)

            result = await test(host, dial)
            await asyncio.sleep(0.05)
            return result

    return asyncio.run(run())


async def ask(stream: PodStream | host_door.DoorStream, order: bytes) -> bytes:
    await stream.send(order)
    answer = b""
    while part := await stream.receive():
        answer += part
    await stream.close()
    return answer


def test_fault_27_a_stream_is_opened_as_the_kubeconfig_says(tmp_path: Path) -> None:
    async def test(host: FakeHost, dial: Dial) -> None:
        access = host.write_kubeconfig(token="a-token")
        terms = open_host(access).describe_stream()
        assert await ask(await dial(terms), b"name\n") == b"a\n"
        assert host.headers[0]["authorization"] == "Bearer a-token"
        assert host.headers[0]["user-agent"] == "kinky"
        assert "a-token" not in repr(terms)

    with_host(test, tmp_path)


def test_fault_27_a_stream_acts_as_the_user_whom_the_kubeconfig_names(tmp_path: Path) -> None:
    async def test(host: FakeHost, dial: Dial) -> None:
        access = host.write_kubeconfig()
        path = Path(access.kubeconfig)
        body = json.loads(path.read_text())
        body["users"][0]["user"] |= {"as": "Jürgen", "as-groups": ["one", "two"]}
        path.write_text(json.dumps(body))
        assert await ask(await dial(open_host(access).describe_stream()), b"name\n") == b"a\n"
        assert host.headers[0]["impersonate-user"] == "Jürgen"
        assert host.headers[0]["impersonate-group"] == "one, two"

    with_host(test, tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"certificate-authority-data": encode(OTHER_CA)},
        {"tls-server-name": ""},
        {"tls-server-name": "other.test"},
    ],
)
def test_fault_27_a_server_that_cannot_be_verified_gets_no_token(tmp_path: Path, wrong: dict[str, str]) -> None:
    async def test(host: FakeHost, dial: Dial) -> None:
        access = host.write_kubeconfig(token="a-token", **wrong)
        with pytest.raises(StreamError, match="cannot reach the host: ClientConnectorCertificateError"):
            await dial(open_host(access).describe_stream())
        assert host.headers == []

    with_host(test, tmp_path)


def test_fault_27_a_context_that_does_not_verify_is_refused(tmp_path: Path) -> None:
    async def test(host: FakeHost, dial: Dial) -> None:
        access = host.write_kubeconfig()
        terms = open_host(access).describe_stream()
        assert terms.ssl_context is not None
        terms.ssl_context.check_hostname = False
        with pytest.raises(StreamError, match="does not verify"):
            await dial(terms)

    with_host(test, tmp_path)


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_fault_27_a_refusal_tells_the_status_and_no_header(tmp_path: Path, status: int) -> None:
    async def test(host: FakeHost, dial: Dial) -> None:
        access = host.write_kubeconfig(token="a-token")
        host.pods["a"].refuse = status
        with pytest.raises(StreamError) as caught:
            await dial(open_host(access).describe_stream())
        assert str(caught.value) == f"pod a, port 6443: the host refused the port-forward: status {status}"
        assert caught.value.__suppress_context__

    with_host(test, tmp_path)


def test_fault_27_an_error_of_the_port_follows_what_came_before(tmp_path: Path) -> None:
    async def test(host: FakeHost, dial: Dial) -> None:
        terms = open_host(host.write_kubeconfig()).describe_stream()
        stream = await dial(terms)
        await stream.send(b"part\n")
        assert await stream.receive() == b"part\n"
        with pytest.raises(StreamError, match="error forwarding port 6443"):
            await stream.receive()
        host.pods["a"].port = 0
        refused = await dial(terms)
        with pytest.raises(StreamError, match="failed to connect to localhost:6443"):
            await refused.receive()
        for each in (stream, refused):
            await each.close()

    with_host(test, tmp_path)


def test_fault_27_a_quiet_stream_is_kept_by_pings_and_a_dead_one_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_forward, "PING_SECONDS", 0.1)

    async def test(host: FakeHost, dial: Dial) -> None:
        stream = await dial(open_host(host.write_kubeconfig()).describe_stream())
        await stream.send(b"echo\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.receive(), 1.5)
        assert host.pings > 5
        await stream.send(b"still here")
        assert await stream.receive() == b"still here"
        host.silent = True
        with pytest.raises(StreamError, match="no answer for"):
            await asyncio.wait_for(stream.receive(), 5)
        await stream.close()

    with_host(test, tmp_path)


def test_fault_27_a_host_that_takes_a_connection_and_says_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_forward, "DIAL_SECONDS", 0.3)

    async def test(host: FakeHost, dial: Dial) -> None:
        host.silent = True
        with pytest.raises(StreamError, match="the host did not answer"):
            await dial(open_host(host.write_kubeconfig()).describe_stream())

    with_host(test, tmp_path)


def test_fault_27_the_way_leads_through_the_proxy_of_the_connection(tmp_path: Path) -> None:
    async def test(host: FakeHost, dial: Dial) -> None:
        asked: list[str] = []

        async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked.append(head)
            inner = await asyncio.open_connection("127.0.0.1", host.port)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await proxy._join(reader, writer, *inner)

        server = await asyncio.start_server(connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        access = host.write_kubeconfig(token="a-token")
        proxied = {"proxy": f"http://127.0.0.1:{port}", "proxy_headers": {"proxy-authorization": "Basic x"}}
        terms = replace(open_host(access).describe_stream(), **proxied)
        assert await ask(await dial(terms), b"name\n") == b"a\n"
        assert asked[0].startswith(f"CONNECT 127.0.0.1:{host.port} HTTP/1.1")
        assert "proxy-authorization: Basic x" in asked[0]
        assert "a-token" not in asked[0]
        assert "proxy-authorization" not in host.headers[0]

    with_host(test, tmp_path)


def test_fault_27_the_door_of_the_embedded_host_leads_to_a_pod_and_carries_its_end(tmp_path: Path) -> None:
    async def test() -> None:
        guest, door = Guest("a"), tmp_path / "pods.sock"
        await guest.start()
        server = await asyncio.start_unix_server(proxy.open_door, door)
        stream = await host_door.dial_door(door, pod="a", address="127.0.0.1", port=guest.port)
        assert await ask(stream, b"name\n") == b"a\n"
        # A guest that answers at the client's end only.
        stream = await host_door.dial_door(door, pod="a", address="127.0.0.1", port=guest.port)
        await stream.send(b"sink\n" + b"x" * 100)
        await stream.send_end()
        assert await asyncio.wait_for(stream.receive(), 5) == b""
        assert guest.taken == 100
        await stream.close()
        server.close()

    asyncio.run(test())


@pytest.mark.parametrize("address", ["127.0.0.1", "no-address", "127.0.0.1:x"])
def test_fault_27_a_door_that_leads_nowhere_says_so(tmp_path: Path, address: str) -> None:
    async def test() -> None:
        door = tmp_path / "pods.sock"
        with pytest.raises(StreamError, match="no way through the embedded host"):
            await host_door.dial_door(door, pod="a", address=address, port=1)
        server = await asyncio.start_unix_server(proxy.open_door, door)
        with pytest.raises(StreamError, match="does not accept"):
            await host_door.dial_door(door, pod="a", address=address, port=1)
        server.close()
        await asyncio.sleep(0.05)

    asyncio.run(test())


def test_fault_27_the_proxy_of_the_calls_is_the_proxy_of_the_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:secret@proxy.test:3128")
    access = FakeHost(tmp_path).write_kubeconfig(server="https://host.test:6443")
    terms = open_host(access).describe_stream()
    assert terms.proxy == "http://proxy.test:3128"
    assert terms.proxy_headers == {"proxy-authorization": f"Basic {encode(b'someone:secret')}"}
    assert "Basic" not in repr(terms)
