"""A person at the machine's own shell: kinky, pulumi and kubectl as the README says to call them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kinky import names, paths, process, retry
from kinky.accelerator import Accelerator
from kinky.errors import CommandError, WaitError
from kinky.stacks.file import StackFile, read_stack_file
from kinky.stacks.forget import forget
from kinky.topology.nodes import build_nodes

ROOT = paths.project_root()
KINKY = ROOT / ".venv" / "bin" / "kinky"
STACK = os.environ.get("STACK", "dev")
"""The stack that goes through its life in virtual machines, and whose file the others are like."""
EMBEDDED = {"kinky:host": {"embedded": True}}
CONTAINER = {"kinky:host": {"embedded": True, "accelerator": Accelerator.CONTAINER.value}}
THREE_PLANES = {
    "kinky:controlPlane": {"replicas": 3, "memoryMib": 2560},
    "kinky:workers": [{"pool": "worker", "replicas": 1, "memoryMib": 1536}],
}
UP_SECONDS = 1800.0
DESTROY_SECONDS = 600.0
RETURN_SECONDS = 900.0
"""Limits for emulated virtual machines; all others are much faster, and a test that fails waits as long."""
SCAN_SECONDS = 1200.0
"""Four dry runs of Pulumi and the raw disks, on processors that emulate two VMs meanwhile."""
FINISH_SECONDS = 120.0
"""Seconds that Pulumi may take to finish its running steps after the first Ctrl-C; then the person presses it again."""
ALWAYS_THERE = {"serviceaccount/default", "configmap/kube-root-ca.crt"}
"""What Kubernetes itself puts into each namespace."""
KINDS = (
    "virtualmachines,virtualmachineinstances,pods,services,secrets,configmaps,persistentvolumeclaims,"
    "serviceaccounts,roles,rolebindings,networkpolicies"
)
VERBOSE = ("-v=9", "--logtostderr")
"""Options by which Pulumi prints all that it knows."""


@dataclass(frozen=True)
class Person:
    """One stack as its operator handles it."""

    stack: StackFile
    scratch: Path
    settings: dict[str, str] = field(default_factory=dict, compare=False)
    """The shell's, once they are known."""

    def kinky(self, *arguments: str, limit_seconds: float = 120) -> str:
        """Run kinky in a shell without special settings."""
        log = self.scratch / "kinky.log"
        return process.run([KINKY, *arguments], reason="test", timeout_seconds=limit_seconds, log=log)

    def make(self, *arguments: str, limit_seconds: float) -> str:
        """Run a target of make in the checkout."""
        log = self.scratch / "kinky.log"
        return process.run(["make", *arguments], reason="test", cwd=ROOT, timeout_seconds=limit_seconds, log=log)

    def up(self) -> None:
        """Run `kinky up` to its end."""
        self.kinky("up", "--stack", self.stack.stack, limit_seconds=UP_SECONDS * self.patience)

    @contextmanager
    def start(self, log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start a command of kinky in a session of its own; what is left of it is killed at the end."""
        arguments = [str(KINKY), *command, "--stack", self.stack.stack]
        with (
            log.open("ab") as output,
            subprocess.Popen(arguments, stdout=output, stderr=output, start_new_session=True) as running,
        ):
            try:
                yield running
            finally:
                if running.poll() is None:
                    kill_session(running.pid)

    def destroy(self) -> None:
        """Run `kinky destroy` to its end."""
        self.kinky("destroy", "--stack", self.stack.stack, limit_seconds=DESTROY_SECONDS * self.patience)

    def environment(self) -> dict[str, str]:
        """Return what eval "$(kinky env)" sets; asked once in the life of a cluster, as a person does in a shell."""
        if not self.settings.get("KUBECONFIG"):
            self.settings.update(json.loads(self.kinky("env", "--stack", self.stack.stack, "--json")))
        return dict(self.settings)

    def pulumi(self, *arguments: str, limit_seconds: float = 600, log: Path | None = None) -> str:
        """Run plain pulumi in the shell that `kinky env` makes; what it prints is kept in the log, if one is named."""
        command, settings = ["env", "pulumi", *arguments], self.environment()
        return process.run(command, reason="test", env=settings, cwd=ROOT, timeout_seconds=limit_seconds, log=log)

    def kubectl(self, *arguments: str, limit_seconds: float = 60) -> str:
        """Ask the inner cluster, from outside, through the exported kubeconfig."""
        return process.run(
            ["env", "kubectl", *arguments], reason="test", env=self.environment(), timeout_seconds=limit_seconds
        )

    def host(self, *arguments: str) -> str:
        """Ask the host cluster, in the stack's namespace."""
        settings = {"KUBECONFIG": str(paths.host_kubeconfig()), "PATH": self.environment()["PATH"]}
        command = ["env", "kubectl", "--namespace", self.stack.config.host.namespace, *arguments]
        return process.run(command, reason="test", env=settings, timeout_seconds=60)

    def left_on_host(self) -> set[str]:
        """Return what the host namespace holds that Kubernetes did not put there by itself."""
        namespaces = self.host("get", "namespaces", "--output", "name").split()
        if f"namespace/{self.stack.config.host.namespace}" not in namespaces:
            return set()
        found = self.host("get", KINDS, "--output", "name").split()
        return {name for name in found if name not in ALWAYS_THERE}

    def host_secrets(self) -> dict[str, dict[str, str]]:
        """Return the host namespace's Secrets: name to base64 data."""
        listed = json.loads(self.host("get", "secrets", "--output", "json"))["items"]
        return {secret["metadata"]["name"]: secret.get("data") or {} for secret in listed}

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Return the inner cluster's nodes by name."""
        listed = json.loads(self.kubectl("get", "nodes", "--output", "json"))["items"]
        return {node["metadata"]["name"]: node for node in listed}

    def vmi_uid(self, node: str) -> str:
        """Return the identity of a node's running VM instance; empty while there is none."""
        wanted = ("--ignore-not-found", "--output", "jsonpath={.metadata.uid}")
        return self.host("get", "virtualmachineinstance", node, *wanted)

    @property
    def patience(self) -> float:
        """The part of a limit that is enough for this stack: a container guest boots in seconds."""
        return 1 / 3 if self.stack.config.host.asked_accelerator is Accelerator.CONTAINER else 1

    @property
    def worker(self) -> str:
        """The name of a worker."""
        return self._first(names.WORKER)

    @property
    def control_plane(self) -> str:
        """The name of a control plane."""
        return self._first(names.CONTROL_PLANE)

    def replace(self, node: str) -> None:
        """Delete a node's VM instance and wait until its successor is a Ready node that booted again."""
        boot = self.boot_id(node)
        self.delete_instance(node)
        self.wait_booted(node, boot)

    def boot_id(self, node: str) -> str:
        """Return what tells a node's boot from all others."""
        return str(self.nodes()[node]["status"]["nodeInfo"]["bootID"])

    def wait_booted(self, node: str, boot: str) -> None:
        """Wait until a node is Ready after another boot than this one."""

        def returned() -> bool:
            seen = self.nodes()[node]
            return is_ready(seen) and seen["status"]["nodeInfo"]["bootID"] != boot

        limit = RETURN_SECONDS * self.patience
        wait_for(f"node {node} Ready after a new boot", returned, limit_seconds=limit)

    def delete_instance(self, node: str) -> None:
        """Delete a node's VM instance and wait until the host has made another one."""
        instance = self.vmi_uid(node)
        self.host("delete", "virtualmachineinstance", node, "--wait=false")
        wait_for(f"a new VM instance of {node}", lambda: self.vmi_uid(node) not in ("", instance), limit_seconds=300)

    def show_gate(self) -> str:
        """Return what `kinky gate show` prints, whatever its exit code; empty when the inner API is away."""
        return self.ask("gate", "show")

    def open_gate(self) -> None:
        """Have `kinky gate open` prove the secrets store and open the gate."""
        self.kinky("gate", "open", "--stack", self.stack.stack, limit_seconds=600)

    def ask(self, *command: str, limit_seconds: float = 120) -> str:
        """Return what a command of kinky prints about the stack, whatever its exit code."""
        asked: list[str | Path] = ["sh", "-c", '"$@" || true', "sh", KINKY, *command, "--stack", self.stack.stack]
        return process.run(asked, reason="test", timeout_seconds=limit_seconds)

    def launcher(self, node: str) -> str:
        """Return the name of the one pod in which a node's VM runs."""
        selected = ("--selector", f"{names.LABEL_NODE}={node}", "--field-selector", "status.phase=Running")
        (found,) = self.host("get", "pods", *selected, "--output", "name").split()
        return found

    def write_break_glass(self, kubeconfig: Path, *options: str) -> None:
        """Write a kubeconfig with a break-glass certificate; not by `kinky`, which logs what is printed: a key."""
        kubeconfig.touch(mode=0o600)
        ask: list[str | Path] = [KINKY, "kubeconfig", "--stack", self.stack.stack, "--break-glass", "e2e", *options]
        kubeconfig.write_text(process.run(ask, reason="test"))

    def _first(self, role: str) -> str:
        return next(node.name for node in build_nodes(self.stack.config) if node.role == role)

    def interrupt_up(self) -> None:
        """Start `kinky up`, press Ctrl-C when its VMs exist, and wait for its end."""
        command: list[str | Path] = [KINKY, "up", "--stack", self.stack.stack]
        # With the whole environment, as a shell starts it: the passphrase may be there.
        pid = process.spawn_detached(command, log=self.scratch / "interrupted.log", env=os.environ)
        wait_for("the first VM", lambda: self.host("get", "virtualmachines", "--output", "name"), limit_seconds=300)
        for _ in range(2):
            os.kill(pid, signal.SIGINT)
            try:
                wait_for(
                    "the end of up", lambda: not process.is_alive(pid, expect=KINKY.name), limit_seconds=FINISH_SECONDS
                )
            except WaitError:
                continue
            return
        raise AssertionError("up goes on after two interrupts")


def meet(stack: str, scratch: Path) -> Person:
    """Return the person who handles this stack."""
    return Person(stack=read_stack_file(stack), scratch=scratch)


@contextmanager
def borrow(stack: str, *, base: str, scratch: Path, changes: dict[str, Any]) -> Iterator[Person]:
    """Lend the person of a stack of container guests that is else like another one but for these keys.

    Its file and its state go at the end.
    """
    file = ROOT / "stacks" / f"Pulumi.{stack}.yaml"
    content = yaml.safe_load((file.parent / f"Pulumi.{base}.yaml").read_text())
    content["config"] |= {"kinky:cluster": {"name": stack}, **CONTAINER, **changes}
    file.write_text(yaml.safe_dump(content))
    with ExitStack() as end:
        end.callback(file.unlink)
        someone = meet(stack, scratch)
        # What a run that was killed has left; on another host than this one nothing of it can be destroyed.
        with suppress(CommandError):
            someone.destroy()
        forget(someone.stack)
        # What a failed test leaves goes with its host, and `down` finds no file that names the stack.
        end.callback(forget, someone.stack)
        yield someone


def wait_for(what: str, check: Callable[[], Any], *, limit_seconds: float) -> None:
    """Wait until the check returns something true; a failing command counts as not yet."""

    def attempt() -> Any:
        return check() or retry.Pending("not yet")

    retry.wait_until(attempt, what=what, deadline_seconds=limit_seconds, every_seconds=1, tolerate=(CommandError,))


def kill_session(session: int) -> None:
    """End all processes of a session with SIGKILL, also those that Pulumi put into groups of their own."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(ProcessLookupError):
                if os.getsid(int(entry.name)) == session:
                    os.kill(int(entry.name), signal.SIGKILL)


def is_ready(node: dict[str, Any]) -> bool:
    """Tell whether a Node object says Ready."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"]["conditions"])
