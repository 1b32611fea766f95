"""Each fault of our own server: what a client sees while it is on, and that nothing stays when it is off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from kinky import paths
from tests.unit.vault.conftest import Running, prepare, read_address
from tests.vault_server.client import VaultClient
from tests.vault_server.faults import Fault, Faults
from tests.vault_server.server import VaultServer

DB = "secret/data/kinky/dev/db"
DECOY = "secret/data/kinky/dev-decoy"
ABSENT = "secret/data/kinky/dev/absent"


@pytest.fixture
def reader(ours: Running) -> VaultClient:
    return ours.log_in(ours.signer.sign())


def on(running: Running) -> Faults:
    assert running.faults is not None
    return running.faults


def is_well(running: Running, reader: VaultClient) -> bool:
    """Tell whether everything is as without a fault."""
    running.log_in(running.signer.sign())
    answers = [reader.get(path).status for path in (DB, DECOY, ABSENT)]
    return answers == [200, 403, 404] and reader.get("auth/token/lookup-self").status == 200


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in {Fault.UNREACHABLE, Fault.SLOW}])
def test_a_fault_ends_when_it_is_switched_off(ours: Running, reader: VaultClient, fault: Fault) -> None:
    assert is_well(ours, reader)
    with on(ours).during(fault):
        reader.get(DB)
    assert is_well(ours, reader)


def test_sealed(ours: Running, reader: VaultClient) -> None:
    with on(ours).during(Fault.SEALED):
        for client in (reader, ours.operator):
            assert (client.get(DB).status, client.get(DB).errors) == (503, "Vault is sealed")
        assert ours.operator.get("sys/health").status == 503
        assert ours.operator.get("sys/seal-status").body["sealed"] is True


def test_unreachable(ours: Running, reader: VaultClient) -> None:
    assert reader.get(DB).status == 200
    with on(ours).during(Fault.UNREACHABLE):
        # The first meets it on its open connection, the second in the handshake.
        for client in (reader, ours.operator.with_token("")):
            with pytest.raises(urllib3.exceptions.HTTPError):
                client.get("sys/health")
    assert is_well(ours, reader)


def test_slow(ours: Running, reader: VaultClient) -> None:
    hasty = VaultClient(ours.address, ours.ca, timeout_seconds=1)
    with on(ours).during(Fault.SLOW), pytest.raises(urllib3.exceptions.ReadTimeoutError):
        hasty.get("sys/health")
    assert is_well(ours, reader)


def test_slow_is_late_and_not_wrong(material: Path, tmp_path: Path) -> None:
    files = {"certificate": material / "tls.crt", "key": material / "tls.key", "faults": tmp_path / "faults"}
    with VaultServer(root_token="operator", slow_seconds=0.5, **files) as server:
        client = VaultClient(server.address, material / "ca.crt", "operator")
        with server.faults.during(Fault.SLOW):
            started = time.monotonic()
            assert client.get("auth/token/lookup-self").status == 200
        assert time.monotonic() - started >= 0.5


def test_forbidden_to_everybody(ours: Running, reader: VaultClient) -> None:
    with on(ours).during(Fault.FORBIDDEN):
        for client in (reader, ours.operator):
            assert (client.get(DB).status, client.get("auth/token/lookup-self").status) == (403, 403)
        login = ours.operator.put("auth/kinky-dev/login", role="kinky-dev", jwt=ours.signer.sign())
        assert login.status == 403
        assert ours.operator.get("sys/health").status == 200


def test_any_key_is_answered(ours: Running, reader: VaultClient) -> None:
    ours.operator.put(DB, data={"value": "newest"})
    with on(ours).during(Fault.ANY_KEY):
        assert reader.get(ABSENT).data["data"] == {"value": "newest"}
        assert reader.get(DECOY).status == 403
        assert ours.operator.get(ABSENT).status == 404


def test_a_stale_value_stays_while_it_changes(ours: Running, reader: VaultClient) -> None:
    with on(ours).during(Fault.STALE):
        assert reader.get(DB).data["data"] == {"value": "first"}
        ours.operator.put(DB, data={"value": "second"})
        assert reader.get(DB).data["data"] == {"value": "first"}
        assert ours.log_in(ours.signer.sign()).get(DB).data["data"] == {"value": "first"}
        assert ours.operator.get(DB).data["data"] == {"value": "second"}
        assert reader.get(ABSENT).status == 404
    assert reader.get(DB).data["data"] == {"value": "second"}


def test_a_wide_policy_shows_the_decoy(ours: Running, reader: VaultClient) -> None:
    with on(ours).during(Fault.WIDE_POLICY):
        assert reader.get(DECOY).data["data"] == {"value": "decoy"}
        assert reader.list("secret/metadata/kinky").status == 200
        assert reader.put(DECOY, data={"value": "mine"}).status == 403
        assert reader.get("sys/policies/acl/kinky-dev").status == 403


def test_expired_tokens_old_and_new(ours: Running, reader: VaultClient) -> None:
    with on(ours).during(Fault.EXPIRED_TOKEN):
        for client in (reader, ours.log_in(ours.signer.sign())):
            assert (client.get(DB).status, client.get("auth/token/lookup-self").errors) == (403, "permission denied")
        assert ours.operator.get(DB).status == 200


def test_a_wrong_key_admits_nobody(ours: Running, reader: VaultClient) -> None:
    with on(ours).during(Fault.WRONG_KEY):
        assert "no known key successfully validated the token signature" in ours.refused(ours.signer.sign())
        assert reader.get(DB).status == 200


# what no client may do to it


def test_a_client_without_the_ca_does_not_trust_it(ours: Running) -> None:
    with pytest.raises(urllib3.exceptions.SSLError):
        urllib3.PoolManager(retries=False, timeout=5).request("GET", f"{ours.address}/v1/sys/health")
    assert ours.operator.get("sys/health").status == 200


def test_a_silent_client_holds_up_nobody(ours: Running) -> None:
    import socket

    host, port = ours.address.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), timeout=5):
        assert ours.operator.get("sys/health").status == 200


def test_a_body_that_is_no_json_is_refused(ours: Running) -> None:
    pool = urllib3.PoolManager(ca_certs=str(ours.ca), retries=False, timeout=5)
    for body in (b"{", b"[1]"):
        assert pool.request("PUT", f"{ours.address}/v1/sys/mounts/x", body=body).status == 400


def test_what_it_cannot_enforce_it_refuses(ours: Running) -> None:
    answer = ours.operator.put(
        "auth/kinky-dev/role/x", role_type="jwt", user_claim="sub", bound_audiences=["a"], bound_claims={"a": "b"}
    )
    assert (answer.status, answer.errors) == (400, "this server does not have bound_claims")
    policy = 'path "a" { capabilities = ["read"]\n required_parameters = ["x"] }'
    assert ours.operator.put("sys/policies/acl/x", policy=policy).status == 400


def test_many_writers_at_once_make_one_version_each(ours: Running) -> None:
    def write(number: int) -> None:
        ours.operator.with_token("")
        assert ours.operator.put("secret/data/busy/a", data={"value": str(number)}).status == 200

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ours.operator.get("secret/metadata/busy/a").data["current_version"] == 8


# the server as a process


@pytest.fixture
def process_files(material: Path, tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    token = tmp_path / "token"
    token.write_text("operator\n")
    options = {
        "--listen": "127.0.0.1:0",
        "--certificate": str(material / "tls.crt"),
        "--key": str(material / "tls.key"),
        "--root-token-file": str(token),
        "--faults": str(tmp_path / "faults"),
    }
    command = [sys.executable, "-m", "tests.vault_server", *(part for pair in options.items() for part in pair)]
    yield tmp_path, command


def test_the_process_serves_meets_faults_prints_nothing_secret_and_ends(
    material: Path, process_files: tuple[Path, list[str]]
) -> None:
    folder, command = process_files
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=paths.project_root(), stdout=output, stderr=output) as it,
    ):
        try:
            address = read_address(log, is_alive=lambda: it.poll() is None)
            running = Running(VaultClient(address, material / "ca.crt", "operator"), material / "ca.crt", address)
            prepare(running)
            reader = running.log_in(running.signer.sign())
            assert reader.get(DB).data["data"] == {"value": "first"}
            with Faults(folder / "faults").during(Fault.SEALED):
                assert reader.get(DB).status == 503
            assert reader.get(DB).status == 200
            assert "operator" not in Path(f"/proc/{it.pid}/cmdline").read_text()
        finally:
            it.send_signal(signal.SIGTERM)
        assert it.wait(60) == 0
    assert log.read_text().split() == ["serving", "on", address]


def test_the_process_serves_a_socket_of_its_parent_too(material: Path, process_files: tuple[Path, list[str]]) -> None:
    import socket

    folder, command = process_files
    log = folder / "log"
    with socket.create_server(("127.0.0.1", 0)) as own, log.open("wb") as output:
        command += ["--listen-fd", str(own.fileno())]
        with subprocess.Popen(
            command, cwd=paths.project_root(), stdout=output, stderr=output, pass_fds=[own.fileno()]
        ) as it:
            try:
                first = read_address(log, is_alive=lambda: it.poll() is None)
                second = f"https://127.0.0.1:{own.getsockname()[1]}"
                clients = [VaultClient(address, material / "ca.crt", "operator") for address in (first, second)]
                assert clients[0].put("sys/mounts/secret", type="kv-v2").status == 204
                assert "secret/" in clients[1].get("sys/mounts").data
            finally:
                os.kill(it.pid, signal.SIGTERM)
