"""Whatever the caller's umask is: everybody reads the cache, and only its owner the state."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kinky import border, paths, process
from kinky.artefacts import layers
from kinky.embedded import accelerator, kubevirt, kubevirt_images
from kinky.file_lock import file_lock
from kinky.nodeimage import build, debian
from kinky.releases import Release, default_release
from kinky.toolchain import gobuild, tools

ROOT = Path(__file__).resolve().parents[2]
CLOSED = (0o000, 0o027, 0o077)


@pytest.fixture(params=CLOSED, ids=lambda mask: f"umask-{mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def wrong_modes(root: Path) -> list[str]:
    """Return what below a folder has another mode than the cache wants, with the folder itself."""
    wanted = {True: {0o755}, False: {0o644, 0o755}}
    found = (root, *root.rglob("*"))
    return [f"{path} {mode(path):04o}" for path in found if mode(path) not in wanted[path.is_dir()]]


def write(path: Path, content: str = "content") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def fill_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def make(_tool: object, into: Path, *, go: Path) -> None:
        # As the compiler and the linker do: in a program of its own.
        process.run(["sh", "-c", f"umask; printf x > {into}/sample; chmod +x {into}/sample"], reason="build")

    tool = tools.Tool(name="sample", version="v1", programs={"sample": "."}, directory=tmp_path)
    monkeypatch.setattr(gobuild, "build", make)
    monkeypatch.setattr(tools, "go_path", lambda: Path("/go"))
    assert os.access(tools.ensure_tool(tool) / "sample", os.X_OK)


def fill_debian(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(debian, "_run_mmdebstrap", lambda *_, target, **__: write(target / "var/lib/dpkg/status", ""))
    debian.ensure_programs(["grub"])


def fill_base_layer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(layers.apt, "fetch_mirror", lambda: "http://127.0.0.1")
    monkeypatch.setattr(layers.process, "run", lambda command, **_: write(Path(command[-2])))
    layers.ensure_base_layer()


def fill_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("program")
    monkeypatch.setattr(kubevirt_images.tools, "ensure_tools", lambda names: dict.fromkeys(names, program))
    monkeypatch.setattr(layers, "ensure_base_layer", lambda: layers.images_dir() / "base/layer.tar")
    monkeypatch.setattr(kubevirt_images, "_build", lambda work, *_: write(work / "images.tar"))
    kubevirt_images.ensure_bundle()


def fill_manifest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kubevirt_images, "version", lambda: "v1")
    monkeypatch.setattr(kubevirt_images, "module_folder", lambda: tmp_path)
    monkeypatch.setattr(kubevirt, "render_operator", lambda *_: "kind: List")
    for name in (*(f"generated/{name}" for name in kubevirt.GENERATED), "release/kubevirt-operator.yaml.in"):
        write(tmp_path / "manifests" / name)
    kubevirt.ensure_manifest()


def fill_trial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def kernel() -> Path:
        import tarfile

        write(tmp_path / "vmlinuz-6")
        with tarfile.open(tmp_path / "kernel.tar", "w") as archive:
            archive.add(tmp_path / "vmlinuz-6", "boot/vmlinuz-6")
        return tmp_path / "kernel.tar"

    def compile_static(_source: object, target: Path) -> Path:
        write(target)
        return target

    monkeypatch.setattr(layers, "ensure_kernel_files", kernel)
    monkeypatch.setattr(kubevirt_images, "compile_static", compile_static)
    accelerator._ensure_files()


def fill_node_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def make(folder: Path, _release: Release, **_: object) -> None:
        # The root file system of the guests is made here: its folders must not be closed either.
        write(folder / "root/etc/kinky/file")
        facts = '"reference": "r.test/n:v", "kubernetesVersion": "v", "contentHash": "c", "images": []'
        write(folder / "image.json", f"{{{facts}}}")
        parts = '"definitions": [], "cloudConfigSchema": {}, "networkDataSchema": {}'
        write(folder / "record.json", f"{{{facts}, {parts}}}")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian, "ensure_base", lambda _packages: tmp_path)
    monkeypatch.setattr(build, "_inputs", lambda *_: {})
    monkeypatch.setattr(build, "_check_space", lambda _folder: None)
    monkeypatch.setattr(build, "_build", make)
    build.build_node_image(default_release(), tools=lambda name: Path(name), modules=lambda name: Path(name))


FILLERS = [fill_tools, fill_debian, fill_base_layer, fill_bundle, fill_manifest, fill_trial, fill_node_image]


@pytest.mark.parametrize("fill", FILLERS, ids=lambda fill: fill.__name__)
def test_fault_13_everybody_reads_what_is_put_into_the_cache(
    fill: Callable[[pytest.MonkeyPatch, Path], None], umask: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KINKY_CACHE_DIR", str(tmp_path / "shared/by/all"))
    fill(monkeypatch, tmp_path)
    assert len(list(paths.cache_dir().rglob("*"))) > 2
    assert wrong_modes(tmp_path / "shared") == []
    assert os.umask(umask) == umask, "the caller's umask is back"


def test_fault_13_the_state_is_its_owners(umask: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "own/state"))
    with file_lock(paths.stack_dir("dev") / "forward.lock"):
        (paths.stack_dir("dev") / "written").write_text("x")
        process.run(["touch", paths.host_dir() / "by-a-program"], reason="a test")
    pid = process.spawn_detached(["true"], log=paths.stack_dir("dev") / "forward.log")
    process.terminate(pid, expect="true")
    border.write_report("report")
    found = list((tmp_path / "own").rglob("*"))
    assert len(found) > 6
    assert [f"{path} {mode(path):04o}" for path in (tmp_path / "own", *found) if mode(path) & 0o077] == []


def test_fault_13_a_cache_inside_the_state_is_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KINKY_STATE_DIR", str(tmp_path / "all"))
    monkeypatch.setenv("KINKY_CACHE_DIR", str(tmp_path / "all/cache"))
    assert paths.folder_mode(tmp_path / "all/cache/tools/x.lock") == 0o755
    assert paths.folder_mode(tmp_path / "all/host/x.lock") == 0o700
    assert paths.folder_mode(tmp_path / "elsewhere") == 0o700


def test_fault_13_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o711)
    paths.make_folder(tmp_path / "mine", mode=0o755)
    assert mode(tmp_path / "mine") == 0o711


def test_fault_13_threads_do_not_take_each_others_umask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = os.umask(0o027)
    errors: list[str] = []

    def work(number: int) -> None:
        folder = paths.tools_dir() if number % 2 else paths.host_dir()
        for turn in range(30):
            with file_lock(folder / f"{number}.lock"):
                file = folder / f"{number}-{turn}"
                file.write_text("x")
                if mode(file) != (0o644 if number % 2 else 0o600):
                    errors.append(f"{file} {mode(file):04o}")

    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert errors == []


def test_fault_13_the_embedded_hosts_components_start_with_a_services_umask(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, umask: int
) -> None:
    import socket

    from kinky.embedded import sandbox

    seen: list[int] = []

    def set_up(_place: object) -> None:
        seen.append(os.umask(0o022))

    monkeypatch.setattr(sandbox, "_set_up", set_up)
    monkeypatch.setattr(sandbox.components, "read_specification", lambda _path: [])
    monkeypatch.setattr(sandbox.proxy, "serve_in_thread", lambda *_, **__: None)
    monkeypatch.setattr(sandbox.Supervisor, "run", lambda _self: None)
    with socket.socket() as listener:
        sandbox.main([str(tmp_path), "--listen-fd", str(os.dup(listener.fileno()))])
    assert seen == [0o022]


@pytest.mark.parametrize("name", ["setup/launcher", "setup/go", "setup/debian-packages"])
def test_fault_13_what_is_set_up_by_root_is_for_all(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert lines.index("umask 022") == lines.index("set -euo pipefail") + 1


def test_fault_13_the_launcher_can_be_run_by_others(tmp_path: Path, umask: int) -> None:
    (tmp_path / "setup").mkdir(mode=0o755)
    (tmp_path / "setup/launcher").write_bytes((ROOT / "setup/launcher").read_bytes())
    (tmp_path / ".venv/bin").mkdir(parents=True)
    fake = tmp_path / ".venv/bin/python"
    fake.write_text(f"#!/bin/sh\necho {tmp_path}\n")
    fake.chmod(0o755)
    subprocess.run(["bash", tmp_path / "setup/launcher"], check=True)
    assert mode(tmp_path / ".venv/bin/kinky") == 0o755
    assert mode(tmp_path / "kinky.pth") == 0o644


def test_fault_13_make_makes_the_environment_for_all() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\n.venv/.ready:")[1].split("\n\n")[0].splitlines()[1:]
    commands = [line.strip().lstrip("@") for line in recipe]
    closed = [line for line in commands if not line.startswith("umask 022; ")]
    # The first looks at Python's version and writes nothing; the other sets its own umask, see above.
    assert [line.split()[0] for line in closed] == ["$(PYTHON)", "setup/launcher"]


CURRENT = f"current-{default_release().name}.json"
CLOSED_CACHE = """
import os, sys
from kinky.border import run_main
from kinky.nodeimage.build import current_node_image
from kinky.releases import default_release
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(run_main("a test", lambda: print(current_node_image(default_release())) or 0))
"""


def test_fault_13_who_may_not_read_the_cache_is_told_whose_it_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("closed")
    (base / "cache/node-image").mkdir(parents=True)
    (base / "cache/node-image" / CURRENT).write_text("{}")
    (base / "cache/node-image").chmod(0o750 if os.geteuid() == 0 else 0o000)
    for part in (base, *base.parents):
        # Only what is below may be in the way.
        if part.stat().st_uid == os.geteuid() and part.is_relative_to("/tmp") and part != Path("/tmp"):
            part.chmod(0o755)
    environment = {**os.environ, "KINKY_CACHE_DIR": str(base / "cache"), "KINKY_STATE_DIR": str(base / "state")}
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_CACHE], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    closed = base / "cache/node-image"
    assert done.returncode == 1
    assert done.stderr.count("\n") == 2
    assert done.stderr.startswith(f"cannot use {closed}/{CURRENT}: Permission denied; {closed} belongs to ")
    assert f"mode {mode(closed):04o}, and you are " in done.stderr
    assert f"\nhint: let its owner run: chmod -R a+rX {closed}; or set KINKY_CACHE_DIR" in done.stderr
    closed.chmod(0o755)
