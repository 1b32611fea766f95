"""A stack with what dev does not choose: a KMS that encrypts Secrets, with its plugin in a node image of its own, and
console logs that end with the bootstrap.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kinky import names, paths, process
from kinky.errors import CommandError
from kinky.kube.host import CONSOLE_CONTAINER
from kinky.toolchain.tools import tool_path
from tests.e2e import leaks
from tests.e2e.person import KINKY, Person, borrow, meet

pytestmark = pytest.mark.host

STACK = "local-choices"
"""Git knows no stack file of this name."""
SOCKET = "/run/kms/plugin.sock"
KEY = "usr/lib/kms-plugin/key"
UNIT = f"""[Unit]
Description=KMS plugin of the tests

[Service]
RuntimeDirectory=kms
ExecStart=/usr/bin/kms-plugin /{KEY} {SOCKET}
Restart=always

[Install]
WantedBy=multi-user.target
"""
IMAGE_SECONDS = 900.0


@pytest.fixture(scope="module")
def image(admin: Person, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The reference of a node image with a plugin, which is on the host and known here.

    It is built in a cache of its own: in the one of all stacks it would become the current image.
    """
    # Below /tmp itself: containerd's socket in it may have a path of 107 bytes.
    cache = Path(tempfile.mkdtemp(prefix="kinky-"))
    for shared in paths.cache_dir().iterdir():
        if shared != paths.node_image_dir():
            (cache / shared.name).symlink_to(shared)
    added = tmp_path_factory.mktemp("added")
    write_plugin(added)
    own = {"KINKY_CACHE_DIR": str(cache)}
    for command in (["image", "build", "--add", added], ["host", "load"]):
        process.run([KINKY, *command], reason="test", env=own, timeout_seconds=IMAGE_SECONDS)
    shown = json.loads(process.run([KINKY, "image", "show", "--json"], reason="test", env=own))
    admin.kinky("image", "add", shown["archive"])
    yield shown["reference"]
    shutil.rmtree(cache)


def write_plugin(added: Path) -> None:
    """Write what comes into the image: the plugin, its key, and a unit that starts it."""
    (added / KEY).parent.mkdir(parents=True)
    (added / KEY).write_bytes(os.urandom(32))
    units = added / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True)
    (units / "kms-plugin.service").write_text(UNIT)
    (units / "multi-user.target.wants/kms-plugin.service").symlink_to("../kms-plugin.service")
    process.run(
        [tool_path("go"), "build", "-trimpath", "-o", added / "usr/bin/kms-plugin", "."],
        reason="build the KMS plugin of the tests",
        cwd=paths.project_root() / "tests/kms_plugin",
        env={"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
    )


@pytest.fixture(scope="module")
def owner(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The person of a stack like dev with these choices."""
    changes = {
        "kinky:image": {"reference": image},
        "kinky:encryption": {"provider": "kms", "kmsSocket": SOCKET},
        "kinky:virtualMachine": {"serialConsoleLog": "bootstrap"},
    }
    with borrow(STACK, base="dev", scratch=tmp_path_factory.mktemp(STACK), changes=changes) as someone:
        yield someone


def test_the_gate_opens_on_what_the_kms_encrypts(owner: Person) -> None:
    owner.up()
    shown = owner.show_gate()
    assert shown.startswith("open since") and "CRITICAL" not in shown and shown.count("\nG") == 7
    told = [base64.b64decode(value) for data in owner.host_secrets().values() for value in data.values()]
    assert any(SOCKET.encode() in value for value in told)
    assert not any(names.SECRETBOX.encode() in value for value in told), "a key of ours beside the one of the KMS"
    owner.kinky("preview", "--stack", STACK, "--expect-no-changes", limit_seconds=300)


def test_logs_of_the_consoles_end_with_the_vms_that_run(owner: Person) -> None:
    asked = "jsonpath={.items[*].spec.template.spec.domain.devices.logSerialConsole}"
    assert owner.host("get", "virtualmachines", "--output", asked).split() == ["false", "false"]
    assert all(is_logged(owner, node) for node in (owner.control_plane, owner.worker))
    instance = owner.vmi_uid(owner.worker)
    owner.pulumi("refresh", "--yes")
    owner.kinky("preview", "--stack", STACK, "--expect-no-changes", limit_seconds=300)
    assert owner.vmi_uid(owner.worker) == instance
    owner.replace(owner.worker)
    assert not is_logged(owner, owner.worker)


def test_a_control_plane_that_returns_reads_what_was_encrypted(owner: Person) -> None:
    read = ("get", "secrets", "--all-namespaces", "--output", "jsonpath={.items[*].metadata.uid}")
    before = set(owner.kubectl(*read).split())
    owner.replace(owner.control_plane)
    assert before and before <= set(owner.kubectl(*read).split())


def test_a_change_of_memory_is_announced_and_waits_for_the_restart(owner: Person) -> None:
    file, worker = owner.stack.path, owner.worker
    document = yaml.safe_load(file.read_text())
    (pool,) = document["config"]["kinky:workers"]
    before, pool["memoryMib"] = pool["memoryMib"], pool["memoryMib"] + 64
    file.write_text(yaml.safe_dump(document))
    changed, instance = meet(STACK, owner.scratch), owner.vmi_uid(worker)
    announced = (
        f"workers.worker.memoryMib = {before + 64}: was {before}; takes effect when these nodes restart: {worker}"
    )
    assert announced in printed(changed, "preview")
    pending = f"restart pending: {worker} (memory {before} -> {before + 64} MiB)"
    assert pending in printed(changed, "up")
    assert owner.vmi_uid(worker) == instance
    assert pending in printed(changed, "preview")
    owner.replace(worker)
    assert "restart pending" not in printed(changed, "preview")


def test_kinky_does_not_rotate_the_key_of_a_kms(owner: Person) -> None:
    with pytest.raises(CommandError, match="KMS"):
        owner.kinky("rotate", "encryption-key", "--stack", STACK)


def test_etcd_holds_values_of_the_kms_and_none_in_the_clear(owner: Person) -> None:
    leaks.check_scan(owner)


def test_consoles_are_logged_again_without_a_conflict(owner: Person) -> None:
    file = owner.stack.path
    file.write_text(file.read_text().replace("bootstrap", "always"))
    meet(STACK, owner.scratch).up()
    asked = "jsonpath={.items[*].spec.template.spec.domain.devices.logSerialConsole}"
    assert owner.host("get", "virtualmachines", "--output", asked).split() == ["true", "true"]


def test_the_end_leaves_nothing_of_the_stack_with_these_choices(owner: Person) -> None:
    owner.destroy()
    assert owner.left_on_host() == set()


def printed(someone: Person, command: str) -> str:
    """Run a command of kinky about the stack, and return all that it printed."""
    log = someone.scratch / "kinky.log"
    start = log.stat().st_size
    someone.kinky(command, "--stack", STACK, limit_seconds=900)
    return log.read_bytes()[start:].decode(errors="replace")


def is_logged(owner: Person, node: str) -> bool:
    """Tell whether the pod in which a node's VM runs has a container that logs its console."""
    spec = json.loads(owner.host("get", owner.launcher(node), "--output", "json"))["spec"]
    return CONSOLE_CONTAINER in {each["name"] for each in spec["containers"] + spec.get("initContainers", [])}
