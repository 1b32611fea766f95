"""The version of KinKy, as the changelog says it; the wheel takes it from there too."""

from __future__ import annotations

from kinky import paths


def find_version() -> str:
    """Return the first version that CHANGELOG.md names, which is where releases are written down."""
    lines = (paths.data_root() / "CHANGELOG.md").read_text().splitlines()
    return next((line.removeprefix("## ").split()[0] for line in lines if line.startswith("## ")), "unknown")
