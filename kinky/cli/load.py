"""`kinky load`: container images for the nodes of a stack's inner cluster, without a registry."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from kinky import paths
from kinky.cli import options
from kinky.cli.inner import find_reach
from kinky.cli.stack_file import read_stack_file
from kinky.errors import KinkyError
from kinky.given_paths import resolve_given

LIMIT_SECONDS: Final = 600.0
"""For one archive on all nodes; 270 MiB take three container guests 10 s."""


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky load`."""
    parser = options.command_parser(
        command,
        description="Put container images into all nodes of a stack. A node whose VM is replaced has lost them.",
    )
    parser.add_argument(
        "archive",
        nargs="+",
        type=resolve_given,
        help="an archive of docker save or podman save, or a tar of an OCI layout",
    )
    parser.add_argument("--node", action="append", metavar="NAME", help="only this node; may be given again")
    options.add_stack(parser)
    options.set_run(parser, run_load)
    return parser


def run_load(arguments: argparse.Namespace) -> int:
    """Load each archive into each node."""
    from kinky.bootstrap.credential import KUBECONFIG_FILE
    from kinky.bootstrap.image_load import Loading, load_images
    from kinky.embedded import toolchain

    for archive in arguments.archive:
        _check_archive(archive)
    stack_file = read_stack_file(arguments.stack)
    inner = find_reach(stack_file).inner()
    there = sorted(inner.fetch_nodes())
    unknown = sorted(set(arguments.node or ()) - set(there))
    if unknown:
        raise KinkyError(f"no such node: {', '.join(unknown)}", hint=f"nodes of the cluster: {', '.join(there)}")
    for archive in arguments.archive:
        loading = Loading(
            config=stack_file.config,
            archive=archive,
            kubectl=toolchain.tool_path("kubectl"),
            kubeconfig=paths.stack_dir(stack_file.cluster) / KUBECONFIG_FILE,
            limit_seconds=stack_file.config.timeouts.seconds(LIMIT_SECONDS),
        )
        load_images(inner, arguments.node or there, loading)
    return 0


def _check_archive(archive: Path) -> None:
    """Refuse what is no tar, before anything is sent; containerd itself reads the rest."""
    import tarfile

    try:
        is_tar = tarfile.is_tarfile(archive)
    except OSError as error:
        raise KinkyError(f"{archive}: {error.strerror}", hint="kinky load ARCHIVE: give a file") from error
    if not is_tar:
        raise KinkyError(f"{archive} is no tar archive", hint="docker save IMAGE --output FILE.tar makes one")
