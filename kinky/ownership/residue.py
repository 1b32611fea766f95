"""Objects of a cluster that are left on the host after its end, found by their label."""

from collections.abc import Sequence
from dataclasses import dataclass

from kinky import names
from kinky.errors import InterruptedWaitError, WaitError
from kinky.kube import resources
from kinky.kube.connection import UnavailableError
from kinky.kube.host import HostApi
from kinky.ownership.record import forget_identity
from kinky.progress import phase
from kinky.reach.credential import forget_credentials
from kinky.reach.forward import stop_forward
from kinky.retry import Pending, wait_until

KINDS = (
    resources.VIRTUAL_MACHINES,
    resources.VIRTUAL_MACHINE_INSTANCES,
    resources.PODS,
    resources.SERVICES,
    resources.ENDPOINT_SLICES,
    resources.SECRETS,
    resources.CONFIG_MAPS,
    resources.PVCS,
    resources.SERVICE_ACCOUNTS,
    resources.ROLE_BINDINGS,
    resources.ROLES,
    resources.NETWORK_POLICIES,
    resources.POD_DISRUPTION_BUDGETS,
)
_SHOWN = 8


@dataclass(frozen=True)
class Residue:
    """One object that is still there."""

    kind: str
    name: str
    finalizers: tuple[str, ...] = ()
    """The finalizers of an object that is being deleted."""

    def __str__(self) -> str:
        """Show kind and name as kubectl writes them."""
        held = f" (held by {', '.join(self.finalizers)})" if self.finalizers else ""
        return f"{self.kind}/{self.name}{held}"


def wait_residue_gone(api: HostApi, *, limit_seconds: float, ignore: Sequence[str] = ()) -> None:
    """Wait until the host holds nothing for the cluster; raises WaitError naming each object left."""
    cluster = api.access.cluster
    left: tuple[Residue, ...] = ()

    def check() -> bool | Pending:
        nonlocal left
        left = _fetch(api, cluster, ignore)
        if not left:
            return True
        shown = ", ".join(str(item) for item in left[:_SHOWN])
        return Pending(f"{len(left)} left: {shown}" + (", ..." if len(left) > _SHOWN else ""))

    with phase(f"nothing of {cluster} is left on the host", limit_seconds=limit_seconds) as running:
        try:
            wait_until(
                check,
                what="teardown",
                deadline_seconds=limit_seconds,
                every_seconds=1.0,
                on_change=running.note,
                tolerate=(UnavailableError,),
            )
        except InterruptedWaitError:
            raise
        except WaitError:
            if not left:
                # The host did not answer at all.
                raise
            raise WaitError(
                f"inner cluster {cluster}: {len(left)} objects are left in namespace {api.namespace}"
                f" after {limit_seconds:.0f} s",
                details=[str(item) for item in left],
                hint=f"kubectl describe them; all have the label {names.LABEL_CLUSTER}={cluster}",
            ) from None


def remove_local_state(cluster: str) -> None:
    """End the cluster's forward and remove its files with credentials from this machine."""
    stop_forward(cluster)
    forget_credentials(cluster)
    forget_identity(cluster)


def _fetch(api: HostApi, cluster: str, ignore: Sequence[str]) -> tuple[Residue, ...]:
    """List all kinds once. Launcher pods carry the label too: the VM template gives it to them."""
    found: list[Residue] = []
    for kind in KINDS:
        for body in api.fetch_all_here(kind, selector=f"{names.LABEL_CLUSTER}={cluster}"):
            metadata = body["metadata"]
            deleting = metadata.get("deletionTimestamp") is not None
            finalizers = tuple(metadata.get("finalizers") or ()) if deleting else ()
            found.append(Residue(kind.kind, str(metadata["name"]), finalizers))
    return tuple(item for item in found if f"{item.kind}/{item.name}" not in ignore)
