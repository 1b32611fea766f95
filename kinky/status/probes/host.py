"""The host: whether its API answers, and whether each declared VM runs."""

from __future__ import annotations

from typing import Final

from kinky import names
from kinky.errors import KinkyError
from kinky.forming.vm_states import Course, describe_state, find_state
from kinky.kube.connection import ApiError
from kinky.status.judgement import HOST
from kinky.status.observation import Observation, Watch, is_blind
from kinky.status.target import Target

CAPABILITY: Final = HOST


def look(target: Target) -> list[Observation]:
    """Look at the VMs of the cluster; a host that does not answer is UNKNOWN, as users may still be served."""
    watch = Watch(CAPABILITY, "API of the host")
    try:
        target.host.require_host()
    except KinkyError as error:
        if is_blind(error) or isinstance(error, ApiError):
            return [watch.blind(error)]
        told = "; ".join([f"not the cluster declared: {error.message}", *error.details])
        return [watch.bad("not-this-cluster", told, hint=error.hint or "")]
    try:
        found = target.host.fetch_vms(names.cluster_selector(target.cluster))
    except KinkyError as error:
        return [watch.blind(error)]
    seen = []
    for node in target.nodes:
        vm = found.get(node.name)
        hint = f"kinky why {node.name} --stack {target.stack}"
        each = Watch(CAPABILITY, node.name)
        if vm is None:
            hint = f"kinky up --stack {target.stack}"
            seen.append(each.bad("no-vm", f"{node.name}: there is no VM", hint=hint))
        elif find_state(vm).course is not Course.RUNS:
            seen.append(each.bad("vm-not-running", f"{node.name}: VM {describe_state(vm)}", hint=hint))
        elif not vm.ready:
            seen.append(each.warn("vm-not-ready", f"{node.name}: its VM runs and is not Ready", hint=hint))
    return seen or [watch.good(f"{len(target.nodes)} of {len(target.nodes)} VMs run")]
