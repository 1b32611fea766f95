"""Real TLS between what boots in the phases of a rotation: all that can meet believe each other, and no others do."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from kinky import paths
from kinky.keys import cas, material
from kinky.keys.certificates import LeafRequest, Pair, is_issued_by, make_leaf, split_certificates
from kinky.keys.node_credentials import make_node_files
from kinky.retry import Pending
from kinky.rotation.ca_proof import check_served

PHASES = ("before", "trusted", "signing", "dropped")
NAME = "api.dev.kinky.internal"
Files = Mapping[str, bytes]


@cache
def files_of(phase: str) -> Files:
    """What the host holds in a phase, and so what boots in it has read."""
    before = material.make_cluster_files("dev") if phase == "before" else files_of("before")
    if phase == "before":
        return before
    if phase == "trusted":
        return cas.add_next(before, "dev")
    if phase == "signing":
        return cas.sign_with_next(files_of("trusted"))
    return cas.keep_signing(files_of("signing"))


@cache
def worker_of(phase: str) -> Files:
    """What a worker boots with: at first as the cluster was made, then what the new CA has signed."""
    if phase == "before":
        return make_node_files(cas.get_ca(files_of("before")), "dev-worker-0", "10.0.0.1")
    made = make_node_files(cas.get_next(files_of("trusted")), "dev-worker-0", "10.0.0.1")
    return made if phase in ("trusted", "signing") else {**made, "ca.crt": files_of("dropped")["ca.crt"]}


@cache
def leaf_of(phase: str, ca: str, *, server: bool) -> Pair:
    """What a control plane signs for itself at a boot in this phase."""
    files = files_of(phase)
    request = LeafRequest(common_name=NAME, dns_names=[NAME], server=server, life=timedelta(hours=1))
    return make_leaf(Pair(files[f"{ca}.crt"], files[f"{ca}.key"]), request)


def believes(
    folder: Path, *, server: Pair, server_trusts: bytes, client: Pair, client_trusts: bytes, name: str
) -> bool:
    """Tell whether a handshake succeeds in which each side verifies the other."""
    sides = []
    for purpose, pair, trusted in (
        (ssl.Purpose.SERVER_AUTH, client, client_trusts),
        (ssl.Purpose.CLIENT_AUTH, server, server_trusts),
    ):
        context = ssl.create_default_context(purpose, cadata=trusted.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        (folder / "pair.pem").write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(folder / "pair.pem")
        sides.append(context)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        sides[0].wrap_bio(back, there, server_hostname=name),
        sides[1].wrap_bio(there, back, server_side=True),
    ]
    try:
        for _ in range(4):
            for end in ends:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLError:
        return False
    return True


def may_meet(one: str, other: str) -> bool:
    """A round of replacements is all that lies between two nodes."""
    return abs(PHASES.index(one) - PHASES.index(other)) <= 1


@pytest.mark.parametrize("ca", material.CAS)
@pytest.mark.parametrize(("one", "other"), [pair for pair in product(PHASES, PHASES) if may_meet(*pair)])
def test_control_planes_of_one_round_believe_each_other(tmp_path: Path, ca: str, one: str, other: str) -> None:
    """Peers of etcd, API servers and who calls them, the front proxy and who believes it."""
    assert believes(
        tmp_path,
        server=leaf_of(one, ca, server=True),
        server_trusts=files_of(one)[f"{ca}.crt"],
        client=leaf_of(other, ca, server=False),
        client_trusts=files_of(other)[f"{ca}.crt"],
        name=NAME,
    )


@pytest.mark.parametrize(
    ("plane", "worker"),
    [
        ("before", "before"),
        ("trusted", "before"),  # the first round of control planes
        ("trusted", "trusted"),  # the first round of workers
        ("signing", "trusted"),
        ("dropped", "trusted"),  # the last round of control planes
        ("dropped", "dropped"),
    ],
)
def test_kubelets_and_api_servers_believe_each_other(tmp_path: Path, plane: str, worker: str) -> None:
    kubelet = worker_of(worker)
    client = Pair(kubelet["kubelet-client.crt"], kubelet["kubelet-client.key"])
    serving = Pair(kubelet["kubelet-serving.crt"], kubelet["kubelet-serving.key"])
    trusted = files_of(plane)["ca.crt"]
    assert believes(
        tmp_path,
        server=leaf_of(plane, "ca", server=True),
        server_trusts=trusted,
        client=client,
        client_trusts=kubelet["ca.crt"],
        name=NAME,
    )
    assert believes(
        tmp_path,
        server=serving,
        server_trusts=kubelet["ca.crt"],
        client=leaf_of(plane, "ca", server=False),
        client_trusts=trusted,
        name="dev-worker-0",
    )


@pytest.mark.parametrize(("one", "other"), [("before", "signing"), ("before", "dropped"), ("trusted", "dropped")])
def test_what_skips_a_round_is_not_believed(tmp_path: Path, one: str, other: str) -> None:
    """Which is why no round may begin before the last one is whole."""
    for server, client in ((one, other), (other, one)):
        assert not believes(
            tmp_path,
            server=leaf_of(server, "ca", server=True),
            server_trusts=files_of(server)["ca.crt"],
            client=leaf_of(client, "ca", server=False),
            client_trusts=files_of(client)["ca.crt"],
            name=NAME,
        )


def test_in_the_end_the_old_ca_opens_nothing(tmp_path: Path) -> None:
    former = cas.get_former_client(files_of("dropped"))
    accepted = {
        phase: believes(
            tmp_path,
            server=leaf_of(phase, "ca", server=True),
            server_trusts=files_of(phase)["ca.crt"],
            client=former,
            client_trusts=files_of("signing")["ca.crt"],
            name=NAME,
        )
        for phase in PHASES
    }
    assert accepted == {"before": True, "trusted": True, "signing": True, "dropped": False}
    assert set(cas.forget_former(files_of("dropped"))) == set(material.FILES)
    old = {name: text for name, text in files_of("before").items() if name.endswith(("ca.crt", "ca.key"))}
    assert not set(old.values()) & set(files_of("dropped").values())


def test_each_change_of_the_files_is_the_same_when_it_is_made_again() -> None:
    trusted, signing = files_of("trusted"), files_of("signing")
    assert cas.add_next(trusted, "dev") == trusted
    assert cas.sign_with_next(signing) == signing
    assert cas.keep_signing(files_of("dropped")) == files_of("dropped")


@pytest.mark.parametrize(("by", "expected"), [("ca", True), ("etcd-ca", False)])
def test_what_a_kubelet_presents_is_seen_from_outside(tmp_path: Path, by: str, expected: bool) -> None:
    """Over a real socket, and with no client certificate, as a kubelet lets anybody begin."""
    files = files_of("before")
    request = LeafRequest(common_name="n", dns_names=["dev-worker-0"], server=True, life=timedelta(hours=1))
    pair = make_leaf(Pair(files[f"{by}.crt"], files[f"{by}.key"]), request)
    (tmp_path / "pair.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pair.pem")

    def serve(listening: socket.socket) -> None:
        with listening.accept()[0] as plain:
            try:
                context.wrap_socket(plain, server_side=True).close()
            except OSError:
                return  # The other side did not believe us.

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        port = listening.getsockname()[1]
        found = check_served(port, server_name="dev-worker-0", ca=files["ca.crt"])
        thread.join()
    assert isinstance(found, str) == expected
    if isinstance(found, Pending):
        assert found.seen.startswith("the kubelet of dev-worker-0 presents another certificate")
    gone = check_served(port, server_name="dev-worker-0", ca=files["ca.crt"])
    assert isinstance(gone, Pending)
    assert "does not answer" in gone.seen


def read_guest_lines(first: str) -> str:
    """Read a command of the guest's script, with the lines that it goes on in."""
    script = paths.project_root() / "node-image/files/usr/lib/kinky/role-control-plane"
    lines = script.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(first))
    end = next(number for number in range(start, len(lines)) if not lines[number].endswith("\\"))
    return "\n".join(lines[start : end + 1])


def run_guest(folder: Path, command: str) -> None:
    for name in ("ca.crt", "ca.key"):
        (folder / name).write_bytes(files_of("signing")[name])
    settings = f"set -eu; pki={folder}; node=dev-control-plane-0; address=10.0.0.1\n"
    subprocess.run(["sh", "-c", settings + command], check=True, capture_output=True)


def test_the_guest_gives_its_controller_manager_the_one_that_signs(tmp_path: Path) -> None:
    run_guest(tmp_path, read_guest_lines("sed "))
    assert (tmp_path / "ca-issuer.crt").read_bytes() == split_certificates(files_of("signing")["ca.crt"])[0]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on this machine")
def test_the_guest_signs_its_kubelet_s_certificate_with_the_first(tmp_path: Path) -> None:
    run_guest(tmp_path, read_guest_lines("openssl req"))
    new, old = split_certificates(files_of("signing")["ca.crt"])
    leaf = (tmp_path / "kubelet-serving.crt").read_bytes()
    assert is_issued_by(leaf, new)
    assert not is_issued_by(leaf, old)
