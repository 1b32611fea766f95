"""`open_host` against a real HTTPS server: it verifies, it shows its certificate, and it leaves no key in a file."""

import base64
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kinky.errors import HostError
from kinky.keys.certificates import LeafRequest, Pair, make_ca, make_leaf
from kinky.kube.access import HostAccess
from kinky.kube.connection import ApiError, open_host

CA = make_ca("lab")
CLIENT = make_leaf(CA, LeafRequest(common_name="me", life=timedelta(hours=1)))


class Greeter(BaseHTTPRequestHandler):
    """Answers with the common name of the caller's certificate."""

    def do_GET(self) -> None:
        certificate = self.connection.getpeercert()  # type: ignore[attr-defined]
        body = json.dumps({"caller": certificate["subject"][0][0][1]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Lab:
    url: str
    folder: Path

    def open(self, ca: bytes = CA.certificate, **cluster: object) -> HostAccess:
        """Write a kubeconfig with the key inside."""
        path = self.folder / "kubeconfig.yaml"
        user = {"client-certificate-data": encode(CLIENT.certificate), "client-key-data": encode(CLIENT.key)}
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "lab",
                    "clusters": [
                        {
                            "name": "lab",
                            "cluster": {
                                "server": self.url,
                                "certificate-authority-data": encode(ca),
                                **cluster,
                            },
                        }
                    ],
                    "users": [{"name": "me", "user": user}],
                    "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me"}}],
                }
            )
        )
        return HostAccess(kubeconfig=str(path), context=None, namespace="ns", cluster="dev")


def encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def build_server_context(folder: Path, pair: Pair) -> ssl.SSLContext:
    (folder / "server.pem").write_bytes(pair.certificate + pair.key)
    (folder / "ca.pem").write_bytes(CA.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    request = LeafRequest(common_name="server", addresses=["127.0.0.1"], server=True, life=timedelta(hours=1))
    http = ThreadingHTTPServer(("127.0.0.1", 0), Greeter)
    http.socket = build_server_context(tmp_path, make_leaf(CA, request)).wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield Lab(f"https://127.0.0.1:{http.server_address[1]}", tmp_path)
    http.shutdown()
    thread.join()
    http.server_close()


def test_no_key_is_left_in_a_file_and_calls_still_show_the_certificate(lab: Lab) -> None:
    # Twice, because the package remembers the files that it made.
    for _ in range(2):
        connection = open_host(lab.open())
        assert list((lab.folder / "temporary").iterdir()) == []
        assert connection.call("GET", "/", what="get /").parse() == {"caller": "me"}


def test_threads_do_not_take_each_others_files_away(lab: Lab) -> None:
    """Pulumi runs live steps in threads of one process, and the package shares its files among them."""
    access = lab.open()
    with ThreadPoolExecutor(16) as pool:
        for connection in pool.map(lambda _: open_host(access), range(64)):
            assert connection.call("GET", "/", what="get /").parse() == {"caller": "me"}


def test_a_server_of_another_ca_is_refused(lab: Lab) -> None:
    connection = open_host(lab.open(ca=make_ca("other").certificate))
    with pytest.raises(ApiError, match="its TLS certificate is not the expected one"):
        connection.call("GET", "/", what="get /")


def test_a_certificate_that_is_none_is_a_users_error(lab: Lab) -> None:
    with pytest.raises(HostError, match=r"clusters\[lab\]\.cluster\.certificate-authority-data: holds no certificate"):
        open_host(lab.open(ca=b"no certificate"))
    assert list((lab.folder / "temporary").iterdir()) == []


def test_a_kubeconfig_that_does_not_verify_is_refused(lab: Lab) -> None:
    access = lab.open(**{"insecure-skip-tls-verify": True})
    with pytest.raises(HostError, match=r"does not verify the server \(insecure-skip-tls-verify\)"):
        open_host(access)
    assert list((lab.folder / "temporary").iterdir()) == []
