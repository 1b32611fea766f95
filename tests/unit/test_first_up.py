"""The live steps of a first `up` in their order: killed or refused at any call of theirs, and called again.

The steps between them (VMs, network, External Secrets) are declared resources, whose repetition is Pulumi's matter.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kinky.gate import gate
from kinky.keys import material, node_credentials
from kinky.keys.certificates import format_time
from kinky.kube.connection import JsonObject, Reply, _refusal
from kinky.kube.host import HostApi
from kinky.ownership import record
from kinky.reach.reach import Reach
from kinky.scan.search import Needles
from kinky.scan.secret import KnownSecret, SecretClass
from kinky.stores import secrets_store, values
from kinky.stores.host_namespace import HostNamespaceStore
from tests.unit.fake_store import PROOF, SECRETS, build_token, decode, start_operator
from tests.unit.fake_wall import ACCESS, GRANT, OTHER_TAINT, SERVER, STATE, TAINT, Wall, add_worker, taints
from tests.unit.fuse import Fuse, FusedConnection, Killed

PUBLIC = (".crt", ".pub")
STEPS: dict[str, Callable[[], Any]] = {
    "claim": lambda: record.ensure_record(HostApi.connect(ACCESS), "stack", {}),
    "keys": lambda: material.ensure_cluster_keys(HostApi.connect(ACCESS), "dev"),
    "credentials of a worker": lambda: node_credentials.ensure_node_credentials(
        HostApi.connect(ACCESS), "dev", "dev-worker-0", "10.96.0.2"
    ),
    "canary": lambda: values.ensure_store_value(
        HostNamespaceStore(Reach(ACCESS), token_hours=24), "canary", key="nonce"
    ),
    "message": lambda: values.ensure_store_value(
        HostNamespaceStore(Reach(ACCESS), token_hours=24), "message", key="message"
    ),
    "gate": lambda: gate.raise_wall(Reach(ACCESS, SERVER), limit_seconds=30),
    "token": lambda: secrets_store.ensure_store_token(Reach(ACCESS, SERVER), hours=24),
    "gate open": lambda: gate.open_gate(Reach(ACCESS, SERVER), PROOF, limit_seconds=30),
}


class Machine:
    """Both APIs before a first `up`, and what is killed when the fuse burns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.fuse = Fuse()
        self.host = FusedConnection(self.fuse, target="host cluster")
        self.inner = FusedConnection(self.fuse, target='inner cluster "dev"')
        self.sent: dict[str, bytes] = {}
        """Each secret value that the program has sent, by a name."""
        monkeypatch.setenv("KINKY_STATE_DIR", str(folder))
        monkeypatch.setenv("KINKY_PROGRESS", "quiet")
        monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: self.host)
        monkeypatch.setattr("kinky.kube.inner.open_inner", lambda _access: self.inner)
        Wall(self.inner)
        start_operator(self.host, self.inner, monkeypatch)
        del self.inner.objects["/api/v1/namespaces/kinky-system/secrets/host-store-token"]
        add_worker(self.inner, "dev-worker-0", [OTHER_TAINT, TAINT])
        self.host.add("/api/v1/namespaces/ns/serviceaccounts", "dev-store-reader")
        self.host.add("/api/v1/namespaces/default/services", "kubernetes", spec={"clusterIP": "10.96.0.1"})
        self.host.add("/api/v1/namespaces/ns/configmaps", "kube-root-ca.crt", data={"ca.crt": "PEM"})
        self.host.answers[("POST", "/api/v1/namespaces/ns/serviceaccounts/dev-store-reader/token")] = self.issue

    def issue(self, _asked: JsonObject) -> Reply:
        token, expires = build_token(timedelta(hours=24)), format_time(datetime.now(UTC) + timedelta(hours=24))
        self.sent["token"] = token.encode()
        return Reply(201, json.dumps({"status": {"token": token, "expirationTimestamp": expires}}).encode())

    def run(self) -> str:
        """Run all steps; return the name of the one in which the program was killed, or nothing."""
        for name, step in STEPS.items():
            try:
                step()
            except Killed:
                return name
        return ""

    def fingerprint(self) -> dict[str, dict[str, bytes]]:
        """Return what is made once."""
        kept = ("dev-pki", "dev-store-message")
        return {
            name: decode(self.host, f"{SECRETS}/{name}") for name in kept if f"{SECRETS}/{name}" in self.host.objects
        }


