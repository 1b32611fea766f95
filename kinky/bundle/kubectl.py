"""kubectl for both clusters of a target, with rights and checks as KinKy has them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kinky import names, process
from kinky.status.target import Target
from kinky.toolchain import tools

Kubectl = Callable[..., str]
"""Runs kubectl with these arguments and returns what it printed; raises CommandError."""
LIMIT_SECONDS: Final = 30.0
PATIENCE: Final = "--request-timeout=10s"


def host_kubectl(target: Target) -> Kubectl:
    """Return kubectl in the cluster's namespace on the host."""
    access = target.host.access
    context = ["--context", access.context] if access.context else []
    options = [*context, "--namespace", access.namespace]
    return _bind(options, kubeconfig=access.kubeconfig, reason=f"describe {target.cluster} on its host")


def inner_kubectl(target: Target) -> Kubectl:
    """Return kubectl in the inner cluster, also before `up` has written its kubeconfig."""

    def ask(*arguments: str) -> str:
        # At each call: it heals the forward, and a credential lives for an hour.
        target.reach.inner()
        options = [
            *("--server", target.reach.server),
            *("--tls-server-name", names.endpoint_host(target.cluster)),
            *("--certificate-authority", str(target.ca_file)),
            *("--client-certificate", str(target.client_file)),
            *("--client-key", str(target.client_file)),
        ]
        reason = f"describe inner cluster {target.cluster}"
        return _bind(options, kubeconfig=os.devnull, reason=reason)(*arguments)

    return ask


def _bind(options: list[str], *, kubeconfig: str, reason: str) -> Kubectl:
    def ask(*arguments: str) -> str:
        command: list[str | Path] = [tools.tool_path("kubectl"), PATIENCE, *options, *arguments]
        return process.run(command, reason=reason, env={"KUBECONFIG": kubeconfig}, timeout_seconds=LIMIT_SECONDS)

    return ask
