"""The login program of a kubeconfig: what it may print, when it is asked again, and how its failure is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from kinky.kube.connection import ApiError, open_host
from tests.unit.host_server import (
    TOKEN,
    HostServer,
    ca,
    client_pair,
    encode,
    write_kubeconfig,
)
from tests.unit.kubeconfig.conftest import ANSWER, V1, ask, build_exec, count_runs, refuse, refuse_access, write_plugin

# Programs that print a credential.


def test_fault_04_a_failed_login_ends_with_its_reason_and_never_goes_on_as_anonymous(
    server: HostServer, tmp_path: Path
) -> None:
    plugin = write_plugin(tmp_path, "print('secret-of-stdout'); print('a\\nsession expired', file=sys.stderr); exit(3)")
    user = build_exec(plugin, args=["--client-secret=secret-of-argv"], env=[{"name": "S", "value": "secret-of-env"}])
    told = refuse_access(write_kubeconfig(tmp_path / "k", server.url, user=user))
    assert f"program for the login failed: {plugin}: exit code 3" in told
    assert "its last line: session expired" in told
    assert "secret-of" not in told
    assert server.seen == []


def test_fault_04_a_missing_login_program_is_named_with_its_own_hint(server: HostServer, tmp_path: Path) -> None:
    user = build_exec("kinky-absent-login", installHint="run \x1b[1mget-login\x1b[0m first")
    told = refuse_access(write_kubeconfig(tmp_path / "k", server.url, user=user))
    assert "program for the login is missing: kinky-absent-login" in told
    assert "get-login" in told
    assert "\x1b" not in told
    assert server.seen == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("print('no json: {', 'topsecret')", "it printed no ExecCredential"),
        ("give()", "it printed neither a token nor a certificate with its key"),
        ("give(token='topsecret\\n')", "its token holds a space, a line break"),
        ("give(clientCertificateData='topsecret')", "it printed only one of certificate and key"),
        ("give(clientCertificateData='topsecret', clientKeyData='topsecret')", "certificate and key do not fit"),
        ("give(token='topsecret', expirationTimestamp='soon')", "its end is not a time"),
        ("print(json.dumps({'apiVersion': 'x', 'kind': 'ExecCredential'}))", "it printed another version than"),
        ("os.kill(os.getpid(), 15)", "signal 15"),
    ],
)
def test_fault_04_a_login_that_prints_no_credential_is_a_failure(tmp_path: Path, body: str, told: str) -> None:
    plugin = write_plugin(tmp_path, body)
    text = refuse(tmp_path, user=build_exec(plugin))
    assert told in text
    assert "topsecret" not in text


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, 'exec.apiVersion: is "client.authentication'),
        ({"interactiveMode": "Always"}, "exec.interactiveMode: is Always"),
        ({"interactiveMode": None}, 'exec.interactiveMode: is ""'),
        ({"command": "./login"}, "exec.command: the path ./login is relative"),
        ({"command": ""}, "exec.command: is empty"),
        ({"env": [{"value": "x"}]}, "exec.env: holds a variable without a name"),
    ],
)
def test_fault_04_an_exec_section_that_cannot_be_followed_is_refused(
    tmp_path: Path, more: dict[str, Any], told: str
) -> None:
    assert f"users[me].user.{told}" in refuse(tmp_path, user=build_exec(**{"command": "login", **more}))


def test_fault_04_a_login_is_asked_once_and_again_when_it_expired_or_was_refused(
    server: HostServer, tmp_path: Path
) -> None:
    plugin = write_plugin(
        tmp_path,
        "runs = len(open(sys.argv[0] + '.runs').read())\n"
        "end = {1: '2020-01-01T00:00:00Z', 2: '2999-01-01T00:00:00+02:00'}.get(runs)\n"
        "give(token=f't{runs}', **({'expirationTimestamp': end} if end else {}))",
    )
    access = write_kubeconfig(tmp_path / "k", server.url, user=build_exec(plugin))
    connection = open_host(access)
    for _ in range(3):
        connection.call("GET", "/x", what="get x")
        assert server.last("Authorization") == ["Bearer t2"]
    open_host(access).call("GET", "/x", what="get x")
    assert count_runs(plugin) == 2
    server.answers["GET", "/x"] = (401, {"reason": "Unauthorized"})
    with pytest.raises(ApiError, match=r"Unauthorized \(401\)"):
        connection.call("GET", "/x", what="get x")
    server.answers["GET", "/x"] = (200, ANSWER)
    connection.call("GET", "/x", what="get x")
    assert server.last("Authorization") == ["Bearer t3"]
    assert count_runs(plugin) == 3


def test_fault_04_a_login_may_print_a_certificate_beside_a_token(server: HostServer, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(client_pair().certificate)
    (tmp_path / "k").write_bytes(client_pair().key)
    plugin = write_plugin(
        tmp_path,
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "give(token='t', clientCertificateData=(folder / 'c').read_text(), clientKeyData=(folder / 'k').read_text())",
    )
    ask(server, user=build_exec(plugin))
    assert server.callers[-1] == "me"
    assert server.last("Authorization") == ["Bearer t"]


def test_fault_04_a_login_is_told_of_the_cluster_and_gets_its_variables(server: HostServer, tmp_path: Path) -> None:
    plugin = write_plugin(
        tmp_path,
        "(pathlib.Path(sys.argv[1])).write_text(os.environ['KUBERNETES_EXEC_INFO'])\ngive(token=os.environ['MINE'])",
    )
    told = tmp_path / "told.json"
    extensions = [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}]
    user = build_exec(plugin, args=[str(told)], env=[{"name": "MINE", "value": "from-env"}], provideClusterInfo=True)
    ask(server, user=user, more={"extensions": extensions, "tls-server-name": "localhost"})
    assert server.last("Authorization") == ["Bearer from-env"]
    info = json.loads(told.read_text())
    assert (info["kind"], info["apiVersion"], info["spec"]["interactive"]) == ("ExecCredential", V1, False)
    assert info["spec"]["cluster"] == {
        "server": server.url,
        "tls-server-name": "localhost",
        "certificate-authority-data": encode(ca().certificate),
        "config": {"audience": "a"},
    }


def test_fault_04_a_login_is_not_run_beside_another_credential(server: HostServer, tmp_path: Path) -> None:
    """As in client-go: the static credential is the one that counts."""
    ask(server, user={"token": TOKEN, **build_exec(write_plugin(tmp_path, "exit(1)"))})
    assert server.last("Authorization") == [f"Bearer {TOKEN}"]
