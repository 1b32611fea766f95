"""A server of Vault's API beside a running embedded host, under one address for its pods, its VMs and this machine.

The host's network namespace has no way out, so the server listens twice on the host node's own address: in that
namespace, where pods and VMs reach it like the host's API, and on this machine, where the address is put on loopback
meanwhile. One process serves both sockets. By hand, with a host up: `python -m tests.e2e.store_server [PROGRAM]`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import urllib3

from kinky import paths, process, retry
from kinky.embedded import layout, machine
from kinky.errors import HostError
from kinky.keys import certificates
from kinky.progress import note
from tests.e2e.person import Person, borrow
from tests.vault_server.client import VaultClient
from tests.vault_server.faults import Faults
from tests.vault_server.server import listen

PORT = 8200
OURS = (sys.executable, "-m", "tests.vault_server")
"""The server of the tests; another program has to take the same arguments, save --faults."""
REASON = "give this machine the address of the store's server"


@dataclass(frozen=True)
class StoreServer:
    """A server that runs, and what its operator has."""

    address: str
    ca: Path
    """File for a stack's secretsStore.vault.caFile."""
    token: Path
    """File with the root token."""
    operator: VaultClient
    faults: Faults
    """What can be switched on; another program than ours has none."""


@contextlib.contextmanager
def serve(folder: Path, *, program: tuple[str | Path, ...] = OURS) -> Iterator[StoreServer]:
    """Serve to the running embedded host and to this machine; everything is gone afterwards.

    Raises:
        HostError: The embedded host does not run.
    """
    record = machine.running(layout.default_layout())
    inner = machine.inner_pid(record) if record else None
    if inner is None:
        raise HostError("embedded host is not running", hint="kinky host up")
    with serve_in(inner, layout.NODE_ADDRESS, folder, program=program) as server:
        yield server


@contextlib.contextmanager
def serve_in(
    namespace_of: int, address: str, folder: Path, *, program: tuple[str | Path, ...] = OURS
) -> Iterator[StoreServer]:
    """Serve in the network namespace of a process, where the address is, and on this machine."""
    files = _write_files(folder, address)
    log = folder / "server.log"
    arguments: list[str | Path] = [
        "--certificate",
        files["tls.crt"],
        "--key",
        files["tls.key"],
        "--root-token-file",
        files["token"],
    ]
    if program == OURS:
        arguments += ["--faults", folder / "faults"]
    # nsenter becomes the program, so that its pid is the server's.
    enter = ["nsenter", f"--net=/proc/{namespace_of}/ns/net", "--", *program, "--listen", f"{address}:{PORT}"]
    with _own_address(address), listen(f"{address}:{PORT}") as socket:
        pid = process.spawn_detached(
            [*enter, "--listen-fd", str(socket.fileno()), *arguments],
            log=log,
            env={"PYTHONPATH": str(paths.project_root())},
            pass_fds=[socket.fileno()],
        )
        try:
            operator = VaultClient(f"https://{address}:{PORT}", files["ca.crt"], files["token"].read_text())
            _wait_until_ready(operator, pid, files["token"], log)
            faults = Faults(folder / "faults")
            yield StoreServer(f"https://{address}:{PORT}", files["ca.crt"], files["token"], operator, faults)
        finally:
            process.terminate(pid, expect=str(files["token"]))


@contextlib.contextmanager
def lend_stack(stack: str, server: StoreServer, *, scratch: Path) -> Iterator[Person]:
    """Lend the person of a stack like ci whose store is this server, with a token for it."""
    vault = {"address": server.address, "caFile": str(server.ca)}
    changes = {"kinky:secretsStore": {"kind": "vault", "vault": vault}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAULT_TOKEN_FILE", str(server.token))
        with borrow(stack, base="ci", scratch=scratch, changes=changes) as someone:
            yield someone


def check_nothing_left(owner: Person, server: StoreServer) -> None:
    """Assert that neither the host nor the server holds anything of a stack that was destroyed."""
    stack = owner.stack.stack
    assert owner.left_on_host() == set()
    assert sorted(server.operator.get("sys/auth").data) == ["token/"]
    assert server.operator.get(f"sys/policies/acl/kinky-{stack}").status == 404
    assert server.operator.list(f"secret/metadata/kinky/{stack}").status == 404


def _write_files(folder: Path, address: str) -> dict[str, Path]:
    ca = certificates.make_ca("store of the tests")
    request = certificates.LeafRequest(common_name="store", addresses=[address], server=True, life=timedelta(days=1))
    leaf = certificates.make_leaf(ca, request)
    contents = {
        "ca.crt": ca.certificate,
        "tls.crt": leaf.certificate,
        "tls.key": leaf.key,
        "token": secrets.token_urlsafe(24).encode(),
    }
    for name, content in contents.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


@contextlib.contextmanager
def _own_address(address: str) -> Iterator[None]:
    """Have the address on this machine's loopback for a while."""
    change = ["ip", "address", "replace", f"{address}/32", "dev", "lo"]
    process.run(change, reason=REASON, timeout_seconds=20)
    try:
        yield
    finally:
        process.run([*change[:2], "delete", *change[3:]], reason=REASON, timeout_seconds=20)


def _wait_until_ready(operator: VaultClient, pid: int, token: Path, log: Path) -> None:
    def attempt() -> bool | retry.Pending:
        if not process.is_alive(pid, expect=str(token)):
            raise HostError("the store's server ended", details=log.read_text(errors="replace").splitlines()[-5:])
        return operator.get("auth/token/lookup-self").status == 200 or retry.Pending("not ready")

    tolerated = (urllib3.exceptions.HTTPError,)
    retry.wait_until(attempt, what="the store's server", deadline_seconds=60, every_seconds=0.5, tolerate=tolerated)


def main() -> None:
    """Serve until Ctrl-C, for a look by hand."""
    program = tuple(sys.argv[1:]) or OURS
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder), program=program) as server:
        note(f"serving on {server.address}; caFile {server.ca}; root token in {server.token}")
        if program == OURS:
            note(f"a fault is a file in {server.faults.folder}")
        # Else the end would leave the server behind, and its address on loopback.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    os.umask(0o077)
    main()
