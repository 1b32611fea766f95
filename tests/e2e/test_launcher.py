"""The launcher of container guests has unit tests of its own, in Go; they need what the host is built with."""

from __future__ import annotations

import pytest

from kinky import process
from kinky.toolchain import gobuild
from kinky.toolchain.tools import go_path, load_tools

pytestmark = pytest.mark.host

PACKAGES = ("guest", "domain")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_launchers_own_tests_pass(package: str) -> None:
    tool = load_tools()["container-launcher"]
    # With the flags of the build, so that what it has compiled is used again.
    said = process.run(
        [go_path(), "test", *gobuild.FLAGS, "-vet=off", "-count=1", "-v", f"./{package}"],
        reason="test the launcher",
        cwd=tool.directory,
        env=gobuild.build_environment(tool),
        timeout_seconds=900,
    )
    assert "--- PASS" in said and "--- SKIP" not in said
