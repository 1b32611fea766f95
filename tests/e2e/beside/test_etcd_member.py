"""A member of etcd that lost its disk comes back: real members on loopback, with the guest's own script and flags."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kinky import paths
from kinky.config.load import load_config
from kinky.keys.certificates import LeafRequest, Pair, make_ca, make_leaf
from kinky.render.kubeadm import build_kubeadm_documents
from kinky.toolchain.tools import tool_path
from kinky.topology.addresses import Addresses
from kinky.topology.nodes import build_nodes
from tests.e2e.person import wait_for

pytestmark = pytest.mark.host

CONFIG = load_config(
    {"cluster": {"name": "dev"}, "host": {"embedded": True}, "controlPlane": {"replicas": 3}}, source="test"
)
NODES = build_nodes(CONFIG)
LIFE = timedelta(days=1)
PLANES = [node for node in NODES if node.is_control_plane]
IPS = {node.name: f"127.77.0.{number}" for number, node in enumerate(NODES, start=1)}
"""Loopback addresses in the place of S-addresses, so that each member has the usual ports."""
ADDRESSES = Addresses.parse(endpoint=["127.77.0.9"], nodes={name: [ip] for name, ip in IPS.items()})


class Member:
    """One etcd with the flags that its node's kubeadm would give it."""

    def __init__(self, name: str, folder: Path, ca: Pair) -> None:
        self.name, self.folder, self.address = name, folder / name, IPS[name]
        self.folder.mkdir()
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        request = LeafRequest(
            common_name=name, addresses=[self.address], server=True, life=LIFE, dns_names=["localhost"]
        )
        leaf = make_leaf(ca, request)
        client = make_leaf(ca, LeafRequest(common_name=name, life=LIFE))
        for part, pair in (("server", leaf), ("client", client)):
            (self.folder / f"{part}.crt").write_bytes(pair.certificate)
            (self.folder / f"{part}.key").write_bytes(pair.key)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self, state: str | None = None) -> None:
        flags = {**read_flags(self.name), **({"initial-cluster-state": state} if state else {})}
        # On loopback members share the machine, so each listens on its own address only.
        flags |= {
            "name": self.name,
            "data-dir": str(self.data),
            "listen-client-urls": f"https://{self.address}:2379",
            "listen-peer-urls": f"https://{self.address}:2380",
            "advertise-client-urls": f"https://{self.address}:2379",
            "initial-advertise-peer-urls": f"https://{self.address}:2380",
            "client-cert-auth": "true",
            "peer-client-cert-auth": "true",
        }
        ca = self.folder.parent / "pki/etcd/ca.crt"
        for side in ("", "peer-"):
            flags |= {f"{side}trusted-ca-file": str(ca)}
            flags |= {
                f"{side}cert-file": str(self.folder / "server.crt"),
                f"{side}key-file": str(self.folder / "server.key"),
            }
        # A peer is a client as well: kubeadm's peer certificate is for both uses, ours are two.
        flags |= {"peer-client-cert-file": str(self.folder / "client.crt")}
        flags |= {"peer-client-key-file": str(self.folder / "client.key")}
        command = [str(tool_path("etcd")), *(f"--{key}={value}" for key, value in flags.items())]
        self.process = subprocess.Popen(command, stdout=self.log.open("ab"), stderr=subprocess.STDOUT)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None


def read_flags(name: str) -> dict[str, str]:
    """Return the flags of the rendered kubeadm configuration."""
    node = next(each for each in NODES if each.name == name)
    documents = build_kubeadm_documents(CONFIG, node, NODES, ADDRESSES)
    arguments = documents[1]["etcd"]["local"]["extraArgs"]
    return {each["name"]: each["value"] for each in arguments}


@pytest.fixture
def members(tmp_path: Path) -> Iterator[dict[str, Member]]:
    ca = make_ca("etcd-ca")
    pki = tmp_path / "pki/etcd"
    pki.mkdir(parents=True)
    (pki / "ca.crt").write_bytes(ca.certificate)
    (pki / "ca.key").write_bytes(ca.key)
    made = {node.name: Member(node.name, tmp_path, ca) for node in PLANES}
    for member in made.values():
        member.start()
    yield made
    for member in made.values():
        member.stop()


def ask(member: Member, *arguments: str) -> Any:
    """Ask one member with etcdctl, as docs/troubleshooting.md does."""
    credentials = [f"--cacert={member.folder.parent / 'pki/etcd/ca.crt'}"]
    credentials += [f"--cert={member.folder / 'client.crt'}", f"--key={member.folder / 'client.key'}"]
    command = [str(tool_path("etcdctl")), f"--endpoints=https://{member.address}:2379", *credentials, *arguments]
    done = subprocess.run([*command, "--write-out=json"], capture_output=True, text=True, timeout=30, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def is_awaited(member: Member, others: list[Member]) -> bool:
    """Ask the guest's own script."""
    script = paths.project_root() / "node-image/files/usr/lib/kinky/etcd-member.sh"
    pki = member.folder.parent / "pki"
    command = f'set -eu; pki={pki}; . {script}; is_awaited "$@"'
    addresses = [each.address for each in (member, *others)]
    return subprocess.run(["sh", "-c", command, "sh", *addresses], check=False, timeout=60).returncode == 0


def test_fault_05_a_member_with_an_empty_disk_joins_once_an_admin_has_said_so(members: dict[str, Member]) -> None:
    lost, *living = (members[node.name] for node in reversed(PLANES))
    wait_for("three members", lambda: ask(living[0], "put", "a", "1") is not None, limit_seconds=60)
    lost.stop()
    subprocess.run(["rm", "-r", str(lost.data)], check=True)
    assert not is_awaited(lost, living), "it is still a member that has been there"

    lost.start()
    wait_for("the refusal", lost.has_ended, limit_seconds=60)
    assert "has already been bootstrapped" in lost.log.read_text()
    assert not (lost.data / "member/wal").exists(), "what the guest looks for"

    listed = ask(living[0], "member", "list")["members"]
    number = next(each["ID"] for each in listed if each["name"] == lost.name)
    assert ask(living[0], "member", "remove", f"{number:x}") is not None
    assert not is_awaited(lost, living)
    add = ("member", "add", lost.name, f"--peer-urls=https://{lost.address}:2380")
    # etcd takes a member only when the others have seen each other for some seconds.
    wait_for("a place for it", lambda: ask(living[0], *add) is not None, limit_seconds=60)
    assert is_awaited(lost, living)

    lost.start("existing")
    wait_for("what was written before", lambda: holds(lost), limit_seconds=60)
    assert not is_awaited(lost, living), "it has its name again"
    lost.stop()
    lost.start()
    wait_for("a start with its own data", lambda: holds(lost), limit_seconds=60)


def holds(member: Member) -> bool:
    found = ask(member, "get", "a", "--consistency=s")
    return bool(found and found.get("kvs"))
