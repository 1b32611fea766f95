"""The mirror of this machine, as apt itself understands its files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kinky import apt, process
from kinky.errors import KinkyError

MAIN = "Suites: bookworm bookworm-updates\nComponents: main\n"
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt reads its files itself")


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give apt a folder of its own for its sources, of which nothing was fetched yet."""
    folder = tmp_path / "etc/apt/sources.list.d"
    for path in (folder, tmp_path / "var/lib/apt/lists/partial", tmp_path / "var/lib/dpkg"):
        path.mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").touch()
    own = ("-o", f"Dir={tmp_path}", "-o", f"Dir::State::status={tmp_path}/var/lib/dpkg/status")
    monkeypatch.setattr(apt, "COMMAND", (apt.COMMAND[0], *own, *apt.COMMAND[1:]))
    monkeypatch.setattr(apt, "_codename", lambda _text: "bookworm")
    return folder


@needs_apt
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.list", "deb http://m.test/somewhere/ bookworm main\n"),
        ("a.list", "# deb http://o.test/d bookworm main\ndeb [arch=amd64] http://m.test/somewhere bookworm main\n"),
        ("a.sources", f"Types: deb deb-src\nURIs: http://m.test/somewhere/\n{MAIN}"),
        ("a.sources", f"Types: deb\nURIs:\n http://m.test/somewhere http://other.test/debian\n{MAIN}"),
        ("a.sources", f"Enabled: no\nTypes: deb\nURIs: http://off.test/debian\n{MAIN}\nTypes: deb\n"
                      f"URIs: http://m.test/somewhere\n{MAIN}"),
        ("a.list", "deb http://s.test/debian bookworm-security main\ndeb http://d.test/debian bookworm stable\n"
                   "deb http://m.test/somewhere bookworm main\n"),
    ],
    ids=["line", "options", "stanza", "several", "disabled", "others"],
)  # fmt: skip
def test_the_mirror_is_the_one_of_the_own_release(sources: Path, name: str, text: str) -> None:
    (sources / name).write_text(text)
    assert apt.fetch_mirror() == "http://m.test/somewhere"


@needs_apt
def test_a_file_of_mirrors_is_followed(sources: Path, tmp_path: Path) -> None:
    listed = tmp_path / "mirrors.list"
    (sources / "debian.sources").write_text(f"Types: deb\nURIs: mirror+file:{listed}\n{MAIN}")
    listed.write_text("# near\n\nhttps://m.test/debian\tpriority:1\nhttps://far.test/debian\n")
    assert apt.fetch_mirror() == "https://m.test/debian"
    listed.unlink()
    with pytest.raises(KinkyError, match=r"apt's source mirror\+file:.*mirrors\.list names none"):
        apt.fetch_mirror()


@needs_apt
def test_a_machine_without_a_source_for_its_release_is_told(sources: Path) -> None:
    (sources / "a.list").write_text("deb http://m.test/debian sid main\n")
    with pytest.raises(KinkyError, match="component main of this machine's release bookworm"):
        apt.fetch_mirror()


def test_of_what_was_fetched_it_is_the_one_that_says_that_it_is_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = (
        ". bookworm|bookworm|bookworm|main|https://vpn.test/stable/debian/\n"
        "Debian|bookworm-security|stable-security|main|http://m.test/debian-security/\n"
        "Debian|bookworm|stable|main|http://m.test/debian/\n"
    )
    monkeypatch.setattr(apt, "_codename", lambda _text: "bookworm")
    monkeypatch.setattr(process, "run", lambda *_, **__: fetched)
    assert apt.fetch_mirror() == "http://m.test/debian"
