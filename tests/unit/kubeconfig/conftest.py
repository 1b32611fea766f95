"""A server that is asked with a kubeconfig, kubeconfigs that are refused, and programs of an exec section."""

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kinky.errors import HostError
from kinky.kube.access import HostAccess
from kinky.kube.connection import open_host
from tests.unit.host_server import (
    HostServer,
    build_kubeconfig,
    serve,
    write_kubeconfig,
)

V1 = "client.authentication.k8s.io/v1"
ANSWER = {"ok": True}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HostServer]:
    with serve(tmp_path) as made:
        made.answers["GET", "/x"] = (200, ANSWER)
        yield made


def ask(server: HostServer, **changes: Any) -> None:
    """Make one call with a kubeconfig of this user or cluster."""
    access = write_kubeconfig(server.folder / "kubeconfig.yaml", server.url, **changes)
    assert open_host(access).call("GET", "/x", what="get x").parse() == ANSWER


def refuse(folder: Path, **changes: Any) -> str:
    access = write_kubeconfig(folder / "kubeconfig.yaml", "https://127.0.0.1:1", **changes)
    return refuse_access(access)


def refuse_access(access: HostAccess) -> str:
    with pytest.raises(HostError) as caught:
        open_host(access)
    assert access.kubeconfig in str(caught.value)
    return str(caught.value)


def refuse_document(folder: Path, change: Any) -> str:
    document = build_kubeconfig("https://127.0.0.1:1")
    change(document)
    path = folder / "kubeconfig.yaml"
    path.write_text(json.dumps(document))
    return refuse_access(HostAccess(kubeconfig=str(path), context=None, namespace="ns", cluster="dev"))


def write_plugin(folder: Path, body: str, name: str = "login") -> Path:
    """Write a program of an exec section; it counts its runs in a file beside it."""
    path = folder / name
    path.write_text(
        f"#!{sys.executable}\nimport json, os, pathlib, sys\n"
        f"pathlib.Path({str(path)!r} + '.runs').open('a').write('.')\n"
        "def give(**status):\n"
        f"    print(json.dumps({{'apiVersion': {V1!r}, 'kind': 'ExecCredential', 'status': status}}))\n"
        f"{body}\n"
    )
    path.chmod(stat.S_IRWXU)
    return path


def build_exec(command: Path | str, **more: Any) -> dict[str, Any]:
    return {"exec": {"command": str(command), "apiVersion": V1, "interactiveMode": "Never", **more}}


def count_runs(plugin: Path) -> int:
    return len(Path(f"{plugin}.runs").read_text())
