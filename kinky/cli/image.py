"""`kinky image`: the node images, one for each release; all nodes of a cluster boot from one."""

from __future__ import annotations

import argparse
import dataclasses
from functools import partial
from pathlib import Path
from typing import Final

from kinky.cli import options
from kinky.errors import ConfigError
from kinky.given_paths import resolve_given
from kinky.progress import phase

REFERENCE: Final = "its reference"
"""The one line that several commands print."""


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky image`."""
    parser = options.command_parser(
        command, description="The node image: one immutable disk for all nodes of a release of Kubernetes."
    )
    actions = options.add_actions(parser)
    build = options.add_action(actions, "build", "build it, if its inputs did change; needs root")
    build.add_argument(
        "--add",
        type=resolve_given,
        metavar="DIR",
        help="also put the files of this folder into it, with the layout of /",
    )
    options.add_release(build, what="the release of Kubernetes that it is for")
    options.set_run(build, run_build, prints=REFERENCE)
    show = options.add_action(actions, "show", "print what was built last for a release")
    options.add_release(show, what="the release of Kubernetes that it is for")
    options.add_json(show, "reference, kubernetes_version, content_hash, images, directory, archive, disk")
    options.set_run(show, run_show)
    add = options.add_action(actions, "add", "add an image that was built elsewhere, or has another name in a registry")
    add.add_argument(
        "archive", type=resolve_given, metavar="ARCHIVE", help="archive of the image, as docker save writes it"
    )
    add.add_argument(
        "--reference", metavar="REF", help="the name in image.reference of a stack file (default: those in the archive)"
    )
    options.set_run(add, run_add, prints="its references, one on each line")
    push = options.add_action(actions, "push", "put it into a registry, with its record; needs no root")
    push.add_argument("reference", metavar="REFERENCE", help="its name there, for image.reference of stack files")
    push.add_argument(
        "--archive", type=resolve_given, metavar="ARCHIVE", help="another archive than that of what was built last"
    )
    options.add_release(push, what="the release of Kubernetes that it is for")
    options.set_run(push, run_push, prints="its reference with the digest")
    pull = options.add_action(actions, "pull", "keep the record of an image in a registry, for use without it")
    pull.add_argument("reference", metavar="REFERENCE", help="the name in image.reference of a stack file")
    options.set_run(pull, run_pull, prints=REFERENCE)
    known = options.add_action(actions, "list", "print the references that this machine knows")
    options.add_json(known, "a list of reference, kubernetes, contentHash")
    options.set_run(known, run_list)
    return parser


def run_build(arguments: argparse.Namespace) -> int:
    """Build the image and print its reference."""
    from kinky.nodeimage.build import build_node_image
    from kinky.releases import find_release
    from kinky.toolchain.tools import module_path, tool_path

    release = find_release(arguments.release)
    image = build_node_image(
        release,
        tools=partial(tool_path, release=release),
        modules=partial(module_path, release=release),
        added=arguments.add,
    )
    print(image.reference)
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print the record of a release's current image."""
    from kinky.nodeimage.build import current_node_image
    from kinky.releases import find_release

    image = current_node_image(find_release(arguments.release))
    if arguments.json:
        # The paths are properties, which asdict leaves out.
        print(options.to_json({**dataclasses.asdict(image), "archive": image.archive, "disk": image.disk}))
        return 0
    rows = [
        ("reference", image.reference),
        ("kubernetes", image.kubernetes_version),
        ("content hash", image.content_hash),
        ("archive", str(image.archive)),
        ("disk", str(image.disk)),
        *(("holds", name) for name in image.images),
    ]
    print(options.to_table(rows))
    return 0


def run_add(arguments: argparse.Namespace) -> int:
    """Record the image of an archive and print its references."""
    from kinky.nodeimage.index import add_archive

    reference = None if arguments.reference is None else _check_reference(arguments.reference)
    print("\n".join(add_archive(arguments.archive, reference=reference)))
    return 0


def run_push(arguments: argparse.Namespace) -> int:
    """Push the image of an archive and print its reference with the digest."""
    from kinky.artefacts.registry import PUSH_SECONDS, push
    from kinky.nodeimage.build import current_node_image
    from kinky.nodeimage.index import read_archive
    from kinky.releases import find_release

    reference = _check_reference(arguments.reference)
    archive = arguments.archive or current_node_image(find_release(arguments.release)).archive
    # Without its record nobody could use the image.
    read_archive(archive)
    crane = _find_crane()
    with phase(f"push to {reference}", limit_seconds=PUSH_SECONDS):
        pushed = push(archive, reference, crane=crane)
    print(pushed)
    return 0


def run_pull(arguments: argparse.Namespace) -> int:
    """Store the record of an image in a registry and print the reference."""
    from kinky.artefacts.registry import read_small_layers
    from kinky.nodeimage.index import read_layers, save_record

    reference = _check_reference(arguments.reference)
    save_record(reference, read_layers(reference, read_small_layers(reference, crane=_find_crane())))
    print(reference)
    return 0


def _find_crane() -> Path:
    """Return the crane on PATH, of any version, else our own, made first if need be."""
    from kinky.toolchain.tools import find_program, tool_path

    return find_program("crane") or tool_path("crane")


def _check_reference(reference: str) -> str:
    """Return a reference that names its registry."""
    from kinky.config.values import IMAGE

    if not IMAGE.fullmatch(reference):
        raise ConfigError(
            f"{reference}: not a reference of an image with its registry", hint="such as registry.example/kinky/node:v1"
        )
    return reference


def run_list(arguments: argparse.Namespace) -> int:
    """Print the images that a stack file may name."""
    from kinky.nodeimage.index import list_records

    rows = [
        {"reference": reference, "kubernetes": record.kubernetes_version, "contentHash": record.content_hash}
        for reference, record in list_records().items()
    ]
    if arguments.json:
        print(options.to_json(rows))
    elif rows:
        print(options.to_table([tuple(row.values()) for row in rows]))
    return 0
