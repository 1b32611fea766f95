"""The host's log of the serial consoles: on while a cluster is formed, off for what boots after that."""

from collections.abc import Sequence

from kinky.kube import resources
from kinky.kube.host import HostApi

_UNLOGGED = {"spec": {"template": {"spec": {"domain": {"devices": {"logSerialConsole": False}}}}}}


def stop_console_logs(api: HostApi, nodes: Sequence[str]) -> None:
    """Have the host keep no console of these VMs from their next start on.

    A VM that runs goes on: KubeVirt logs by a container of the launcher pod, which lives as long as the VM instance.
    """
    for node in nodes:
        api.patch(resources.VIRTUAL_MACHINES, node, _UNLOGGED, namespace=api.namespace)
