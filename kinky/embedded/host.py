"""The embedded host as its users see it: up, down, status, logs, load. Each can be repeated and interrupted."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kinky.accelerator import Accelerator
from kinky.embedded import (
    accelerator,
    cgroups,
    cluster,
    container_guests,
    kubevirt,
    kubevirt_images,
    machine,
    preflight,
    store,
)
from kinky.embedded.layout import Layout, default_layout
from kinky.embedded.machine import Record
from kinky.errors import CommandError, HostError, KinkyError
from kinky.file_lock import file_lock
from kinky.progress import note, phase

ACCELERATORS = ("auto", Accelerator.KVM, Accelerator.EMULATION)
"""Grounds that `host up` takes for its VMs. Container guests are offered beside them."""
REASON_LINES = 3


@dataclass(frozen=True)
class Status:
    """Facts about the host that need no change of it."""

    running: bool
    api_port: int | None = None
    accelerator: Accelerator = Accelerator.UNKNOWN
    container_guests: str = ""
    """`offered`, or why not."""
    uptime_seconds: int = 0
    memory_mib: int | None = None
    kubevirt: str = ""
    kubeconfig: str = ""
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def up(*, wanted_accelerator: str = "auto") -> None:
    """Bring the host up, or complete a half-started one; returns when KubeVirt can run VMs.

    Raises:
        KinkyError: The machine cannot run it, or a step did not come true in time.
    """
    if wanted_accelerator not in ACCELERATORS:
        raise HostError(f'accelerator "{wanted_accelerator}": must be one of {", ".join(ACCELERATORS)}')
    preflight.check_user()
    place = default_layout()
    with file_lock(place.lock):
        record = machine.running(place)
        if record is None:
            record = machine.start(place)
        else:
            note(f"the embedded host runs already, since {time.strftime('%H:%M', time.localtime(record.started))}")
        _complete(place, record, wanted_accelerator)


def down(*, purge: bool = False) -> None:
    """Stop the host and everything in it; with `purge`, forget its state as well. Caches stay.

    Raises:
        KinkyError: A process or a control group of it could not be removed.
    """
    place = default_layout()
    with file_lock(place.lock):
        with phase("stop the embedded host", limit_seconds=machine.STOP_SECONDS + 15):
            machine.stop(place)
        if purge:
            shutil.rmtree(place.root)


def status() -> Status:
    """Return what is known of the host."""
    place = default_layout()
    record = machine.running(place)
    if record is None:
        return Status(running=False)
    return Status(
        running=True,
        api_port=record.apiPort,
        accelerator=record.accelerator,
        uptime_seconds=int(time.time() - record.started),
        memory_mib=cgroups.memory_mib(place.cgroup),
        container_guests=_container_guests(place),
        kubevirt=_kubevirt_phase(place),
        kubeconfig=str(place.kubeconfig),
        components=_observed(place),
    )


def logs(component: str, *, lines: int = 200) -> str:
    """Return the last lines of a component's log.

    Raises:
        HostError: There is no such component.
    """
    place = default_layout()
    known = sorted(path.stem for path in place.logs.glob("*.log"))
    if component not in known:
        raise HostError(
            f'no log of a component "{component}"',
            hint=f"choose one of {', '.join(known)}" if known else "kinky host up",
        )
    text = place.log(component).read_text(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def load(archive: Path) -> tuple[str, ...]:
    """Import a docker-archive into the running host and return the references in it.

    Raises:
        HostError: The host does not run, or the file is no such archive.
        CommandError: containerd refused it.
    """
    references = store.read_references(archive)
    place = default_layout()
    with file_lock(place.lock):
        record = machine.running(place)
        if record is None:
            raise HostError("embedded host is not running", hint="kinky host up")
        store.import_archive(record, archive, references)
    return references


def _complete(place: Layout, record: Record, wanted: str) -> None:
    """Do everything that a running sandbox may lack; each step is quick when it was done before."""
    bundle = kubevirt_images.ensure_bundle()
    try:
        cluster.wait_for_api(place, still_running=lambda: machine.running(place) is not None)
    except KinkyError as error:
        raise _with_reason(place, error) from error
    cluster.admit_administrators(place)
    # Images first: a pod that finds none falls into a back-off that outlasts the import.
    renewed = store.ensure_imported(record, bundle.archive, bundle.references, marker=place.root / "images-imported")
    # The API tells times in whole seconds.
    since = float(int(record.started))
    cluster.wait_for_node(place, since=since)
    cluster.apply(place, [cluster.build_storage_class()], reason="offer storage")
    # Before the trial of the accelerator: the operator starts meanwhile.
    kubevirt.install(place, renew=renewed)
    verdict = accelerator.decide(place, record, wanted=wanted)
    machine.write_record(place, replace(record, accelerator=verdict.accelerator))
    container_guests.offer(place)
    node_images = store.ensure_node_images(record)
    kubevirt.deploy(place, accelerator=verdict.accelerator, since=since)
    if node_images:
        # Each takes more than a gigabyte. If a VM or a pod names an image, it could not be had again.
        kinds = "virtualmachines,virtualmachineinstances,pods"
        objects = cluster.kubectl(
            place.kubeconfig, "get", kinds, "-A", "-o", "json", reason="see which images are used"
        )
        store.remove_unused_node_images(record, current=node_images, objects=objects)
    note(f"embedded host ready: export KUBECONFIG={place.kubeconfig}")


def _with_reason(place: Layout, error: KinkyError) -> HostError:
    """Return the error with what the supervisor said last, when the sandbox did not come up."""
    last = logs("supervisor", lines=REASON_LINES).splitlines() if place.log("supervisor").is_file() else []
    return HostError(f"embedded host did not come up: {error.message}", details=last, hint="kinky host logs supervisor")


def _observed(place: Layout) -> Mapping[str, Mapping[str, Any]]:
    try:
        return dict(json.loads(place.observed.read_text()))
    except (OSError, ValueError):
        return {}


def _container_guests(place: Layout) -> str:
    try:
        return container_guests.fetch_offer(place) or "unknown"
    except CommandError:
        return "unknown"


def _kubevirt_phase(place: Layout) -> str:
    try:
        found = cluster.fetch(place, "kubevirt", "kubevirt", "-n", kubevirt.NAMESPACE, reason="see KubeVirt's phase")
    except CommandError:
        return "unknown"
    return str((found or {}).get("status", {}).get("phase", "none"))
