"""Which kubeconfig is the host's."""

from pathlib import Path

import pytest

from kinky.config.load import load_config
from kinky.errors import HostError
from kinky.kube.access import resolve_access
from kinky.reach.host import find_host
from tests.unit.documents import PLAIN_KUBECONFIG


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return path


def resolve(kubeconfig: str | None = None) -> str:
    return resolve_access(kubeconfig=kubeconfig, context=None, namespace="ns", cluster="dev").kubeconfig


def test_named_file_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(make(home / "other")))
    assert resolve(str(make(home / "named"))) == str(home / "named")


def test_named_file_that_is_missing_is_an_error(home: Path) -> None:
    make(home / ".kube" / "config")
    with pytest.raises(HostError, match=r"host\.kubeconfig names a file that does not exist"):
        resolve(str(home / "absent"))


def test_several_files_of_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make(home / "one"), make(home / "two")
    monkeypatch.setenv("KUBECONFIG", f"{one}:{home / 'absent'}:{two}")
    assert resolve() == f"{one}:{two}"


def test_kubeconfig_of_an_inner_cluster_is_not_the_host(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = make(home / "state" / "clusters" / "dev" / "kubeconfig.yaml")
    monkeypatch.setenv("KUBECONFIG", str(inner))
    default = make(home / ".kube" / "config")
    assert resolve() == str(default)


def test_nothing_found_names_where_it_looked(home: Path) -> None:
    with pytest.raises(HostError, match="no kubeconfig found") as caught:
        resolve()
    assert "kinky host up" in str(caught.value)


def test_an_embedded_host_that_was_not_started_is_told_as_that(home: Path) -> None:
    make(home / ".kube" / "config")
    config = load_config({"cluster": {"name": "dev"}, "host": {"embedded": True}}, source="test")
    with pytest.raises(HostError) as caught:
        find_host(config)
    kubeconfig = home / "state" / "host" / "kubeconfig.yaml"
    assert str(caught.value) == (f"the embedded host was not started: there is no {kubeconfig}\nhint: kinky host up")
    make(kubeconfig)
    kubeconfig.write_text(PLAIN_KUBECONFIG)
    assert find_host(config).kubeconfig == str(kubeconfig)


def test_fault_00_the_current_context_is_kept_by_its_name(home: Path) -> None:
    config = load_config({"cluster": {"name": "dev"}, "host": {"embedded": True}}, source="test")
    kubeconfig = home / "state" / "host" / "kubeconfig.yaml"
    make(kubeconfig)
    kubeconfig.write_text(PLAIN_KUBECONFIG)
    assert config.host.context is None
    assert find_host(config).context == "lab"
