from __future__ import annotations

import base64

import pytest
import yaml

from kinky.errors import KinkyError
from kinky.render import cloud_config

FILE = {"path": "/etc/kinky/node.json", "owner": "root:root", "permissions": "0644", "content": "{}\n"}
UPSTREAM = cloud_config.CloudInitSchemas(
    cloud_config={"type": "object", "properties": {"write_files": {"items": {"required": ["encoding"]}}}},
    network_data={"type": "object", "required": ["renderer"]},
)


def config(*files: object, **keys: object) -> str:
    return "#cloud-config\n" + yaml.safe_dump({"write_files": list(files), **keys})


def refusal(text: str) -> str:
    with pytest.raises(KinkyError) as caught:
        cloud_config.check_cloud_config(text, where="templates/worker/user-data.yaml.j2")
    return str(caught.value)


def test_a_right_cloud_config_passes() -> None:
    cloud_config.check_cloud_config(config(FILE), where="x")


def test_user_data_without_its_first_line_is_refused() -> None:
    assert refusal("write_files: []\n").startswith(
        'templates/worker/user-data.yaml.j2: the first line is not "#cloud-config"'
    )


def test_text_that_is_not_yaml_is_refused() -> None:
    assert "rendered text is not YAML" in refusal("#cloud-config\na: [\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (config(FILE, runcmd=["true"]), "'runcmd' was unexpected"),
        (config(FILE, ssh_authorized_keys=["x"]), "'ssh_authorized_keys' was unexpected"),
        (config({**FILE, "path": "/etc/shadow"}), "$.write_files[0].path: does not meet pattern"),
        (config({**FILE, "path": "/etc/kinky/../shadow"}), "$.write_files[0].path: does not meet pattern"),
        (config({**FILE, "permissions": 644}), "$.write_files[0].permissions: does not meet type 'string'"),
        (config({**FILE, "owner": "nobody"}), "$.write_files[0].owner: does not meet const 'root:root'"),
        (config({**FILE, "encoding": "gz+b64"}), "'encoding' was unexpected"),
        (config({k: v for k, v in FILE.items() if k != "content"}), "'content' is a required property"),
        (config({**FILE, "content": {"a": 1}}), "$.write_files[0].content: does not meet type 'string'"),
        (config(), "$.write_files: does not meet minItems 1"),
        ("#cloud-config\n", "$: does not meet type 'object'"),
        (config(FILE, FILE), "/etc/kinky/node.json is written twice"),
    ],
)
def test_what_the_image_does_not_read_is_refused(text: str, problem: str) -> None:
    assert problem in refusal(text)


def test_a_refusal_shows_no_content() -> None:
    assert "hunter2" not in refusal(config({**FILE, "content": ["hunter2"]}))


def test_cloud_inits_own_schema_is_applied_when_it_is_there() -> None:
    with pytest.raises(KinkyError, match=r"cloud-init: .*'encoding' is a required property"):
        cloud_config.check_cloud_config(config(FILE), where="x", upstream=UPSTREAM)


def test_cloud_inits_own_schema_of_network_data_is_applied_too() -> None:
    text = "version: 2\nethernets: {eth0: {dhcp4: true}}\n"
    cloud_config.check_network_data(text, where="x")
    with pytest.raises(KinkyError, match=r"cloud-init: .*'renderer' is a required property"):
        cloud_config.check_network_data(text, where="x", upstream=UPSTREAM)


def test_too_much_user_data_is_refused() -> None:
    text = config({**FILE, "content": "a b " * (cloud_config.SIZE_LIMIT_BYTES // 4)})
    assert "bytes, more than 524288" in refusal(text)


PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIA\n-----END EC PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PEM, "a PEM block"),
        ("-----BEGIN CERTIFICATE-----\n", "a PEM block"),
        ("token abcdef.0123456789abcdef\n", "a bootstrap token"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhYmMifQ.c2ln\n", "a JSON web token"),
        ("password: hunter2-and-more\n", "a key with a secret's name and a value"),
        ('{"token":"hunter2hunter2"}\n', "a key with a secret's name and a value"),
        (base64.b64encode(PEM.encode()).decode(), "a PEM block in base64"),
        (base64.b64encode(base64.b64encode(PEM.encode())).decode(), "a PEM block in base64 in base64"),
    ],
)
def test_a_secret_is_refused_and_not_shown(content: str, kind: str) -> None:
    message = refusal(config({**FILE, "content": content}))
    assert message.startswith("templates/worker/user-data.yaml.j2: rendered cloud-config holds a secret\n")
    assert f": {kind}" in message
    assert "MHcCAQEEIA" not in message and "hunter2" not in message and "0123456789abcdef" not in message


@pytest.mark.parametrize(
    "text",
    [
        "api.abcdef.kinky.internal",
        "- name: initial-cluster-token\n  value: production",
        "--encryption-provider-config=/etc/kubernetes/pki/encryption-config.yaml",
        "sha256:" + "0123456789abcdef" * 4,
    ],
)
def test_harmless_text_is_not_taken_for_a_secret(text: str) -> None:
    assert cloud_config.find_secrets(text) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\nethernets: {eth0: {dhcp4: true}}\n", "$.version: does not meet const 2"),
        ("version: 2\nethernets: {}\n", "$.ethernets: does not meet minProperties 1"),
        ("version: 2\nethernets: {eth0: {dhcp4: 'yes'}}\n", "$.ethernets.eth0.dhcp4: does not meet type 'boolean'"),
        ("version: 2\nethernets: {eth0: {dhcp4: true, gateway4: x}}\n", "'gateway4' was unexpected"),
    ],
)
def test_network_data_is_checked(text: str, problem: str) -> None:
    with pytest.raises(KinkyError) as caught:
        cloud_config.check_network_data(text, where="x")
    assert problem in str(caught.value)
