"""The suite and the programs of its images, for the default release only; the first build takes minutes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kinky.releases import default_release
from kinky.toolchain.tools import Tool, ensure_tool, load_tools, module_path

DIRECTORY: Final = Path(__file__).parent / "suite"
IMAGES: Final = "k8s.io/kubernetes/test/images"
PROGRAMS: Final = {
    "ginkgo": "github.com/onsi/ginkgo/v2/ginkgo",
    "agnhost": f"{IMAGES}/agnhost",
    "nnp": f"{IMAGES}/nonewprivs",
    "regression-issue-74839": f"{IMAGES}/regression-issue-74839",
    "sample-apiserver": "k8s.io/sample-apiserver",
}


@dataclass(frozen=True)
class Programs:
    """Where everything is."""

    suite: Path
    ginkgo: Path
    folder: Path
    """Of the programs that the images hold."""
    sources: Path
    """Of the images, which hold pictures and pages too."""


def ensure_programs() -> Programs:
    """Return the programs, built first if need be.

    Raises:
        CommandError: The compiler failed.
    """
    folder = ensure_tool(_describe("conformance-programs", PROGRAMS, tests=False))
    suite = ensure_tool(_describe("conformance-suite", {"e2e.test": "k8s.io/kubernetes/test/e2e"}, tests=True))
    sources = module_path("kubernetes") / "test" / "images"
    return Programs(suite=suite / "e2e.test", ginkgo=folder / "ginkgo", folder=folder, sources=sources)


def _describe(name: str, programs: dict[str, str], *, tests: bool) -> Tool:
    # The suite compares its own version with the cluster's. The linker writes it, as in the release's programs.
    ldflags = load_tools()["kubernetes"].ldflags
    return Tool(
        name=name,
        version=default_release().kubernetes_version,
        directory=DIRECTORY,
        programs=programs,
        ldflags=ldflags,
        tests=tests,
    )
