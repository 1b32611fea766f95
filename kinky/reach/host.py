"""Which host a stack means: one kubeconfig, one context of it, one namespace."""

from __future__ import annotations

import os
from dataclasses import replace

from kinky import paths
from kinky.config.model import KinkyConfig
from kinky.errors import HostError
from kinky.given_paths import resolve_given
from kinky.kube.access import HostAccess, resolve_access
from kinky.kube.host_kubeconfig import read_host_kubeconfig


def find_host(config: KinkyConfig) -> HostAccess:
    """Find the host's kubeconfig; raises HostError if there is not exactly one file."""
    kubeconfig = config.host.kubeconfig and str(resolve_given(config.host.kubeconfig, base=paths.project_root()))
    if config.host.embedded:
        kubeconfig = str(paths.host_kubeconfig())
        # Nothing in the stack file would help: this file appears when the host starts.
        if not paths.host_kubeconfig().is_file():
            raise HostError(f"the embedded host was not started: there is no {kubeconfig}", hint="kinky host up")
    access = resolve_access(
        kubeconfig=kubeconfig,
        context=config.host.context,
        namespace=config.host.namespace,
        cluster=config.cluster.name,
    )
    if os.pathsep in access.kubeconfig:
        raise HostError(
            f"host cluster: KUBECONFIG names several files: {access.kubeconfig}",
            hint="name the one with the host in host.kubeconfig of the stack file",
        )
    # By its name: another current context must not lead a later destroy or refresh to another host.
    return replace(access, context=read_host_kubeconfig(access).context)
