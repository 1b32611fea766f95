"""Only the scanned stack's own secrets must be found: others come, change and go while this machine is scanned."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from kinky import names, paths
from kinky.cli import scan as command
from kinky.cli import scan_sources
from kinky.embedded.layout import default_layout
from kinky.keys.material import make_cluster_files
from kinky.kube.access import HostAccess
from kinky.reach.reach import Reach
from kinky.scan.files import find_files, find_processes
from kinky.scan.kind import Kind
from kinky.scan.known import read_local_secrets
from kinky.scan.report import Report
from kinky.scan.source import Source
from tests.unit.fake_api import FakeConnection
from tests.unit.scan.machine import NAMESPACE, SECRETS, Machine, add_vm, launcher, make_machine, write

OTHER = make_cluster_files("other")
CREDENTIAL = OTHER["ca.crt"] + OTHER["ca.key"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with the stack dev, all of whose secrets are at home."""
    made = make_machine(tmp_path, monkeypatch)
    access = HostAccess(kubeconfig="/k", context=None, namespace="kinky-dev", cluster="dev")
    monkeypatch.setattr("kinky.stacks.inner.find_reach", lambda _stack: Reach(access))
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: made.connection)
    monkeypatch.setattr("kinky.cli.scan_secrets.read_of_store", lambda *_: ([], []))
    monkeypatch.setattr("kinky.stacks.file.read_stack_file", lambda _stack: made.stack)
    for path, content in (
        (paths.passphrase_file(), b"the passphrase\n"),
        (paths.stack_dir("dev") / "credential.pem", SECRETS["dev-pki"]["ca.crt"] + SECRETS["dev-pki"]["sa.key"]),
        (paths.host_kubeconfig(), b"users: []\n"),
    ):
        write(path, content)
    # The key of the operator is another one than the host's Secrets hold.
    write(paths.stack_dir("dev") / "credential.pem", make_cluster_files("operator")["ca.key"])
    return made


def scan(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object] = lambda: None) -> Report:
    """Scan stack dev as the command does; something else happens once the secrets are known."""
    list_sources = scan_sources.list_sources

    def list_later(*arguments: object) -> list[Source]:
        meanwhile()
        return list_sources(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "list_sources", list_later)
    return command.scan_stack("dev", [])


def add_secret(connection: FakeConnection, name: str, value: bytes, **labels: str) -> None:
    metadata = {"labels": {names.LABEL_CLUSTER: labels["cluster"]}} if labels else {}
    data = {"ca.key": base64.b64encode(value).decode()}
    connection.add(f"{NAMESPACE}/secrets", name, data=data, metadata=metadata)


def remove(connection: FakeConnection, kind: str, name: str) -> Callable[[], object]:
    return lambda: connection.call("DELETE", f"{NAMESPACE}/{kind}/{name}", what="remove it")


