"""The single checks that the tables of `forming` are made of; each returns what it found, or Pending."""

import time
from collections.abc import Mapping, Sequence

from kinky import names
from kinky.bootstrap.diagnose import Stage, fetch_console, parse_stages
from kinky.bootstrap.requirements import FATAL_VM_STATES, Clock, Grace
from kinky.bootstrap.silent_guests import SilentGuests
from kinky.errors import HostError
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.kube.records import NodeStatus
from kinky.retry import Pending

STARTED_STAGES = ("kubelet", "readyz", "done")
"""Before the first of these nothing in the guest can listen, so nothing is asked: each try costs the guest time."""
UNLOGGED_SECONDS = 120.0
"""A guest whose console is not logged gets this time to boot; then its API is asked blindly."""


class VmCheck:
    """Whether VMs run; gives up early on a state that waiting does not cure."""

    def __init__(self, api: HostApi, cluster: str, nodes: Sequence[str], *, clock: Clock = time.monotonic) -> None:
        """Check the VMs of these nodes."""
        self._api = api
        self._cluster = cluster
        self._nodes = tuple(nodes)
        self._grace = Grace(clock)

    def __call__(self) -> str | Pending:
        """Look at all VMs once, with one call."""
        found = self._api.fetch_vms(names.cluster_selector(self._cluster))
        waiting = []
        for node in self._nodes:
            vm = found.get(node)
            if vm is not None and vm.printable == "Running":
                self._grace.clear(node)
                continue
            state = "absent" if vm is None else vm.printable
            waiting.append(f"{node} {state}")
            failed = vm is not None and (vm.printable in FATAL_VM_STATES or bool(vm.failure))
            if failed and self._grace.is_over(node, state):
                failure = f": {vm.failure}" if vm and vm.failure else ""
                raise HostError(f"VM {node}: {state}{failure}", hint=FATAL_VM_STATES.get(state, ""))
        return Pending("VMs: " + ", ".join(waiting)) if waiting else f"{len(self._nodes)} running"


class StageCheck:
    """Whether a guest has come so far that its API server can answer; gives up when its boot has failed."""

    def __init__(self, api: HostApi, nodes: Sequence[str], *, clock: Clock = time.monotonic) -> None:
        """Check the consoles of these nodes; one that is far enough is enough."""
        self._api = api
        self._nodes = tuple(nodes)
        self._grace = Grace(clock)
        self._silent = SilentGuests(api, clock=clock)
        self._clock = clock
        self._started = clock()

    def __call__(self) -> str | Pending:
        """Read each console once."""
        seen: list[str] = []
        logged = False
        for node in self._nodes:
            stages = parse_stages(fetch_console(self._api, node))
            if not stages:
                logged = self._silent.watch(node) or logged
                continue
            last = stages[-1]
            refuse_failed_stage(node, last, self._grace)
            if not last.failed and last.name in STARTED_STAGES:
                return f"{node} has reached {last.name}"
            seen.append(f"{node} {last.name}")
        if not seen and not logged and self._clock() - self._started >= UNLOGGED_SECONDS:
            return "the console is not logged"
        return Pending("guests: " + (", ".join(seen) or "booting"))


def refuse_failed_stage(node: str, stage: Stage, grace: Grace) -> None:
    """Give up on a guest whose last word is a failed stage, once that has lasted."""
    if stage.failed and grace.is_over(node, stage.name):
        raise HostError(
            f"{node}: the guest failed in stage {stage.name}: {stage.text}".rstrip(": "),
            hint=f"see its console with virtctl console {node}; after a fix delete its VMI to boot it again",
        )
    if not stage.failed:
        grace.clear(node)


class NodesCheck:
    """Whether all declared nodes are registered under their S-address and Ready."""

    def __init__(
        self, host: HostApi, inner: InnerApi, nodes: Mapping[str, str], *, clock: Clock = time.monotonic
    ) -> None:
        """Check these nodes, given with their S-addresses."""
        self._host = host
        self._inner = inner
        self._nodes = dict(nodes)
        self._grace = Grace(clock)
        self._silent = SilentGuests(host, clock=clock)
        self.found: dict[str, NodeStatus] = {}

    def check_registered(self) -> str | Pending:
        """Look whether each node has registered, with the address that was declared for it."""
        self.found = self._inner.fetch_nodes()
        missing = [name for name in self._nodes if name not in self.found]
        for name in missing:
            stages = parse_stages(fetch_console(self._host, name))
            if stages:
                refuse_failed_stage(name, stages[-1], self._grace)
            else:
                self._silent.watch(name)
        for name, address in self._nodes.items():
            seen = self.found[name].internal_ip if name in self.found else address
            if seen != address and self._grace.is_over(name, "address"):
                raise HostError(
                    f"node {name} registered with InternalIP {seen or 'none'}, declared is {address}",
                    hint="the VM has user-data of another cluster: delete its VMI, or pulumi destroy and up",
                )
        return Pending(f"not registered: {', '.join(missing)}") if missing else f"{len(self._nodes)} registered"

    def check_ready(self) -> str | Pending:
        """Look whether each node is Ready."""
        pending = self.check_registered()
        if isinstance(pending, Pending):
            return pending
        waiting = [self.found[name] for name in self._nodes if not self.found[name].ready]
        if waiting:
            return Pending("; ".join(f"{node.name} not Ready: {_shorten(node.reason)}" for node in waiting))
        return f"{len(self._nodes)} Ready"


def _shorten(text: str, limit: int = 160) -> str:
    """Shorten a kubelet's message, which repeats itself in nested forms."""
    return text if len(text) <= limit else f"{text[:limit]}..."
