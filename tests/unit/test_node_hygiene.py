"""No key on the way to a node that others can read: user-data, manifests, console, files, arguments.

What the program renders is looked at for every stack file; what the guest does with its keys, in the node image's
scripts and units.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from kinky import names, paths
from kinky.config.model import KinkyConfig
from kinky.keys import material, node_credentials
from kinky.keys.certificates import Pair, make_ca
from kinky.render.cloud_config import find_secrets
from kinky.stacks.file import list_stacks, read_stack_file
from tests.golden.cases import render_files
from tests.unit.documents import walk

GUEST = paths.project_root() / "node-image" / "files"
GROUNDS = ("ground-vm", "ground-kvm", "ground-emulation", "ground-container")
SCRIPTS = ("node", "role-control-plane", "etcd-member.sh", "role-worker", "data", "cni", "peers", "stage.sh", *GROUNDS)
INLINE = {"userData", "userDataBase64", "networkData", "networkDataBase64"}
NEVER_PHASES = {"upload-certs", "bootstrap-token", "show-join-command"}
"""Phases of kubeadm that make a token or a certificate key, or print one."""
KEY_MATERIAL = {"token", "bootstrapTokens", "certificateKey", "client-key-data", "password", "secret", "secretbox"}

every_stack = pytest.mark.parametrize("stack", list_stacks())


def config(stack: str) -> KinkyConfig:
    return read_stack_file(stack).config


@cache
def rendered(stack: str) -> dict[str, str]:
    return render_files(config(stack))


@cache
def documents(stack: str, file: str) -> list[dict[str, Any]]:
    return [body for body in yaml.safe_load_all(rendered(stack)[file]) if body]


def read_guest(name: str) -> str:
    text = (GUEST / name).read_text()
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


@every_stack
def test_nothing_that_is_rendered_holds_key_material(stack: str) -> None:
    for file, text in rendered(stack).items():
        found = find_secrets(text)
        if file in ("host.yaml", "inner.yaml"):
            # `secret:` before a mapping is a reference; what holds a text is a value.
            found = tuple(kind for kind in found if not kind.endswith("a secret's name and a value"))
            for key, value in walk(documents(stack, file)):
                assert key not in KEY_MATERIAL or not isinstance(value, str), f"{file}: {key}"
        assert found == (), file


def test_key_material_would_be_found() -> None:
    """The look above is not blind: each file of the two key Secrets that is a key is one it would find."""
    made = material.make_cluster_files("dev")
    ca = Pair(made["ca.crt"], made["ca.key"])
    made |= node_credentials.make_node_files(ca, "dev-worker-0", "10.0.0.1")
    secret = {name: content.decode() for name, content in made.items() if not name.endswith((".crt", ".pub"))}
    assert len(secret) == 7
    assert [name for name, text in secret.items() if not find_secrets(text)] == []


@every_stack
def test_user_data_writes_settings_and_nothing_else(stack: str) -> None:
    texts = {file: text for file, text in rendered(stack).items() if file.endswith("user-data.yaml")}
    assert texts
    for text in texts.values():
        written = yaml.safe_load(text)["write_files"]
        paths_written = {entry["path"] for entry in written}
        settings = {"node.json", "kubelet.env", "kubelet.yaml", "kubeadm.yaml"}
        assert paths_written <= {f"/etc/kinky/{name}" for name in settings}
        for entry in written:
            for document in yaml.safe_load_all(entry["content"]):
                # Flags of the kubelet are one text, which the look for secrets has read.
                assert not KEY_MATERIAL & {key for key, _ in walk(document)}, entry["path"]


@every_stack
def test_keys_reach_a_vm_on_a_secret_volume_and_user_data_by_reference(stack: str) -> None:
    machines = [body for body in documents(stack, "host.yaml") if body["kind"] == "VirtualMachine"]
    assert machines
    for body in machines:
        spec = body["spec"]["template"]["spec"]
        assert not INLINE & {key for key, _ in walk(body)}
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert set(volumes["credentials"]) == {"name", "secret"}
        assert set(volumes["cidata"]["cloudInitNoCloud"]) == {"secretRef", "networkDataSecretRef"}


@every_stack
def test_the_console_is_kept_only_as_configured(stack: str) -> None:
    wanted = config(stack).virtual_machine.serial_console_log
    machines = [body for body in documents(stack, "host.yaml") if body["kind"] == "VirtualMachine"]
    logged = {body["spec"]["template"]["spec"]["domain"]["devices"].get("logSerialConsole") for body in machines}
    assert logged == {{"always": True, "never": False, "bootstrap": None}[wanted]}


def test_no_stack_on_a_host_of_its_own_keeps_consoles_for_ever() -> None:
    kept = [name for name in list_stacks() if config(name).virtual_machine.serial_console_log == "always"]
    assert all(config(name).host.embedded for name in kept)


@every_stack
def test_no_manifest_passes_a_secret_by_argument_or_environment(stack: str) -> None:
    """What a pod needs is a file from a Secret: arguments and variables show in /proc, in describe and in dumps."""
    for body in documents(stack, "inner.yaml"):
        for key, value in walk(body):
            assert key != "secretKeyRef", body["metadata"]["name"]
            if key == "args" and isinstance(value, list):
                assert not [item for item in value if re.search(r"(?i)(token|password|secret)=", str(item))]


@every_stack
def test_the_only_secret_that_pulumi_declares_is_user_data(stack: str) -> None:
    kinds = [body for file in ("host.yaml", "inner.yaml") for body in documents(stack, file)]
    declared = [body["metadata"]["name"] for body in kinds if body["kind"] == "Secret"]
    assert declared and all("-user-data-" in name for name in declared)


def test_only_stages_and_failures_go_to_the_console() -> None:
    told = re.compile(r'echo "kinky: (stage|FAILED stage) [^"]*"')
    for name in SCRIPTS:
        for line in read_guest(f"usr/lib/kinky/{name}").splitlines():
            if "/dev/console" in line or "/dev/ttyS" in line:
                assert told.search(line), f"{name}: {line}"


def test_every_stage_that_a_guest_names_has_a_row_of_advice() -> None:
    scripts = [read_guest(f"usr/lib/kinky/{name}") for name in SCRIPTS]
    scripts.append((paths.project_root() / "node-image/initrd-init").read_text())
    named = set(re.findall(r"(?:\bstage |\bnow=|\bfail )([a-z-]+)", "\n".join(scripts)))
    assert {"initrd", "kernel", "start", "clock", "done"} <= named
    advice = (paths.project_root() / "docs/troubleshooting.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", advice.partition("\nNothing is deleted")[0], re.MULTILINE)
    assert named <= set(re.findall(r"`([a-z-]+)`", " ".join(rows)))


def test_kubeadm_and_cloud_init_write_to_a_journal_that_goes_nowhere() -> None:
    # This one prints to the console; its script formats a disk and sees no key.
    loud = {path.name for path in (GUEST / "etc/systemd/system").rglob("*.service") if "+console" in path.read_text()}
    assert loud == {"kinky-data.service"}
    for unit in ("kinky-node.service", "cloud-init-local.service", "cloud-init-network.service"):
        assert "StandardOutput=journal" in read_guest(f"etc/systemd/system/{unit}"), unit
    for unit in ("cloud-init-main", "cloud-config", "cloud-final"):
        assert "StandardOutput=journal" in read_guest(f"etc/systemd/system/{unit}.service.d/kinky.conf"), unit
    journal = read_guest("etc/systemd/journald.conf.d/kinky.conf")
    assert "Storage=volatile" in journal and "ForwardToConsole=no" in journal
    assert "serial-getty@ttyS0.service" in (paths.project_root() / "node-image/units-masked.txt").read_text().split()


def test_kubeadm_makes_and_prints_no_token() -> None:
    script = read_guest("usr/lib/kinky/role-control-plane")
    never = re.search(r"^never=(\S+)$", script, re.MULTILINE)
    assert never and set(never[1].split(",")) >= NEVER_PHASES
    runs = [line.strip() for line in script.splitlines() if "kubeadm " in line]
    # Its configuration comes by file; the only other argument is what to leave out.
    assert runs == [
        "kubeadm init --config $kubeadm_yaml --skip-phases=$never,$after_api",
        "kubeadm init --config $kubeadm_yaml --skip-phases=$skip",
    ]
    assert re.search(r"^skip=\$never,", script, re.MULTILINE)


def test_key_files_are_root_s_alone() -> None:
    script = read_guest("usr/lib/kinky/node")
    steps = ("open_credentials", "umask 077", "cp ", "chmod 0600 $pki/*.* $pki/etcd/*", 'umount "$credentials"')
    places = [script.index(step) for step in steps]
    assert places == sorted(places), "mounted for root, copied under a closed umask, narrowed once more, unmounted"
    assert script.index("umask 022") > script.index("chmod 0600")
    assert "mount -t iso9660 -o ro,mode=0400 " in read_guest("usr/lib/kinky/ground-vm")


def test_no_script_traces_its_commands() -> None:
    for name in SCRIPTS:
        text = (GUEST / "usr/lib/kinky" / name).read_text()
        assert not re.search(r"set -\w*x|sh -x|xtrace", text), name


def test_the_kubelet_s_kubeconfig_names_files() -> None:
    script = read_guest("usr/lib/kinky/role-worker")
    assert "client-key: $pki/kubelet-client.key" in script
    assert "client-key-data" not in script and "token" not in script


def test_a_worker_gets_its_own_keys_and_no_ca_s() -> None:
    ca = make_ca("dev ca")
    files = node_credentials.make_node_files(ca, "dev-worker-0", "10.0.0.1")
    assert set(files) == {
        "ca.crt",
        *(f"kubelet-{use}.{end}" for use in ("client", "serving") for end in ("crt", "key")),
    }
    assert ca.key not in files.values()


@every_stack
def test_only_control_planes_mount_the_cluster_s_keys(stack: str) -> None:
    cfg = config(stack)
    for body in documents(stack, "host.yaml"):
        if body["kind"] == "VirtualMachine":
            (volume,) = [each for each in body["spec"]["template"]["spec"]["volumes"] if each["name"] == "credentials"]
            role = body["metadata"]["labels"][names.LABEL_ROLE]
            mounts_all = volume["secret"]["secretName"] == names.pki_secret(cfg.cluster.name)
            assert mounts_all == (role == names.CONTROL_PLANE)


def test_the_guest_s_scripts_are_the_ones_looked_at() -> None:
    assert {path.name for path in Path(GUEST, "usr/lib/kinky").iterdir() if path.is_file()} == set(SCRIPTS)
