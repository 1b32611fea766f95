"""`kinky generate`: files that are derived from models, rights and commands, and kept in the repository."""

from __future__ import annotations

import argparse
from pathlib import Path

from kinky import paths
from kinky.cli import options
from kinky.errors import KinkyError
from kinky.progress import note


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of `kinky generate`."""
    parser = options.command_parser(
        command,
        description="Write Pulumi.yaml, the schemas, and the pages of docs that come from models, rights and commands.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not up to date")
    options.set_run(parser, run_generate)
    return parser


def run_generate(arguments: argparse.Namespace) -> int:
    """Write or check the generated files."""
    stale = [path for path, text in build_files().items() if not path.is_file() or path.read_text() != text]
    names = [str(path.relative_to(paths.project_root())) for path in stale]
    if arguments.check and stale:
        raise KinkyError(f"generated files are not up to date: {', '.join(names)}", hint="kinky generate")
    for path, name in zip(stale, names, strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(build_files()[path])
        note(f"written: {name}")
    return 0


def build_files() -> dict[Path, str]:
    """Return the generated files: path and text."""
    from kinky.cli import leaves
    from kinky.config import schema
    from kinky.fit.rights import render_rights
    from kinky.status import document

    root = paths.project_root()
    return {
        root / "Pulumi.yaml": schema.project_text(),
        root / "stacks" / "schema.json": schema.schema_text(),
        root / document.SCHEMA_FILE: document.render_schema(),
        root / "docs" / "commands.md": leaves.render_page(),
        root / "docs" / "configuration.md": schema.documentation_text(),
        root / "docs" / "rights.md": render_rights(),
    }
