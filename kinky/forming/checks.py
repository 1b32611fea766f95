"""The single checks that the tables of `forming` are made of; each returns what it found, or Pending."""

from collections.abc import Mapping, Sequence

from kinky import names
from kinky.errors import HostError
from kinky.forming.causes import fetch_causes
from kinky.forming.diagnose import Stage, fetch_console, parse_stages
from kinky.forming.requirements import Clock, Grace, read_clock
from kinky.forming.silent_guests import SilentGuests
from kinky.forming.vm_states import Course, VmWatch, describe_state, find_state
from kinky.kube.host import HostApi
from kinky.kube.records import NodeStatus, VmStatus
from kinky.reach.reach import Reach
from kinky.retry import Pending

STARTED_STAGES = ("kubelet", "readyz", "done")
"""Before the first of these nothing in the guest can listen, so nothing is asked: each try costs the guest time."""
UNLOGGED_SHARE = 2 / 15
"""120 s of a wait of 900 s: the time to boot for a guest without a logged console. After it, its API is asked."""
CAUSES_EVERY_SECONDS = 15.0
"""Reading the causes for one VM takes several calls, and the scheduler tries again only after a longer time."""


class VmCheck:
    """Whether VMs run; gives up early on a state that waiting does not cure."""

    def __init__(
        self, api: HostApi, cluster: str, nodes: Sequence[str], *, limit_seconds: float, clock: Clock = read_clock
    ) -> None:
        """Check the VMs of these nodes; `limit_seconds` is that of the whole wait."""
        self._api = api
        self._cluster = cluster
        self._nodes = tuple(nodes)
        self._clock = clock
        self._watch = VmWatch(limit_seconds=limit_seconds, clock=clock)
        self._causes: dict[str, tuple[str, float, list[str]]] = {}

    def __call__(self) -> str | Pending:
        """Look at all VMs once, with one call, and a few more for each VM in trouble."""
        found = self._api.fetch_vms(names.cluster_selector(self._cluster))
        waiting = [text for node in self._nodes if (text := self._look(node, found.get(node)))]
        return Pending("VMs: " + ", ".join(waiting)) if waiting else f"{len(self._nodes)} running"

    def _look(self, node: str, vm: VmStatus | None) -> str:
        """Describe one VM that does not run yet; empty if it runs. Raises HostError when it will never run."""
        if vm is None:
            return f"{node} absent"
        state, lost = find_state(vm), self._watch.is_lost(vm)
        if state.course is Course.RUNS:
            return ""
        text = describe_state(vm)
        causes = self._fetch_causes(node, vm.printable, now=lost) if state.trouble or lost else []
        if lost:
            raise HostError(f"VM {node}: {text}", details=causes, hint=state.hint)
        return f"{node} {text}" + (f" ({'; '.join(causes)})" if causes else "")

    def _fetch_causes(self, node: str, state: str, *, now: bool) -> list[str]:
        """Read why a VM is in trouble, but not at every look."""
        before, at, causes = self._causes.get(node, ("", 0.0, []))
        if now or before != state or self._clock() - at >= CAUSES_EVERY_SECONDS:
            causes = fetch_causes(self._api, node)
            self._causes[node] = (state, self._clock(), causes)
        return causes


class StageCheck:
    """Whether a guest has come so far that its API server can answer; gives up when its boot has failed."""

    def __init__(self, api: HostApi, nodes: Sequence[str], *, limit_seconds: float, clock: Clock = read_clock) -> None:
        """Check the consoles of these nodes; it is enough if one of them is far enough."""
        self._api = api
        self._nodes = tuple(nodes)
        self._grace = Grace(limit_seconds, clock)
        self._silent = SilentGuests(api, limit_seconds=limit_seconds, clock=clock)
        self._unlogged_seconds = UNLOGGED_SHARE * limit_seconds
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
        if not seen and not logged and self._clock() - self._started >= self._unlogged_seconds:
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
        self,
        reach: Reach,
        nodes: Mapping[str, str],
        *,
        limit_seconds: float,
        clock: Clock = read_clock,
    ) -> None:
        """Check these nodes, given with their S-addresses."""
        self._reach = reach
        self._nodes = dict(nodes)
        self._grace = Grace(limit_seconds, clock)
        self._silent = SilentGuests(reach.host(), limit_seconds=limit_seconds, clock=clock)
        self.found: dict[str, NodeStatus] = {}

    def check_registered(self) -> str | Pending:
        """Look whether each node has registered, with the address that was declared for it."""
        self.found = self._reach.inner().fetch_nodes()
        missing = [name for name in self._nodes if name not in self.found]
        for name in missing:
            stages = parse_stages(fetch_console(self._reach.host(), name))
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
