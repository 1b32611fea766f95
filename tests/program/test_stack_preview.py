"""What the bench measures of previews, with a few VMs and in a process of its own, as the bench does it."""

from __future__ import annotations

import sys

from kinky import process
from tests.program.conftest import ROOT


def test_the_program_declares_a_cluster_of_some_size() -> None:
    asked = "from kinky.bench.declaration import measure; print(measure(3))"
    printed = process.run([sys.executable, "-c", asked], reason="measure a preview", cwd=ROOT, timeout_seconds=120)
    assert 0 < float(printed.split()[-1]) < 120
