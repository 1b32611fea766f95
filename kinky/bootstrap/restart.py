"""Restart of one node: its VMI is deleted, and KubeVirt makes a new one from the same VM."""

from kinky.errors import HostError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.progress import phase
from kinky.retry import Pending, wait_until


def delete_vmi(access: HostAccess, node: str) -> str:
    """Delete a node's VMI and return the UID it had."""
    api = HostApi.connect(access)
    vmi = api.fetch_vmi(node)
    if vmi is None:
        raise HostError(
            f"host cluster: there is no VMI {node} in namespace {access.namespace}",
            hint=f"kubectl get vm,vmi -n {access.namespace} shows which there are",
        )
    api.delete(resources.VIRTUAL_MACHINE_INSTANCES, node, namespace=api.namespace)
    return vmi.uid


def wait_vmi_replaced(access: HostAccess, node: str, uid: str, *, limit_seconds: float) -> None:
    """Wait until a node's VMI is another one than that with this UID, and runs."""
    api = HostApi.connect(access)

    def check() -> bool | Pending:
        vmi = api.fetch_vmi(node)
        if vmi is None:
            return Pending("no VMI")
        if vmi.uid == uid:
            return Pending(f"the old VMI is {vmi.phase} still")
        return vmi.phase == "Running" or Pending(f"the new VMI is {vmi.phase}")

    with phase(f"VMI {node} is replaced", limit_seconds=limit_seconds) as running:
        wait_until(
            check,
            what=f"new VMI of {node} runs",
            deadline_seconds=limit_seconds,
            on_change=running.note,
            hint=f"kubectl describe vmi {node} -n {access.namespace}",
        )
