"""`kinky load`: container images for the nodes of a stack's inner cluster, without a registry."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kinky import paths
from kinky.cli import options
from kinky.errors import ConfigError, KinkyError
from kinky.given_paths import resolve_given
from kinky.stacks.file import StackFile, read_stack_file
from kinky.stacks.inner import find_reach

if TYPE_CHECKING:
    from kinky.images.load import NodeImages, Nodes

LIMIT_SECONDS: Final = 600.0
"""For one archive on all nodes; 270 MiB take three container guests 10 s."""
STANDARD_INPUT: Final = "-"
ALL: Final = "all nodes"


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky load`."""
    parser = options.command_parser(
        command,
        description="Put container images into all nodes of a stack. A node whose VM is replaced has lost them.",
    )
    parser.add_argument(
        "archive",
        nargs="*",
        help="an archive of docker save or podman save, or a tar of an OCI layout; - is standard input",
    )
    parser.add_argument("--node", action="append", metavar="NAME", help="only this node; may be given again")
    parser.add_argument(
        "--list", action="store_true", help="list the images, and on which nodes they are; load nothing"
    )
    options.add_json(parser, "with --list, a list of image, digest, nodes, missingOn")
    options.add_stack(parser)
    options.set_run(parser, run_load)
    return parser


def run_load(arguments: argparse.Namespace) -> int:
    """Load each archive into each node, or list what the nodes hold."""
    from kinky.images.archive import read_archive
    from kinky.images.load import fetch_images, load_images

    if arguments.json and not arguments.list:
        raise ConfigError("--json has a meaning only with --list", hint="kinky load --list --json")
    if arguments.list == bool(arguments.archive):
        raise ConfigError("give archives, or --list", hint="kinky load ARCHIVE...; kinky load --list")
    if arguments.list:
        held = fetch_images(_find_nodes(read_stack_file(arguments.stack), arguments.node))
        print(options.to_json(_by_image(held)) if arguments.json else _to_table(held))
        return 0
    with _files(arguments.archive) as files:
        archives = [read_archive(file) for file in files]
        stack_file = read_stack_file(arguments.stack)
        nodes = _find_nodes(stack_file, arguments.node)
        for archive in archives:
            load_images(nodes, archive, limit_seconds=stack_file.config.timeouts.seconds(LIMIT_SECONDS))
    return 0


@contextmanager
def _files(archives: Sequence[str]) -> Iterator[list[Path]]:
    """Yield the archives as files: each node reads its own copy, which standard input has only once."""
    if STANDARD_INPUT not in archives:
        yield [resolve_given(archive) for archive in archives]
        return
    if list(archives).count(STANDARD_INPUT) > 1:
        raise ConfigError("standard input can be read only once", hint="give - once")
    with tempfile.NamedTemporaryFile(prefix="kinky-load-") as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.flush()
        yield [Path(spool.name) if archive == STANDARD_INPUT else resolve_given(archive) for archive in archives]


def _find_nodes(stack_file: StackFile, asked: Sequence[str] | None) -> Nodes:
    """Return the nodes that are asked for, or all.

    Raises:
        KinkyError: There is no such node.
    """
    from kinky.images.load import Nodes
    from kinky.reach.credential import KUBECONFIG_FILE
    from kinky.toolchain import tools

    inner = find_reach(stack_file).inner()
    there = sorted(inner.fetch_nodes())
    unknown = sorted(set(asked or ()) - set(there))
    if unknown:
        raise KinkyError(f"no such node: {', '.join(unknown)}", hint=f"nodes of the cluster: {', '.join(there)}")
    return Nodes(
        config=stack_file.config,
        inner=inner,
        names=list(dict.fromkeys(asked or there)),
        kubectl=tools.tool_path("kubectl"),
        kubeconfig=paths.stack_dir(stack_file.cluster) / KUBECONFIG_FILE,
    )


def _by_image(held: Mapping[str, NodeImages]) -> list[dict[str, object]]:
    """Return each image with the nodes that hold it; two contents under one name are two rows."""
    where: dict[tuple[str, str], list[str]] = {}
    for node, images in held.items():
        for name, digest in images.digests.items():
            where.setdefault((name, digest), []).append(node)
    return [
        {"image": name, "digest": digest, "nodes": nodes, "missingOn": [node for node in held if node not in nodes]}
        for (name, digest), nodes in sorted(where.items())
    ]


def _to_table(held: Mapping[str, NodeImages]) -> str:
    rows = [
        (str(row["image"]), str(row["digest"])[:19], _show_nodes(row["nodes"]) if row["missingOn"] else ALL)
        for row in _by_image(held)
    ]
    return options.to_table([("IMAGE", "DIGEST", "ON"), *rows])


def _show_nodes(nodes: object) -> str:
    return ", ".join(nodes) if isinstance(nodes, list) else ""
