"""The host's kubeconfig is read as client-go reads it, or refused by the name of the key in question."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kinky.kube.access import HostAccess
from kinky.kube.connection import ApiError, open_host
from tests.unit.host_server import (
    TOKEN,
    HostServer,
    build_kubeconfig,
    client_pair,
    encode,
    write_kubeconfig,
)
from tests.unit.kubeconfig.conftest import ANSWER, ask, refuse, refuse_document

# Impersonation.


def test_fault_04_the_caller_acts_as_the_user_of_the_key_as(server: HostServer) -> None:
    ask(server, user={"token": TOKEN, "as": "alice"})
    assert server.last("Impersonate-User") == ["alice"]
    assert server.last("Authorization") == [f"Bearer {TOKEN}"]


def test_fault_04_groups_uid_and_extra_values_are_sent_as_client_go_sends_them(server: HostServer) -> None:
    extra = {"example.com/reasons": ["a", "b"], "plain": ["c"]}
    ask(server, user={"token": TOKEN, "as": "jürgen", "as-uid": "7", "as-groups": ["x", "y"], "as-user-extra": extra})
    # The server's library reads bytes as Latin-1.
    assert [value.encode("latin-1").decode() for value in server.last("Impersonate-User")] == ["jürgen"]
    assert server.last("Impersonate-Uid") == ["7"]
    assert server.last("Impersonate-Group") == ["x", "y"]
    assert server.last("Impersonate-Extra-example.com%2Freasons") == ["a", "b"]
    assert server.last("Impersonate-Extra-plain") == ["c"]


@pytest.mark.parametrize("key", ["as-uid", "as-groups", "as-user-extra"])
def test_fault_04_impersonation_without_a_user_is_refused(tmp_path: Path, key: str) -> None:
    value: Any = {"as-uid": "7", "as-groups": ["x"], "as-user-extra": {"a": ["b"]}}[key]
    assert f"users[me].user.{key}: has no user beside it" in refuse(tmp_path, user={"token": TOKEN, key: value})


# Who the caller is.


@pytest.mark.parametrize("change", ["absent", "none", "without a credential", "null"])
def test_fault_04_a_user_that_is_absent_does_not_become_anonymous(tmp_path: Path, change: str) -> None:
    def edit(document: dict[str, Any]) -> None:
        if change == "absent":
            document["contexts"][0]["context"]["user"] = "you"
        elif change == "none":
            del document["contexts"][0]["context"]["user"]
        else:
            document["users"][0]["user"] = {} if change == "without a credential" else None

    told = refuse_document(tmp_path, edit)
    expected = {
        "absent": 'contexts[lab].context.user: there is no user "you" in users',
        "none": "contexts[lab].context.user: it is empty, so no user is chosen",
    }
    assert expected.get(change, "users[me].user: holds no credential, so you would act as system:anonymous") in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.update({"current-context": ""}), "current-context: it is empty; contexts in the file: lab"),
        (lambda d: d.pop("current-context"), "current-context: it is empty"),
        (
            lambda d: d.update({"current-context": "no"}),
            'contexts: there is no context "no"; contexts in the file: lab',
        ),
        (lambda d: d["contexts"][0]["context"].update(cluster="no"), 'there is no cluster "no" in clusters'),
        (lambda d: d["users"].append(d["users"][0]), 'users: the name "me" is there twice'),
        (lambda d: d["clusters"].append(d["clusters"][0]), 'clusters: the name "lab" is there twice'),
        (lambda d: d["contexts"].append(d["contexts"][0]), 'contexts: the name "lab" is there twice'),
        (lambda d: d.update(kind="List"), "kind: must be Config"),
        (lambda d: d.update(apiVersion="v2"), "apiVersion: must be v1"),
        (lambda d: d.update(users={"me": {}}), "users: must be a list"),
        (lambda d: d["users"].append({"name": "b", "user": {"token": 12345}}), "users[b].user.token: must be text"),
        (
            lambda d: d["clusters"].append({"name": "b", "cluster": {"insecure-skip-tls-verify": "no"}}),
            "clusters[b].cluster.insecure-skip-tls-verify: must be true or false",
        ),
        (
            lambda d: d["clusters"][0]["cluster"].update({"certificate-authority-data": "-----BEGIN"}),
            "clusters[lab].cluster.certificate-authority-data: is not base64",
        ),
    ],
)
def test_fault_04_a_file_that_client_go_refuses_is_refused_with_the_place(
    tmp_path: Path, change: Any, told: str
) -> None:
    assert told in refuse_document(tmp_path, change)


def test_fault_04_all_problems_of_a_file_are_reported_together(tmp_path: Path) -> None:
    told = refuse(
        tmp_path,
        user={"auth-provider": {"name": "oidc"}, "as-uid": "7", "client-key": "key.pem", "client-certificate": "c.pem"},
        more={"proxy-url": "socks5://proxy:1080", "certificate-authority": "/ca", "insecure-skip-tls-verify": True},
    )
    for place in (
        "clusters[lab].cluster.insecure-skip-tls-verify: does not verify the server",
        "clusters[lab].cluster.certificate-authority-data: is there together with certificate-authority",
        "clusters[lab].cluster.proxy-url: is a socks5 proxy",
        "users[me].user.auth-provider: is not supported",
        "users[me].user.client-certificate: the path c.pem is relative",
        "users[me].user.client-key: the path key.pem is relative",
        "users[me].user.as-uid: has no user beside it",
    ):
        assert place in told
    assert "7 problems" in told


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ({"auth-provider": {"name": "gcp", "config": {"access-token": TOKEN}}}, "user.auth-provider: is not supported"),
        ({"token": TOKEN, "username": "a", "password": "b"}, "user.username: is there together with a token"),
        ({"password": "geheim"}, "user.password: has no username beside it"),
        ({"client-certificate-data": encode(b"x")}, "user.client-certificate: has no client-key beside it"),
        (
            {"client-certificate-data": encode(b"x"), "client-key-data": encode(b"y")},
            "user.client-key: does not fit client-certificate, or is not PEM",
        ),
        ({"tokenFile": "token"}, "user.tokenFile: the path token is relative"),
        ({"tokenFile": "/absent/token"}, "user.tokenFile: cannot read /absent/token: No such file or directory"),
        ({"token": f"{TOKEN}\n"}, "user.token: holds a space, a line break or a character"),
        ({"token": TOKEN, "as": "a\r\nX-Evil: b"}, "user.as: holds a line break"),
    ],
)
def test_fault_04_a_user_that_two_readers_take_differently_is_refused(
    tmp_path: Path, user: dict[str, Any], told: str
) -> None:
    text = refuse(tmp_path, user=user)
    assert told in text
    assert TOKEN not in text
    assert "geheim" not in text


def test_fault_04_a_certificate_from_files_and_a_login_are_shown(server: HostServer, tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_bytes(client_pair().certificate)
    (tmp_path / "k.pem").write_bytes(client_pair().key)
    ask(server, user={"client-certificate": str(tmp_path / "c.pem"), "client-key": str(tmp_path / "k.pem")})
    assert server.callers[-1] == "me"
    ask(server, user={"username": "a", "password": "b"})
    assert server.last("Authorization") == ["Basic YTpi"]
    assert server.callers[-1] == ""


def test_fault_04_the_cas_of_this_machine_are_trusted_where_the_file_names_none(
    server: HostServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.folder / "ca.pem"))
    ask(server, cluster={"server": server.url})
    ask(server, cluster={"server": server.url.replace("https", "HTTPS") + "/"})


def test_fault_04_tls_server_name_is_the_name_that_is_verified(server: HostServer) -> None:
    ask(server, more={"tls-server-name": "localhost"})
    access = write_kubeconfig(server.folder / "k", server.url, more={"tls-server-name": "elsewhere"})
    with pytest.raises(ApiError, match="its TLS certificate is not the expected one"):
        open_host(access).call("GET", "/x", what="get x")


def test_fault_04_yaml_reads_as_in_client_go(server: HostServer, tmp_path: Path) -> None:
    """A name that looks like a date is text; only the first document counts."""
    document = yaml.safe_dump(build_kubeconfig(server.url)).replace("name: me", "name: 2026-11-30")
    path = tmp_path / "k.yaml"
    path.write_text(document.replace("user: me", "user: 2026-11-30") + "---\nother: 1\n")
    connection = open_host(HostAccess(kubeconfig=str(path), context=None, namespace="ns", cluster="dev"))
    assert connection.call("GET", "/x", what="get x").parse() == ANSWER


# Tokens of files.


@pytest.mark.parametrize("content", [f"{TOKEN}\n", f"  {TOKEN}\r\n\n", TOKEN])
def test_fault_04_a_token_file_is_stripped(server: HostServer, tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    ask(server, user={"tokenFile": str(tmp_path / "token")})
    assert server.last("Authorization") == [f"Bearer {TOKEN}"]


def test_fault_04_a_token_file_goes_before_the_token_and_is_read_again(server: HostServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    access = write_kubeconfig(tmp_path / "k", server.url, user={"token": TOKEN, "tokenFile": str(file)})
    connection = open_host(access)
    for content, sent in (("first\n", "first"), ("second\n", "second"), ("two\nlines\n", "second")):
        file.write_text(content)
        connection.call("GET", "/x", what="get x")
        assert server.last("Authorization") == [f"Bearer {sent}"]
    file.unlink()
    connection.call("GET", "/x", what="get x")
    assert server.last("Authorization") == ["Bearer second"]
    open_host(access).call("GET", "/x", what="get x")
    assert server.last("Authorization") == [f"Bearer {TOKEN}"]


def test_fault_04_a_token_file_with_two_lines_is_refused_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n{TOKEN}\n")
    told = refuse(tmp_path, user={"tokenFile": str(tmp_path / "token")})
    assert f"users[me].user.tokenFile: {tmp_path / 'token'} holds a space, a line break" in told
    assert TOKEN not in told
