"""An account with exactly the documented rights on the host, used by a user of this machine who is not root."""

from __future__ import annotations

import base64
import json
import os
import shlex
import signal
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from kinky import paths, process
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.fit.rights import NEEDS, Need
from kinky.manifests.host_namespace import ground_labels
from kinky.manifests.store_reader import RBAC_VERSION
from tests.checkout import copy_checkout
from tests.e2e.person import KINDS, ROOT, Person, wait_for

USER: Final = 65534
"""Nobody: a user who owns nothing and is in no group."""
NAME: Final = "kinky-account"
"""The ServiceAccount, its Role and its namespace, which is not the cluster's."""
TOKEN_LIFE: Final = "3h"
KUBECONFIG: Final = "home/state/host/kubeconfig.yaml"


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user without root in a checkout of their own, with a kubeconfig that holds no more than the token."""

    person: Person
    """Root, who made the account and shares the tools."""
    folder: Path
    config: KinkyConfig
    stack: str

    @property
    def checkout(self) -> Path:
        """The user's own copy, in which Pulumi writes the stack's file."""
        return self.folder / "kinky"

    @property
    def namespace(self) -> str:
        """The namespace of the cluster."""
        return self.config.host.namespace

    def kinky(self, *arguments: str, limit_seconds: float = 300) -> str:
        """Run kinky as the user, on their stack."""
        command = [str(self.checkout / ".venv/bin/kinky"), *arguments, "--stack", self.stack]
        return self.run(command, limit_seconds=limit_seconds)

    def kubectl(self, *arguments: str) -> str:
        """Ask the inner cluster as the user, through the kubeconfig that kinky exports."""
        settings = json.loads(self.kinky("env", "--json"))
        return self.run(["kubectl", *arguments], settings=settings, limit_seconds=120)

    def run(self, command: Sequence[str], *, limit_seconds: float, settings: Mapping[str, str] | None = None) -> str:
        """Run a command as the user, with the user's own environment and nothing of root's."""
        environment = {
            "HOME": str(self.folder / "home"),
            "PATH": os.environ["PATH"],
            "KINKY_STATE_DIR": str(self.folder / "home/state"),
            "KINKY_CACHE_DIR": str(paths.cache_dir()),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.folder / "home/passphrase"),
            # The environment's own kinky is the checkout that it was made in.
            "PYTHONPATH": str(self.checkout),
            **(settings or {}),
        }
        as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"]
        start = [*as_user, "env", "-i", *(f"{name}={value}" for name, value in environment.items()), *command]
        return process.run(
            [*_enter(self.folder), *start],
            reason="test",
            cwd=self.checkout,
            timeout_seconds=limit_seconds,
            # Beside root's own, so that a failed test shows it.
            log=self.person.scratch / "account.log",
        )

    def may(self, verb: str, kind: str) -> bool:
        """Ask the host as root whether the account may do this with roles or their bindings, in its namespace."""
        attributes = {"verb": verb, "resource": kind, "group": "rbac.authorization.k8s.io", "namespace": self.namespace}
        spec = {"user": f"system:serviceaccount:{NAME}:{NAME}", "resourceAttributes": attributes}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        return _kubectl("create", "-f", "-", "--output", "jsonpath={.status.allowed}", body=review) == "true"

    def halt(self, node: str) -> None:
        """Switch a VM off as root, and wait until it is off."""
        here = ("--namespace", self.namespace)
        halted = json.dumps({"spec": {"runStrategy": "Halted"}})
        _kubectl(*here, "patch", "virtualmachine", node, "--type", "merge", "--patch", halted)
        listed = ("get", "virtualmachineinstances", "--output", "name")
        wait_for(f"{node} off", lambda: f"/{node}\n" not in _kubectl(*here, *listed), limit_seconds=300)

    def left_on_host(self) -> set[str]:
        """Return all that is in the cluster's namespace, seen by root."""
        return set(_kubectl("--namespace", self.namespace, "get", KINDS, "--output", "name").split())


@contextmanager
def lend_account(person: Person, *, stack: str, sections: Mapping[str, Any]) -> Iterator[Account]:
    """Make the account and its namespaces on the running host, and a place for the user; all of it goes at the end."""
    with ExitStack() as end:
        folder = Path(end.enter_context(TemporaryDirectory(prefix="kinky-account-", dir="/var/tmp")))
        end.callback(_end_processes, folder)
        kubeconfig = folder / KUBECONFIG
        host = {**sections["host"], "createNamespace": False}
        raw = {**sections, "host": host}
        config = load_config(raw, source="the account's stack")
        document = {"config": {f"kinky:{name}": value for name, value in raw.items()}}
        _fill(folder, stack_file=yaml.safe_dump(document), stack=stack)
        for namespace in (NAME, config.host.namespace):
            _kubectl("create", "namespace", namespace)
            end.callback(_kubectl, "delete", "namespace", namespace, "--wait=false")
        for label, value in ground_labels(config).items():
            _kubectl("label", "namespace", config.host.namespace, f"{label}={value}")
        granted = build_grants(config, server=_read_host()["clusters"][0]["cluster"]["server"])
        end.callback(_kubectl, "delete", "--ignore-not-found", "-f", "-", body=granted)
        _kubectl("apply", "-f", "-", body=granted)
        kubeconfig.parent.mkdir(parents=True)
        kubeconfig.write_text(_write_kubeconfig())
        for path in (folder, *folder.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)
        for private in (KUBECONFIG, "home/passphrase"):
            (folder / private).chmod(0o600)
        folder.chmod(0o755)
        yield Account(person=person, folder=folder, config=config, stack=stack)