def test_all_is_well_while_nothing_happens(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scan(monkeypatch).passed


@pytest.mark.parametrize("how", ["removed", "replaced", "absent"])
def test_fault_24_a_credential_of_another_stack_need_not_stay(
    how: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = paths.stack_dir("other") / "credential.pem"
    write(file, CREDENTIAL)
    new = make_cluster_files("new")["ca.key"]
    changes: dict[str, Callable[[], object]] = {
        "removed": file.unlink,
        "replaced": lambda: file.write_bytes(new),
        "absent": lambda: (file.unlink(), file.parent.rmdir()),
    }
    report = scan(monkeypatch, changes[how])
    assert (report.passed, report.missing) == (True, ())


def test_fault_24_a_secret_of_another_stack_that_leaks_is_reported(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = paths.stack_dir("other") / "credential.pem"
    write(file, CREDENTIAL)
    report = scan(monkeypatch, lambda: file.rename(file.with_name("copy.txt")))
    assert not report.passed
    assert [secret.name for _, secret in report.unexpected] == [str(file)]


def test_fault_24_the_stack_s_own_credential_must_be_found(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_sources, "_list_folders", lambda **_: iter(()))
    missed = {each.secret.name for each in scan(monkeypatch).missing}
    assert str(paths.stack_dir("dev") / "credential.pem") in missed and str(paths.passphrase_file()) in missed


def test_fault_24_the_stack_s_own_credential_may_be_renewed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    file = paths.stack_dir("dev") / "credential.pem"
    assert scan(monkeypatch, lambda: file.write_bytes(make_cluster_files("new")["ca.key"])).passed


@pytest.mark.parametrize("name", ["lab-pki", "dev-store-pki", "dev-other-credentials-12345678"])
def test_fault_24_a_secret_of_another_cluster_in_the_namespace_need_not_stay(
    name: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names do not tell: dev-store-pki looks like a value of dev's store, and is the keys of cluster dev-store."""
    add_secret(machine.connection, name, OTHER["ca.key"], cluster="dev-store")
    report = scan(monkeypatch, remove(machine.connection, "secrets", name))
    assert report.missing == ()


def test_fault_24_a_secret_of_nobody_s_need_not_stay_and_is_else_looked_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_secret(machine.connection, "registry", b"a password of the registry")
    assert scan(monkeypatch, remove(machine.connection, "secrets", "registry")).missing == ()
    add_secret(machine.connection, "registry", b"a password of the registry")
    monkeypatch.setattr("kinky.scan.search.Needles.search", lambda _self, _data: set())
    assert "registry/ca.key" in {each.secret.name for each in scan(monkeypatch).missing}


def test_fault_24_the_stack_s_own_secret_must_be_found(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    report = scan(monkeypatch, remove(machine.connection, "secrets", "dev-store-message"))
    assert {each.secret.name for each in report.missing} == {"dev-store-message/message"}


@pytest.mark.parametrize("cluster", ["dev", "other"])
def test_fault_24_disks_of_another_cluster_need_not_hold_what_ours_must(
    cluster: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_vm(machine, "other-control-plane-0", secret="dev-pki")
    pod = machine.connection.objects[f"{NAMESPACE}/pods/{launcher('other-control-plane-0')}"]
    pod["metadata"]["labels"] |= {names.LABEL_CLUSTER: cluster, names.LABEL_ROLE: "control-plane"}
    folder = default_layout().root / f"kubelet/pods/uid-{launcher('other-control-plane-0')}"
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        file.unlink()
    report = scan(monkeypatch)
    assert bool(report.missing) == (cluster == "dev")


def test_fault_24_keys_of_the_embedded_host_are_not_those_of_a_stack_elsewhere(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = default_layout().pki / "ca.key"
    write(file, OTHER["ca.key"])
    assert [each.secret.name for each in scan(monkeypatch, file.unlink).missing] == [str(file)]
    write(file, OTHER["ca.key"])
    raw = machine.stack.config.model_copy(
        update={"host": machine.stack.config.host.model_copy(update={"embedded": False})}
    )
    elsewhere = type(machine.stack)(stack="dev", path=machine.stack.path, config=raw, secrets_provider=None)
    monkeypatch.setattr("kinky.stacks.file.read_stack_file", lambda _stack: elsewhere)

    def end_the_host() -> None:
        file.unlink()
        paths.passphrase_file().unlink()

    assert scan(monkeypatch, end_the_host).missing == ()


def test_fault_24_a_file_that_vanishes_while_it_is_read_is_none(tmp_path: Path) -> None:
    folder = paths.state_dir() / "clusters/other"
    folder.mkdir(parents=True)
    (folder / "credential.pem").symlink_to("removed")
    (folder / "folder.pem").mkdir()
    assert read_local_secrets(passphrases=[tmp_path / "absent"], host_keys=tmp_path / "absent") == []


def test_fault_24_what_a_process_of_another_user_hides_is_no_failure(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    (proc / "7").mkdir(parents=True)
    (proc / "7" / "comm").symlink_to(proc / "7" / "comm")

    names_of = [artefact.name for artefact in find_processes(proc)]
    assert names_of == ["7 ? cmdline", "7 ? environ"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode", [0o744, 0o700])
def test_fault_24_a_folder_that_may_not_be_entered_is_told(mode: int) -> None:
    with TemporaryDirectory() as folder:
        closed = Path(folder) / "closed"
        (closed / "inner").mkdir(parents=True)
        (closed / "inner/file").write_text("text")
        Path(folder).chmod(0o755)
        closed.chmod(mode)
        for path in (closed, closed / "inner", closed / "inner/file"):
            found = as_nobody(lambda path=path: list(find_files(Kind.STATE, path)))  # type: ignore[misc]
            assert found
            with pytest.raises(PermissionError):
                as_nobody(lambda found=found: list(found[0].read()))  # type: ignore[misc]


def as_nobody(work: Callable[[], list[Any]]) -> list[Any]:
    """Do something as a user without rights."""
    os.seteuid(65534)
    try:
        return work()
    finally:
        os.seteuid(0)
