"""Chromium without a screen: what it makes of a page, and a picture of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or os.environ.get("KINKY_TEST_CHROMIUM", "")
LIMIT_SECONDS = 120.0
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--v=0")

needed = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make browser, or KINKY_TEST_CHROMIUM")


def show(page: Path, picture: Path, *, size: str = "1100,1900") -> str:
    """Load a page, keep a picture of it, and return its document as the browser built it.

    Args:
        page: An HTML file.
        picture: A PNG file; `KINKY_TEST_SCREENSHOTS` names another folder for it, which stays.
        size: Width and height of the window in pixels.
    """
    kept = Path(os.environ.get("KINKY_TEST_SCREENSHOTS", str(picture.parent))) / picture.name
    shown = _run(page, "--dump-dom", size=size)
    drawn = _run(page, f"--screenshot={kept}", size=size)
    assert "CONSOLE" not in shown.stderr + drawn.stderr
    assert kept.stat().st_size > 10_000
    return shown.stdout


def _run(page: Path, action: str, *, size: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as profile:
        command = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", f"--window-size={size}", action, page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