def machines(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[tuple[int, Machine]]:
    for number in range(1, 500):
        yield number, Machine(monkeypatch, folder / str(number))


def test_an_up_that_is_killed_at_any_call_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    killed: set[str] = set()
    for number, machine in machines(monkeypatch, tmp_path):
        machine.fuse.at = number
        step = machine.run()
        machine.fuse.at = None
        if not step:
            break
        killed.add(step)
        data = machine.inner.objects.get(STATE, {}).get("data", {})
        opened = data.get("state") == "open" or GRANT in machine.inner.objects
        assert not opened or "evidence" in data, f"killed at call {number}, in step {step}"
        if data.get("state") != "open":
            assert TAINT in taints(machine.inner)
        before = machine.fingerprint()
        assert machine.run() == ""
        assert before.items() <= machine.fingerprint().items()
        assert gate.fetch_state(gate.InnerApi(machine.inner)).is_latched  # type: ignore[arg-type]
        assert taints(machine.inner) == [OTHER_TAINT]
    assert killed == set(STEPS)


def secret_values(body: Any) -> Iterator[tuple[str, bytes]]:
    """Yield the values of a Secret that is being sent, without what is public in it."""
    if isinstance(body, dict) and isinstance(body.get("data"), dict) and body.get("metadata", {}).get("name"):
        for key, value in body["data"].items():
            if not key.endswith(PUBLIC):
                yield f"{body['metadata']['name']}/{key}", value.encode()


def quote(machine: Machine, number: int) -> None:
    """Have call number `number` refused with an answer that quotes what was sent, as API servers do."""
    for connection in (machine.host, machine.inner):
        real = connection.call

        def call(method: str, path: str, *, real: Any = real, target: str = connection.target, **named: Any) -> Reply:
            if "/secrets" in path:
                machine.sent.update(secret_values(named.get("body")))
            if machine.fuse.calls + 1 == number:
                machine.fuse.calls += 1
                said = {"reason": "Invalid", "message": f"denied: {json.dumps(named.get('body'))}"}
                raise _refusal(target, named["what"], Reply(422, json.dumps(said).encode()))
            return real(method, path, **named)

        connection.call = call  # type: ignore[method-assign]


def test_s22_no_exception_of_any_step_tells_a_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each call in its turn is refused with a quote of what was sent; nothing that is printed may hold it."""
    monkeypatch.setattr("kinky.gate.gate.WALL_LIMIT_SECONDS", 5.0)
    seen = 0
    for number, machine in machines(monkeypatch, tmp_path):
        quote(machine, number)
        told = ""
        try:
            machine.run()
        except Exception:  # whatever it is, a bug's traceback too
            told = traceback.format_exc()
        out, error = capfd.readouterr()
        known = [KnownSecret(SecretClass.OTHER_VALUE, name, value) for name, value in machine.sent.items()]
        assert not Needles(known).search(f"{told}{out}{error}".encode()), f"call {number}"
        seen += bool(told)
        if machine.fuse.calls < number:
            break
    assert seen > 20


def test_s22_a_secret_in_an_exception_would_be_found() -> None:
    value = b"a value of the store"
    known = KnownSecret(SecretClass.STORE_VALUE, "x", value)
    try:
        raise RuntimeError(f"cannot parse {value!r}")
    except RuntimeError:
        assert Needles([known]).search(traceback.format_exc().encode()) == {known}