def build_grants(cfg: KinkyConfig, *, server: str) -> dict[str, Any]:
    """Return the account with the rights that docs/rights.md lists for this configuration, and no other.

    Args:
        server: URL of the host's API in the account's kubeconfig.
    """
    rules: dict[str | None, list[dict[str, Any]]] = {}
    for need in NEEDS:
        if need.applies(cfg) and need.applies_to(server):
            place = (need.namespace or cfg.host.namespace) if need.resource.namespaced else None
            rules.setdefault(place, []).append(build_rule(need))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": NAME}}
    grants = [grant for place, granted in rules.items() for grant in _grant(granted, place)]
    return {"apiVersion": "v1", "kind": "List", "items": [account, *grants]}


def build_rule(need: Need) -> dict[str, Any]:
    """Return the rule of RBAC for one row of the table."""
    plural, subresource = need.resource.plural, need.subresource
    kind = f"{plural}/{subresource}" if subresource else plural
    rule = {"apiGroups": [need.resource.group], "resources": [kind], "verbs": list(need.verbs)}
    return rule | ({"resourceNames": [need.name]} if need.name else {})


def _grant(rules: list[dict[str, Any]], namespace: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a role and its binding, in a namespace or over the whole host."""
    prefix = "" if namespace else "Cluster"
    metadata = {"name": NAME, **({"namespace": namespace} if namespace else {})}
    role = {"apiVersion": RBAC_VERSION, "kind": f"{prefix}Role", "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": RBAC_VERSION,
        "kind": f"{prefix}RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAME}],
    }
    return role, binding


def _fill(folder: Path, *, stack_file: str, stack: str) -> None:
    """Put the checkout, the stack's file and the passphrase into the user's folder."""
    checkout = folder / "kinky"
    copy_checkout(checkout)
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    (checkout / "stacks" / f"Pulumi.{stack}.yaml").write_text(stack_file)
    (folder / "home").mkdir()
    (folder / "home/passphrase").write_text(token_hex(16) + "\n")


def _write_kubeconfig() -> str:
    """Return the host's kubeconfig with the account's token in the place of root's certificate."""
    token = _kubectl("--namespace", NAME, "create", "token", NAME, f"--duration={TOKEN_LIFE}").strip()
    content = _read_host()
    content["users"] = [{"name": each["name"], "user": {"token": token}} for each in content["users"]]
    for each in content["clusters"]:
        file = each["cluster"].pop("certificate-authority", None)
        if file:
            each["cluster"]["certificate-authority-data"] = base64.b64encode(Path(file).read_bytes()).decode()
    return yaml.safe_dump(content)


def _read_host() -> dict[str, Any]:
    return dict(yaml.safe_load(paths.host_kubeconfig().read_text()))


def _enter(folder: Path) -> list[str]:
    """Return how the user gets to what they share with root: the interpreter, its packages, the tools and images.

    Where these are below a folder that only root may enter, they are shown in a mount namespace of its own, and
    nothing else of that folder.
    """
    shared = [Path(sys.base_prefix), (ROOT / ".venv").resolve(), paths.cache_dir()]
    closed = [each for path in shared for each in path.parents if not each.stat().st_mode & stat.S_IXOTH]
    if not closed:
        return []
    outermost = min(closed, key=lambda each: len(each.parts))
    below = {folder / "stash" / str(number): path for number, path in enumerate(shared) if outermost in path.parents}
    bind = "mkdir -p {1} && mount --bind {0} {1}"
    commands = [
        "set -eu",
        "umask 022",
        *(bind.format(*map(shlex.quote, map(str, (path, kept)))) for kept, path in below.items()),
        f"mount -t tmpfs -o mode=755 kinky-account {shlex.quote(str(outermost))}",
        *(bind.format(*map(shlex.quote, map(str, (kept, path)))) for kept, path in below.items()),
        'exec "$@"',
    ]
    return ["unshare", "--mount", "sh", "-c", "\n".join(commands), "sh"]


def _end_processes(folder: Path) -> None:
    """End what a failed test has left running as the user, such as the forward."""
    mark = f"KINKY_STATE_DIR={folder}/".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.stat().st_uid == USER:
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)


def _kubectl(*arguments: str, body: Mapping[str, Any] | None = None) -> str:
    """Ask the host as root."""
    from kinky.toolchain.tools import tool_path

    command: list[str | Path] = [tool_path("kubectl"), "--kubeconfig", str(paths.host_kubeconfig()), *arguments]
    return process.run(command, reason="test", stdin=json.dumps(body).encode() if body else None, timeout_seconds=60)
