"""The kubeconfig of an inner cluster: an exec credential instead of a key, so the file holds no secret."""

import base64
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from kinky.kube.connection import JsonObject

EXEC_API_VERSION = "client.authentication.k8s.io/v1"


def build_kubeconfig(
    cluster: str,
    *,
    server: str,
    tls_server_name: str,
    ca_file: Path,
    command: str,
    arguments: Sequence[str],
) -> JsonObject:
    """Build a kubeconfig whose user is the output of a command; cluster, user and context have one name.

    Args:
        ca_file: File with the CAs to trust. Pulumi keeps this text in its state, and a rotation changes them.
    """
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster,
        "clusters": [
            {
                "name": cluster,
                "cluster": {
                    "server": server,
                    "tls-server-name": tls_server_name,
                    "certificate-authority": str(ca_file),
                },
            }
        ],
        "users": [{"name": cluster, "user": {"exec": build_exec(command, arguments)}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
    }


def build_exec(command: str, arguments: Sequence[str]) -> JsonObject:
    """Build the exec section; the command needs no terminal and nothing about the cluster."""
    return {
        "apiVersion": EXEC_API_VERSION,
        "command": command,
        "args": list(arguments),
        "interactiveMode": "Never",
        "provideClusterInfo": False,
        "installHint": "this kubeconfig was written by kinky; run make venv in its checkout, or pulumi up again",
    }


def build_held_kubeconfig(
    kubeconfig: JsonObject, *, ca_certificate: bytes, certificate: bytes, key: bytes
) -> JsonObject:
    """Build from a kubeconfig the one whose user is a certificate with its key instead of a command (secret)."""
    (cluster,), (user,) = kubeconfig["clusters"], kubeconfig["users"]
    ca = {"certificate-authority-data": base64.b64encode(ca_certificate).decode()}
    held = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    served = {key: value for key, value in cluster["cluster"].items() if key != "certificate-authority"}
    return kubeconfig | {
        "clusters": [cluster | {"cluster": served | ca}],
        "users": [user | {"user": held}],
    }


def build_exec_credential(*, certificate: str, key: str, expires_at: str) -> JsonObject:
    """Build what the command prints: a client certificate and when to ask for another (secret)."""
    return {
        "apiVersion": EXEC_API_VERSION,
        "kind": "ExecCredential",
        "status": {
            "expirationTimestamp": expires_at,
            "clientCertificateData": certificate,
            "clientKeyData": key,
        },
    }


def read_server(path: Path) -> str:
    """Read the API's URL out of a kubeconfig that `write_kubeconfig` wrote."""
    return str(json.loads(path.read_text(encoding="utf-8"))["clusters"][0]["cluster"]["server"])


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 in one step, so that a reader sees the old or the new content."""
    # Each thread its own: Pulumi runs live steps in threads, and each of them writes the CA again.
    staged = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    staged.replace(path)


def remove_staged(directory: Path) -> None:
    """Remove what `write_private` of processes that were killed has left in a folder; keys may be in it."""
    for staged in directory.glob(".*.*.*"):
        writer = staged.name.split(".")[-2]
        # A living process is about to give its file a name.
        if writer.isdigit() and not Path("/proc", writer).exists():
            staged.unlink(missing_ok=True)


def write_kubeconfig(path: Path, body: JsonObject) -> None:
    """Write a kubeconfig as JSON that every reader of YAML accepts, with any characters in its paths."""
    # YAML has no surrogate pairs, which JSON's escapes consist of, and reads these characters as line breaks.
    text = json.dumps(body, indent=2, ensure_ascii=False)
    for line_break in "\x85\u2028\u2029":
        text = text.replace(line_break, f"\\u{ord(line_break):04x}")
    write_private(path, f"{text}\n".encode())
