"""Secrets to plant, in each encoding, and places of each kind to plant them in.

The encodings are made here by other means than the scanner's own, each with neighbours, so that a wrong encoder shows.
"""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

from kinky.keys.material import make_cluster_files
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.connection import Reply
from kinky.kube.host import HostApi
from kinky.scan import files, host, repository
from kinky.scan.artefact import Artefact
from kinky.scan.kind import Kind
from kinky.scan.secret import KnownSecret, SecretClass
from tests.unit.fake_api import FakeConnection

TEXT = 'p"ss/wört <…> ~~~???>>>~~~ \\ end'
"""Each encoding changes it: a quote, a slash, what is not ASCII, and what is + and / in base64."""
VALUE = KnownSecret(SecretClass.STORE_VALUE, "dev-store-message/message", TEXT.encode())
KEY = KnownSecret(SecretClass.PRIVATE_KEY, "dev-pki/ca.key", make_cluster_files("dev")["ca.key"])
RAW, PEM = VALUE.reveal(), KEY.reveal()
BODY = "".join(PEM.decode().splitlines()[1:-1])


def aligned(encode: Callable[[bytes], bytes]) -> list[bytes]:
    """Encode the value behind zero, one and two bytes; a letter in front keeps the run from being decoded."""
    return [b"z" + encode(b"?" * before + RAW + b"!!!") for before in range(3)]


PLANTS: dict[str, tuple[KnownSecret, list[bytes]]] = {
    "raw": (VALUE, [RAW]),
    "JSON": (
        VALUE,
        [
            json.dumps({"a": TEXT}).encode(),
            json.dumps([TEXT], ensure_ascii=False).encode(),
            json.dumps(json.dumps({"a": TEXT})).encode(),
            json.dumps(TEXT).replace("<", "\\u003c").replace(">", "\\u003e").encode(),
        ],
    ),
    "URL": (VALUE, [b"?q=" + urllib.parse.quote(TEXT, safe="").encode() + b"&x=1"]),
    "hex": (VALUE, [b"0f" + RAW.hex().encode() + b"ff"]),
    "upper-case hex": (VALUE, [b"0F" + RAW.hex().upper().encode()]),
    "UTF-16 LE": (VALUE, [f"x{TEXT}y".encode("utf-16-le")]),
    "UTF-16 BE": (VALUE, [f"x{TEXT}y".encode("utf-16-be")]),
    "base64": (VALUE, aligned(base64.b64encode)),
    "base64url": (VALUE, aligned(base64.urlsafe_b64encode)),
    "base64 of base64": (
        VALUE,
        [
            b"z" + base64.b64encode(b"-" * outer + base64.b64encode(b"?" * inner + RAW + b"!!") + b"--")
            for inner in range(3)
            for outer in range(3)
        ],
    ),
    "content of PEM": (KEY, [b"\x00\x01" + base64.b64decode(BODY) + b"\x02"]),
    "PEM on one line": (KEY, [b"z" + BODY.encode()]),
}


def nest_four_deep(content: bytes) -> list[bytes]:
    """Pack the content four times: as Helm stores a release in a Secret, and in another order."""
    helm = base64.b64encode(base64.b64encode(gzip.compress(b'{"data":"' + base64.b64encode(content) + b'"}')))
    other = gzip.compress(b"> " + base64.encodebytes(gzip.compress(b"\n" + base64.b64encode(content) + b"\n")))
    return [b'{"release":"' + helm + b'"}', other]


@contextmanager
def everywhere(folder: Path, plant: bytes) -> Iterator[list[Artefact]]:
    """Yield artefacts of each kind, each of which holds the plant once."""
    root = folder / "repository"
    make_repository(root, {"gone.bin": plant})
    git(root, "rm", "-q", "gone.bin")
    git(root, "commit", "-qm", "remove it")
    (root / "new.txt").write_bytes(b"not in git yet: " + plant)
    (folder / "tree").mkdir()
    (folder / "tree" / "state.json.bak").write_bytes(b"{" + plant + b"}")
    make_sparse(folder / "disk.img", {files.PIECE_BYTES + files.PIECE_BYTES // 2: plant})
    with running(plant) as pid:
        yield [
            *files.find_files(Kind.PATH, folder / "tree"),
            *files.find_files(Kind.PATH, folder / "disk.img"),
            # As the disks of VMs are searched: what is packed in them is not.
            *(
                replace(disk, kind=Kind.VM_DISK, unfold=False)
                for disk in files.find_files(Kind.PATH, folder / "disk.img")
            ),
            *(artefact for artefact in files.find_processes() if artefact.name.startswith(f"{pid} ")),
            *repository.find_work_tree(root),
            *repository.find_objects(root),
            *host_artefacts(plant),
        ]


def host_artefacts(plant: bytes) -> Iterator[Artefact]:
    """Yield a namespace with one object of each kind, and a pod with a log."""
    connection = FakeConnection()
    api = HostApi(connection, HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev"))  # type: ignore[arg-type]
    # JSON takes plain text as it is; what is not comes in base64, as in a Secret.
    plain = plant.isascii() and plant.decode().isprintable() and b'"' not in plant
    fields = {"note": plant.decode()} if plain else {"data": {"value": base64.b64encode(plant).decode()}}
    for resource in host.KINDS:
        spec = {"spec": {"containers": [{"name": "compute"}]}} if resource is resources.PODS else {}
        connection.add(resource.build_path("ns"), "thing", **fields, **spec)
    log = "/api/v1/namespaces/ns/pods/thing/log"
    connection.answers[("GET", log)] = lambda _body: Reply(200, b"[ 1.0] " + plant + b"\n")
    return chain(host.find_objects(api), host.find_logs(api))


def make_repository(root: Path, content: dict[str, bytes]) -> None:
    root.mkdir()
    git(root, "init", "-q")
    git(root, "config", "user.name", "test")
    git(root, "config", "user.email", "test@example.org")
    for name, body in content.items():
        (root / name).write_bytes(body)
    git(root, "add", ".")
    git(root, "commit", "-qm", "first", "--no-verify")


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


def make_sparse(path: Path, content: dict[int, bytes], *, size: int = 1 << 40) -> None:
    """Make a file of one TiB with some bytes in it."""
    with path.open("wb") as handle:
        handle.truncate(size)
        for offset, body in content.items():
            handle.seek(offset)
            handle.write(body)


@contextmanager
def running(plant: bytes) -> Iterator[int]:
    """Run a program with the plant in its environment; an environment ends at a zero byte, so such a plant is cut."""
    environment = {b"PATH": b"/usr/bin:/bin", b"PLANT": plant.split(b"\0")[0]}
    with subprocess.Popen(["sleep", "60"], env=environment) as process:
        # Between fork and exec the child still shows our own environment.
        while b"sleep" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            time.sleep(0.01)
        try:
            yield process.pid
        finally:
            process.kill()
