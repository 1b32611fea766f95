"""Locations outside the checkout."""

from pathlib import Path

import pytest

from kinky import paths


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KINKY_CACHE_DIR", "KINKY_STATE_DIR", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_directories_of_a_user(home: Path) -> None:
    assert paths.cache_dir() == home / ".cache/kinky"
    assert paths.state_dir() == home / ".local/state/kinky"
    assert paths.tools_dir() == home / ".cache/kinky/tools"
    assert paths.node_image_dir() == home / ".cache/kinky/node-image"
    assert paths.host_kubeconfig() == home / ".local/state/kinky/host/kubeconfig.yaml"
    assert paths.passphrase_file() == home / ".local/state/kinky/passphrase"


def test_the_own_variables_win_over_xdg(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert paths.cache_dir() == home / "xdg/kinky"
    assert paths.state_dir() == home / ".local/state/kinky"
    monkeypatch.setenv("KINKY_CACHE_DIR", str(home / "own"))
    assert paths.cache_dir() == home / "own"


def test_whatever_may_hold_a_key_is_private(home: Path) -> None:
    (home / ".local/state/kinky").mkdir(parents=True, mode=0o755)
    for path in (paths.state_dir(), paths.host_dir(), paths.pulumi_backend_dir(), paths.stack_dir("dev")):
        assert path.is_dir()
        assert mode(path) == 0o700
    assert mode(home / ".local/state/kinky/clusters") == 0o700


def test_the_root_of_the_checkout() -> None:
    assert (paths.project_root() / "kinky" / "paths.py").is_file()
