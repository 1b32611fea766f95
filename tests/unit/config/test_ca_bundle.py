"""The file with the CAs of the secrets store's server: certificates and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinky.config.ca_bundle import check_ca, read_ca
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.keys import certificates


def config(ca_file: str | None) -> KinkyConfig:
    vault = {"address": "https://vault.example:8200", "caFile": ca_file}
    raw = {"cluster": {"name": "dev"}, "host": {"embedded": True}, "secretsStore": {"kind": "vault", "vault": vault}}
    return load_config(raw, source="test")


def test_certificates_are_read_relative_to_the_project(tmp_path: Path) -> None:
    ca = certificates.make_ca("test").certificate
    (tmp_path / "ca.pem").write_bytes(ca)
    assert check_ca(config("ca.pem"), base=tmp_path) == []
    assert read_ca(config("ca.pem"), base=tmp_path) == ca.decode()


@pytest.mark.parametrize("ca_file", [None])
def test_no_file_is_no_problem(tmp_path: Path, ca_file: str | None) -> None:
    assert check_ca(config(ca_file), base=tmp_path) == []
    assert read_ca(config(ca_file), base=tmp_path) == ""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "holds no certificate"),
        (b"no certificate", "holds no certificate"),
        (b"\xff\xfe", "holds no certificate"),
        (b"-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n", "holds no certificate"),
    ],
)
def test_anything_else_is_told(tmp_path: Path, content: bytes | None, expected: str) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    (problem,) = check_ca(config("ca.pem"), base=tmp_path)
    assert str(problem) == f'secretsStore.vault.caFile = "ca.pem": {expected}'


def test_a_private_key_would_go_into_the_state(tmp_path: Path) -> None:
    ca = certificates.make_ca("test")
    (tmp_path / "ca.pem").write_bytes(ca.certificate + ca.key)
    (problem,) = check_ca(config("ca.pem"), base=tmp_path)
    assert "holds a private key" in str(problem)
