"""How long `kinky load` takes for three nodes, against one import into the host's own containerd."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from kinky.artefacts.images import Entry, Image, write_archive, write_tar
from kinky.bench import clusters
from kinky.bench.commands import run_kinky
from kinky.bench.samples import summarise
from kinky.embedded import machine, store
from kinky.embedded.layout import default_layout
from kinky.errors import HostError
from kinky.progress import phase
from kinky.stacks.file import StackFile
from kinky.topology.nodes import build_nodes

THREE_NODES: Final = {"workers[0].replicas": "2"}
MIB: Final = 1 << 20
SIZE_MIB: Final = 100
MOST_RUNS: Final = 5
"""A node keeps each image twice, on a disk of 8 GiB that also holds those of the system."""


def measure_loading(stack_file: StackFile, *, runs: int) -> dict[str, Any]:
    """Load new images of 100 MiB into a stack that is made for it; nothing of an image is there before."""
    imported, loaded = [], []
    with clusters.made(stack_file, THREE_NODES) as here:
        for number in range(min(runs, MOST_RUNS)):
            with tempfile.TemporaryDirectory(prefix="kinky-bench-", dir="/var/tmp") as folder:
                reference = f"kinky.internal/bench:{number}"
                archive = write_image(Path(folder), reference, size_mib=SIZE_MIB)
                imported.append(_import(archive, reference))
                with phase("bench: kinky load"):
                    loaded.append(run_kinky(here, "load", str(archive)).seconds)
        nodes = len(build_nodes(here.config))
    once, all_nodes = summarise(imported), summarise(loaded)
    return {
        "imageMib": SIZE_MIB,
        "nodes": nodes,
        "localImportSeconds": once,
        "loadSeconds": all_nodes,
        "ratio": round(all_nodes["median"] / once["median"], 2),
    }


def write_image(folder: Path, reference: str, *, size_mib: int) -> Path:
    """Write an archive with an image of this size that no other one shares a layer with."""
    content, layer, archive = folder / "content", folder / "layer.tar", folder / "image.tar"
    with content.open("wb") as file:
        for _ in range(size_mib):
            file.write(os.urandom(MIB))
    write_tar(layer, [Entry("content", content)])
    write_archive(archive, [Image(reference=reference, layers=(layer,))])
    return archive


def _import(archive: Path, reference: str) -> float:
    record = machine.running(default_layout())
    if record is None:
        raise HostError("the embedded host does not run", hint="kinky host up")
    started = time.monotonic()
    store.import_archive(record, archive, [reference])
    seconds = time.monotonic() - started
    store.ctr(record, "images", "rm", reference, reason="remove the image of the bench")
    return seconds
