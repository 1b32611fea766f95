"""Guests that hang before their first word: replaced, since a node is never repaired.

Under emulation QEMU can lose its way while a guest's kernel sets up its devices (docs/decisions/0009). When it crashes,
KubeVirt starts the guest again; when it hangs, the VM instance runs for ever and only its silent console tells.
"""

from kinky import names
from kinky.forming.requirements import Clock, read_clock
from kinky.kube import resources
from kinky.kube.host import CONSOLE_CONTAINER, LAUNCHER_LABEL, HostApi
from kinky.progress import note

SILENT_SHARE = 1 / 5
"""180 s of a wait of 900 s: a node's kernel prints its first line after 15 s. With a third of the needed processors it
takes 75 s."""
REPLACEMENTS = 2
"""A guest that was silent three times has another trouble, which a fourth boot would only hide."""


class SilentGuests:
    """Watches the logged consoles of nodes that have said nothing yet."""

    def __init__(self, api: HostApi, *, limit_seconds: float, clock: Clock = read_clock) -> None:
        """Start to watch; `limit_seconds` is the limit of the whole wait."""
        self._api = api
        self._silent_seconds = SILENT_SHARE * limit_seconds
        self._clock = clock
        self._since: dict[str, float] = {}
        self._replaced: dict[str, int] = {}

    def watch(self, node: str) -> bool:
        """Replace a node that shows no stage if it is silent for too long; False when its console is not logged."""
        pod = next(iter(self._api.fetch_pods(f"{names.LABEL_NODE}={node},{LAUNCHER_LABEL}")), None)
        if pod is None or CONSOLE_CONTAINER not in pod.containers:
            return False
        if pod.deleting or pod.phase != "Running" or self._api.fetch_log(pod.name, CONSOLE_CONTAINER, tail_lines=1):
            return True
        silent_for = self._clock() - self._since.setdefault(pod.name, self._clock())
        if silent_for >= self._silent_seconds and self._replaced.get(node, 0) < REPLACEMENTS:
            self._replaced[node] = self._replaced.get(node, 0) + 1
            note(f"{node}: no word from the guest for {silent_for:.0f} s; its VM instance is replaced")
            self._api.delete(resources.VIRTUAL_MACHINE_INSTANCES, node, namespace=self._api.namespace)
            del self._since[pod.name]
        return True
