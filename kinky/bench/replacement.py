"""How long a node is away when its VM instance was deleted."""

from __future__ import annotations

from typing import Final

from kinky.bench.clock import timed
from kinky.errors import HostError, KinkyError
from kinky.kube import resources
from kinky.reach.reach import Reach
from kinky.retry import Pending, wait_until
from kinky.stacks.file import StackFile
from kinky.stacks.inner import find_reach

LIMIT_SECONDS: Final = 600.0
"""Many times what it takes, because other work on the machine must spoil the figure and not the bench."""
EVERY_SECONDS: Final = 0.5


def measure_replacement(stack_file: StackFile, node: str) -> float:
    """Delete a node's VM instance; return the seconds until a new one is Ready, and the node after a new boot.

    Raises:
        KinkyError: There is no such node, or it did not come back in time.
    """
    reach = find_reach(stack_file)
    host = reach.host()
    instance, before = host.fetch_vmi(node), reach.inner().fetch_nodes().get(node)
    if instance is None or before is None:
        raise KinkyError(f"node {node} cannot be replaced: it has no {'node' if instance else 'VM instance'}")
    old_instance, old_boot = instance.uid, before.boot_id

    def replace() -> None:
        host.delete(resources.VIRTUAL_MACHINE_INSTANCES, node, namespace=host.namespace, uid=old_instance)
        wait_until(
            lambda: look(reach, node, old_instance=old_instance, old_boot=old_boot),
            what=f"{node} is back",
            deadline_seconds=LIMIT_SECONDS,
            every_seconds=EVERY_SECONDS,
            # With its only control plane the inner API is away too.
            tolerate=(HostError,),
        )

    return timed(f"bench: VM instance of {node} deleted", replace)


def look(reach: Reach, node: str, *, old_instance: str, old_boot: str) -> bool | Pending:
    """Tell whether a node runs in another instance than before: its API server answers, and its kubelet says Ready."""
    instance = reach.host().fetch_vmi(node)
    if instance is None or instance.uid == old_instance:
        return Pending("no new VM instance")
    if not instance.ready:
        return Pending(f"VM instance {instance.phase}, not Ready")
    found = reach.inner().fetch_nodes().get(node)
    if found is None or found.boot_id in ("", old_boot):
        return Pending("the inner API shows the old boot")
    return found.ready or Pending(f"not Ready: {found.reason}")
