"""kinky and the real kubectl with the same kubeconfigs: one identity, or kinky refuses.

kubectl is client-go, as Pulumi's provider is.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kinky.errors import HostError
from kinky.kube.access import HostAccess
from kinky.kube.connection import open_host
from kinky.toolchain.tools import list_tools
from tests.unit.host_server import TOKEN, HostServer, build_kubeconfig, ca, client_pair, encode, serve

V1 = "client.authentication.k8s.io/v1"
TOLD = ("authorization", "impersonate-")
"""The beginnings of the headers that make the identity."""
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")

USERS: dict[str, Any] = {
    "token": {"token": TOKEN},
    "token with a line break": {"token": f"{TOKEN}\n"},
    "number": {"token": 12345},
    "file": {"tokenFile": "FOLDER/token"},
    "token and file": {"token": "other", "tokenFile": "FOLDER/token"},
    "token and missing file": {"token": TOKEN, "tokenFile": "FOLDER/absent"},
    "missing file": {"tokenFile": "FOLDER/absent"},
    "empty file": {"tokenFile": "FOLDER/empty"},
    "relative file": {"tokenFile": "token"},
    "basic": {"username": "a", "password": "b"},
    "username alone": {"username": "a"},
    "password alone": {"password": "b"},
    "basic and token": {"username": "a", "password": "b", "token": TOKEN},
    "basic and file": {"username": "a", "password": "b", "tokenFile": "FOLDER/token"},
    "certificate": {"client-certificate-data": "CERTIFICATE", "client-key-data": "KEY"},
    "certificate of files": {"client-certificate": "FOLDER/c.pem", "client-key": "FOLDER/k.pem"},
    "certificate and key of a file": {"client-certificate-data": "CERTIFICATE", "client-key": "FOLDER/k.pem"},
    "certificate and file": {
        "client-certificate-data": "CERTIFICATE",
        "client-certificate": "FOLDER/c.pem",
        "client-key-data": "KEY",
    },
    "certificate without a key": {"client-certificate-data": "CERTIFICATE"},
    "key alone": {"client-key-data": "KEY", "token": TOKEN},
    "certificate and token": {"client-certificate-data": "CERTIFICATE", "client-key-data": "KEY", "token": TOKEN},
    "nothing": {},
    "as": {"token": TOKEN, "as": "alice"},
    "as everything": {
        "token": TOKEN,
        "as": "jürgen",
        "as-uid": "7",
        "as-groups": ["x", "y"],
        "as-user-extra": {"example.com/Reason %": ["a", "b"]},
    },
    "groups without as": {"token": TOKEN, "as-groups": ["x"]},
    "oidc": {"auth-provider": {"name": "oidc", "config": {"id-token": "x"}}},
    "exec": {"exec": {"command": "FOLDER/login", "apiVersion": V1, "interactiveMode": "Never"}},
    "exec beta": {"exec": {"command": "FOLDER/login", "apiVersion": f"{V1}beta1"}},
    "exec alpha": {"exec": {"command": "FOLDER/login", "apiVersion": f"{V1}alpha1"}},
    "exec without a mode": {"exec": {"command": "FOLDER/login", "apiVersion": V1}},
    "exec on a terminal": {"exec": {"command": "FOLDER/login", "apiVersion": V1, "interactiveMode": "Always"}},
    "exec fails": {"exec": {"command": "/bin/false", "apiVersion": V1, "interactiveMode": "Never"}},
    "exec is missing": {"exec": {"command": "FOLDER/absent", "apiVersion": V1, "interactiveMode": "Never"}},
    "exec and token": {
        "token": TOKEN,
        "exec": {"command": "/bin/false", "apiVersion": V1, "interactiveMode": "Never"},
    },
    "exec and username": {
        "username": "a",
        "exec": {"command": "FOLDER/login", "apiVersion": V1, "interactiveMode": "Never"},
    },
    "exec and certificate": {
        "client-certificate-data": "CERTIFICATE",
        "client-key-data": "KEY",
        "exec": {"command": "FOLDER/login", "apiVersion": V1, "interactiveMode": "Never"},
    },
}

LOGIN = f"""#!{sys.executable}
import json, os
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
print(json.dumps({{"kind": "ExecCredential", "apiVersion": asked["apiVersion"], "status": {{"token": "from-login"}}}}))
"""


@pytest.fixture(scope="module")
def kubectl() -> Path:
    found = {row.name: row.path for row in list_tools()}.get("kubectl")
    if found is None:
        pytest.skip("kubectl is not made yet: kinky tools --ensure")
    return found


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostServer]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "c.pem").write_bytes(client_pair().certificate)
    (tmp_path / "k.pem").write_bytes(client_pair().key)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "login").write_text(LOGIN)
    (tmp_path / "login").chmod(0o755)
    with serve(tmp_path) as made:
        made.answers["GET", "/x"] = (200, {"ok": True})
        yield made


def fill(value: Any, folder: Path) -> Any:
    """Put paths and keys in the place of their names."""
    text = json.dumps(value).replace("FOLDER", str(folder))
    text = text.replace("CERTIFICATE", encode(client_pair().certificate)).replace(
        '"KEY"', f'"{encode(client_pair().key)}"'
    )
    return json.loads(text)


def read_identity(server: HostServer) -> tuple[str, list[tuple[str, str]]] | None:
    """Return who the last request came from, and forget it; None when there was none."""
    if not server.headers:
        return None
    told = sorted((name.lower(), value) for name, value in server.headers[-1] if name.lower().startswith(TOLD))
    identity = (server.callers[-1], told)
    server.headers.clear()
    server.callers.clear()
    return identity


def ask_kubectl(kubectl: Path, server: HostServer, path: Path) -> tuple[str, list[tuple[str, str]]] | None:
    command = [str(kubectl), "--kubeconfig", str(path), "get", "--raw", "/x"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(server.folder), "KUBERC": "off"}
    ended = subprocess.run(
        command, env=environ, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    identity = read_identity(server)
    assert (ended.returncode == 0) is (identity is not None), ended.stderr.decode()
    return identity


def ask_kinky(server: HostServer, path: Path) -> tuple[str, list[tuple[str, str]]] | None:
    try:
        open_host(HostAccess(kubeconfig=str(path), context=None, namespace="ns", cluster="dev")).call(
            "GET", "/x", what="get x"
        )
    except HostError:
        assert not server.headers
        return None
    return read_identity(server)


def compare(kubectl: Path, server: HostServer, document: Any) -> tuple[Any, Any]:
    path = server.folder / "kubeconfig.yaml"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return ask_kinky(server, path), ask_kubectl(kubectl, server, path)


STRICTER = {
    "nothing": "it would be anonymous",
    "password alone": "it would be anonymous",
    "relative file": "Pulumi's provider looks in another folder",
    "exec on a terminal": "Pulumi's provider has none",
    "oidc": "kubectl would renew the token by itself",
}
"""Users that kinky refuses although kubectl may not."""


@pytest.mark.parametrize("name", USERS)
def test_fault_04_kinky_and_kubectl_are_the_same_user(kubectl: Path, server: HostServer, name: str) -> None:
    ours, theirs = compare(kubectl, server, build_kubeconfig(server.url, user=fill(USERS[name], server.folder)))
    if name in STRICTER:
        assert ours is None
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda d: d["clusters"][0]["cluster"].update(server="{host}"), id="no scheme"),
        pytest.param(lambda d: d["clusters"][0]["cluster"].update(server="https://{host}/"), id="slash"),
        pytest.param(lambda d: d["clusters"][0]["cluster"].update(server="HTTPS://{host}"), id="upper case"),
        pytest.param(lambda d: d["clusters"][0]["cluster"].update({"tls-server-name": "localhost"}), id="name"),
        pytest.param(lambda d: d["clusters"][0]["cluster"].update({"tls-server-name": "other"}), id="wrong name"),
        pytest.param(lambda d: d["clusters"][0]["cluster"].update({"certificate-authority": "{ca}"}), id="both CAs"),
        pytest.param(lambda d: d["clusters"][0]["cluster"].update({"proxy-url": "host:1"}), id="proxy, no scheme"),
        pytest.param(lambda d: d["clusters"][0]["cluster"].update({"proxy-url": "http://127.0.0.1:1"}), id="proxy"),
        pytest.param(lambda d: d["clusters"][0]["cluster"].update({"disable-compression": True}), id="compression"),
        pytest.param(lambda d: d["contexts"].append(d["contexts"][0]), id="context twice"),
        pytest.param(lambda d: d["users"].append({"name": "me", "user": {"token": "other"}}), id="user twice"),
        pytest.param(lambda d: d["users"].append({"name": "you", "user": {"token": 1}}), id="another's number"),
        pytest.param(lambda d: d["contexts"][0]["context"].update(user="you"), id="absent user"),
        pytest.param(lambda d: d["contexts"][0]["context"].update(cluster="you"), id="absent cluster"),
        pytest.param(lambda d: d.update({"current-context": "you"}), id="absent context"),
        pytest.param(lambda d: d.update({"current-context": ""}), id="no context"),
        pytest.param(lambda d: d.update(kind="Other"), id="other kind"),
        pytest.param(lambda d: d.update(apiVersion="v2"), id="other version"),
        pytest.param(lambda d: d.pop("kind"), id="no kind"),
        pytest.param(lambda d: d.update(unknown=1), id="unknown key"),
    ],
)
def test_fault_04_kinky_and_kubectl_ask_the_same_server(kubectl: Path, server: HostServer, change: Any) -> None:
    document = build_kubeconfig(server.url)
    change(document)
    text = (
        json.dumps(document)
        .replace("{host}", f"127.0.0.1:{server.port}")
        .replace("{ca}", str(server.folder / "ca.pem"))
    )
    ours, theirs = compare(kubectl, server, text)
    # kubectl goes on without the user that is absent, as an anonymous one.
    assert ours == theirs or (ours is None and theirs == ("", []))


def test_fault_04_kinky_and_kubectl_trust_the_same_cas(kubectl: Path, server: HostServer) -> None:
    for content in (ca().certificate, b"# \xc3\xbc\n" + ca().certificate, client_pair().certificate, b""):
        (server.folder / "trust.pem").write_bytes(content)
        cluster = {"server": server.url, "certificate-authority": str(server.folder / "trust.pem")}
        ours, theirs = compare(kubectl, server, build_kubeconfig(server.url, cluster=cluster))
        assert ours == theirs
