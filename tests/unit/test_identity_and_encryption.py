"""What is so at every boot: encryption first (S10), no token (S20), no identity but a declared one (S21).

And no user-data in a VM's own text (S4).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from kinky.errors import HostError
from kinky.keys.encryption_config import make_encryption_key, parse_encryption_keys, render_encryption_config
from kinky.keys.material import ENCRYPTION_FILE, make_cluster_files
from kinky.render.kubelet import PKI_DIR
from tests.unit.documents import walk
from tests.unit.test_node_hygiene import INLINE, documents, every_stack, rendered


def kubeadm(stack: str) -> list[dict[str, Any]]:
    """Return the ClusterConfiguration of each control plane of a stack."""
    found = []
    for file, text in rendered(stack).items():
        if file.endswith("user-data.yaml"):
            written = {entry["path"]: entry["content"] for entry in yaml.safe_load(text)["write_files"]}
            configurations = yaml.safe_load_all(written.get("/etc/kinky/kubeadm.yaml", ""))
            found += [body for body in configurations if body and body["kind"] == "ClusterConfiguration"]
    assert found
    return found


def arguments(component: dict[str, Any]) -> dict[str, str]:
    return {argument["name"]: argument["value"] for argument in component["extraArgs"]}


@every_stack
def test_s10_every_api_server_is_told_to_encrypt_by_a_file_that_comes_with_the_keys(stack: str) -> None:
    """Without the file it does not start, so nothing is ever written before it is there."""
    for configuration in kubeadm(stack):
        assert arguments(configuration["apiServer"])["encryption-provider-config"] == f"{PKI_DIR}/{ENCRYPTION_FILE}"
    assert ENCRYPTION_FILE in make_cluster_files("dev")


def test_s10_a_configuration_with_identity_first_is_not_taken_for_ours() -> None:
    """It stops a rotation; an API server that runs with it fails G6, and the gate stays shut."""
    body = json.loads(render_encryption_config([make_encryption_key(1)]))
    assert parse_encryption_keys(json.dumps(body).encode())
    body["resources"][0]["providers"].reverse()
    with pytest.raises(HostError, match="was not written by kinky"):
        parse_encryption_keys(json.dumps(body).encode())


@every_stack
def test_s20_no_api_server_accepts_a_bootstrap_token_and_nothing_signs_for_one(stack: str) -> None:
    for configuration in kubeadm(stack):
        assert arguments(configuration["apiServer"])["enable-bootstrap-token-auth"] == "false"
        # The star is every controller that is on by default: the two for bootstrap tokens are not.
        assert arguments(configuration["controllerManager"])["controllers"] == "*"


@every_stack
def test_s21_nobody_may_have_a_certificate_but_a_node_its_own(stack: str) -> None:
    """The controller-manager approves what its requester may ask for; only a node's own renewal is granted."""
    granted = set()
    for body in documents(stack, "inner.yaml"):
        for key, value in walk(body):
            assert key != "verbs" or not {"approve", "sign"} & set(value), body["metadata"]["name"]
        if "RoleBinding" in body["kind"] and "certificatesigningrequests" in body["roleRef"]["name"]:
            granted |= {(body["roleRef"]["name"].rpartition(":")[2], each["name"]) for each in body["subjects"]}
    assert granted == {("selfnodeclient", "system:nodes")}


def find_inline(bodies: Iterable[dict[str, Any]]) -> list[str]:
    """Name each VM that has user-data in its own text, where whoever may read VMs can read it."""
    machines = [body for body in bodies if body["kind"] in ("VirtualMachine", "VirtualMachineInstance")]
    return [
        f"VM {body['metadata']['name']}: {key}" for body in machines for key in INLINE & {key for key, _ in walk(body)}
    ]


@every_stack
def test_s4_no_vm_has_inline_user_data(stack: str) -> None:
    assert find_inline(documents(stack, "host.yaml")) == []


@pytest.mark.parametrize("key", sorted(INLINE))
def test_s4_inline_user_data_is_told_with_the_vm_s_name(key: str) -> None:
    bodies = copy.deepcopy(documents("dev", "host.yaml"))
    machine = next(body for body in bodies if body["kind"] == "VirtualMachine")
    volumes = {volume["name"]: volume for volume in machine["spec"]["template"]["spec"]["volumes"]}
    volumes["cidata"]["cloudInitNoCloud"][key] = "x"
    assert find_inline(bodies) == [f"VM {machine['metadata']['name']}: {key}"]
