"""`kinky image`: the node image that all nodes boot from."""

from __future__ import annotations

import argparse
import dataclasses

from kinky.cli import options
from kinky.given_paths import resolve_given


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky image`."""
    parser = options.command_parser(command, description="The node image: one immutable disk for all nodes.")
    actions = parser.add_subparsers(required=True, metavar="ACTION", parser_class=argparse.ArgumentParser)
    build = actions.add_parser("build", help="build it; nothing to do when its inputs did not change. Needs root.")
    build.add_argument(
        "--add",
        type=resolve_given,
        metavar="DIR",
        help="put the files of this folder, laid out as below /, into it as well",
    )
    options.set_run(build, run_build)
    show = actions.add_parser("show", help="print what was built last")
    options.add_json(show)
    options.set_run(show, run_show)
    return parser


def run_build(arguments: argparse.Namespace) -> int:
    """Build the image and print its reference."""
    from kinky.embedded.toolchain import module_path, tool_path
    from kinky.nodeimage.build import build_node_image

    print(build_node_image(tool_path, modules=module_path, added=arguments.add).reference)
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print the record of the current image."""
    from kinky.nodeimage.build import current_node_image

    image = current_node_image()
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
