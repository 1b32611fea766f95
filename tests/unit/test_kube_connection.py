"""`Connection` against a real HTTP server on loopback: what it sends, and what it makes of answers and silence."""

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from kinky.errors import HostError, KinkyError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import ApiError, Connection, open_host
from kinky.kube.host import HostApi
from kinky.kube.objects import build_secret
from tests.unit.host_server import TOKEN, HostServer, serve, write_kubeconfig


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HostServer]:
    with serve(tmp_path) as made:
        yield made


@pytest.fixture
def connection(server: HostServer, tmp_path: Path) -> Connection:
    return open_host(write_kubeconfig(tmp_path / "kubeconfig.yaml", server.url))


def test_sends_token_body_and_query(server: HostServer, connection: Connection) -> None:
    server.answers[("POST", "/x")] = (201, {"ok": True})
    reply = connection.call("POST", "/x", what="create X", body={"a": 1}, query={"labelSelector": "a=b,c=d"})
    assert reply.parse() == {"ok": True}
    _, path, headers, body = server.seen[0]
    assert path == "/x?labelSelector=a%3Db%2Cc%3Dd"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"a": 1}


def test_refusal_names_verb_object_and_reason(server: HostServer, connection: Connection) -> None:
    server.answers[("GET", "/x")] = (403, {"reason": "Forbidden", "message": 'pods is forbidden: User "me"'})
    with pytest.raises(ApiError) as caught:
        connection.call("GET", "/x", what="list pods")
    assert caught.value.status == 403
    assert str(caught.value) == 'host cluster: cannot list pods: Forbidden (403): pods is forbidden: User "me"'
    assert isinstance(caught.value, HostError)


def test_refused_secret_does_not_repeat_what_was_sent(server: HostServer, tmp_path: Path) -> None:
    api = HostApi.connect(write_kubeconfig(tmp_path / "k", server.url))
    path = "/api/v1/namespaces/ns/secrets"
    server.answers[("POST", path)] = (422, {"reason": "Invalid", "message": "data: Invalid value: topsecret"})
    with pytest.raises(ApiError) as caught:
        api.create(resources.SECRETS, build_secret("s", {"k": b"topsecret"}, labels={}), namespace="ns")
    assert str(caught.value) == "host cluster: cannot create Secret s: Invalid (422)"


def test_answers_are_never_logged(server: HostServer, connection: Connection, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers[("GET", "/x")] = (200, {"data": "topsecret"})
    connection.call("GET", "/x", what="get Secret x")
    assert "topsecret" not in caplog.text
    assert TOKEN not in caplog.text


def test_allowed_status_is_returned(server: HostServer, connection: Connection) -> None:
    server.answers[("GET", "/readyz")] = (500, b"not yet")
    reply = connection.call("GET", "/readyz", what="get /readyz", allowed=(500,))
    assert (reply.status, reply.body) == (500, b"not yet")


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize("minutes", [-10, 0, 10])
def test_each_answer_tells_how_the_clocks_differ(
    server: HostServer, connection: Connection, minutes: int, status: int
) -> None:
    server.date = format_datetime(datetime.now(UTC) - timedelta(minutes=minutes), usegmt=True)
    server.answers[("GET", "/x")] = (status, {})
    with suppress(ApiError):
        connection.call("GET", "/x", what="get x")
    assert abs(connection.clock_ahead - timedelta(minutes=minutes)) < timedelta(seconds=30)


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 2026 99:00:00 GMT"])
def test_a_server_that_tells_no_time_is_taken_for_right(server: HostServer, connection: Connection, date: str) -> None:
    server.date = date
    server.answers[("GET", "/x")] = (200, {})
    connection.call("GET", "/x", what="get x")
    assert connection.clock_ahead == timedelta(0)


def test_a_body_that_is_no_json_is_still_an_error(server: HostServer, connection: Connection) -> None:
    server.answers[("GET", "/x")] = (502, b"<html>bad gateway</html>")
    with pytest.raises(ApiError, match=r"cannot get x: refused \(502\)"):
        connection.call("GET", "/x", what="get x")


def test_unreachable_server_says_so_without_an_address_of_objects(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{unused.getsockname()[1]}"
    connection = open_host(write_kubeconfig(tmp_path / "k", url))
    with pytest.raises(ApiError) as caught:
        connection.call("GET", "/version", what="get the version")
    assert str(caught.value) == "host cluster: cannot get the version: connection refused"
    assert caught.value.status is None


def test_silent_server_ends_at_the_timeout(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        connection = open_host(write_kubeconfig(tmp_path / "k", f"https://127.0.0.1:{listening.getsockname()[1]}"))
        with pytest.raises(ApiError, match="no answer in time"):
            connection.call("GET", "/version", what="get the version", timeout_seconds=0.2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("clusters: [", "cannot be read"),
        ("apiVersion: v1\nkind: Config\n", "cannot be used"),
        ("", "cannot be used"),
    ],
)
def test_damaged_kubeconfig_is_a_users_error(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "kubeconfig.yaml"
    path.write_text(content)
    with pytest.raises(HostError, match=message) as caught:
        open_host(HostAccess(kubeconfig=str(path), context=None, namespace="ns", cluster="dev"))
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_unknown_context_is_named(server: HostServer, tmp_path: Path) -> None:
    access = write_kubeconfig(tmp_path / "k", server.url)
    wrong = HostAccess(kubeconfig=access.kubeconfig, context="nowhere", namespace="ns", cluster="dev")
    with pytest.raises(KinkyError, match="nowhere"):
        open_host(wrong)


def test_lists_are_read_page_by_page(server: HostServer, tmp_path: Path) -> None:
    api = HostApi.connect(write_kubeconfig(tmp_path / "k", server.url))
    pages = iter(
        [
            {"metadata": {"continue": "next"}, "items": [{"metadata": {"name": "a"}}]},
            {"metadata": {}, "items": [{"metadata": {"name": "b"}}]},
        ]
    )

    class Pages(dict[tuple[str, str], tuple[int, object]]):
        def get(self, _key: object, _default: object = None) -> tuple[int, object]:  # type: ignore[override]
            return 200, next(pages)

    server.answers = Pages()
    assert [body["metadata"]["name"] for body in api.fetch_all_here(resources.SECRETS, selector="a=b")] == ["a", "b"]
    assert "continue=next" in server.seen[1][1]
    assert "labelSelector=a%3Db" in server.seen[1][1]


def test_api_error_survives_pickling() -> None:
    import pickle

    error = ApiError("host cluster: cannot get x", status=403, hint="try")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301


def test_an_answer_that_is_no_json_is_no_kubernetes_api(server: HostServer, connection: Connection) -> None:
    server.answers["GET", "/version"] = (200, b"<html>sign in</html>")
    with pytest.raises(HostError, match="no Kubernetes API: status 200, 20 bytes that are not JSON"):
        connection.call("GET", "/version", what="get the version").parse()
