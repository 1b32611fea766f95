"""What looks like a secret, or is a known one, is taken out of each text."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.automation import CommandResult
from pulumi.automation.errors import CommandError

from kinky.errors import KinkyError
from kinky.scan.clean import clean, clean_urls
from kinky.scan.secret import KnownSecret, SecretClass
from kinky.stacks import engine
from kinky.stacks.file import read_stack_file
from kinky.toolchain import archive
from tests.unit.foreign_errors import PEM, SECRET


def test_fault_02_a_proxy_with_a_password_is_not_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("https_proxy", f"http://me:{SECRET}@127.0.0.1:port")
    assert not archive.unpack({"url": "https://example.invalid/x", "sha256": "", "members": {}}, Path())
    assert SECRET not in capsys.readouterr().err


def test_fault_02_what_pulumi_says_of_a_backend_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def select(*_: object) -> None:
        said = f"could not open postgres://me:{SECRET}@127.0.0.1/db"
        raise CommandError(CommandResult(stdout="", stderr=said, code=255))

    monkeypatch.setattr(engine, "OwnStack", select)
    workspace: Any = SimpleNamespace(env_vars={"PULUMI_BACKEND_URL": "https://state.example"})
    with pytest.raises(KinkyError) as error:
        engine.StackEngine(read_stack_file("dev"), workspace=workspace).exists()
    assert "could not open postgres://[taken out]@127.0.0.1/db" in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
        f"postgres://me:{SECRET}@host/db",
        f"password={SECRET}&x=1",
        "hvs.CAESIJrandomrandomrandom",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.signature",
        PEM,
        PEM.replace("-----END PRIVATE KEY-----", ""),
    ],
)
def test_fault_02_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    cleaned = clean(f"before {text}")
    assert cleaned.startswith("before ")
    assert "[taken out]" in cleaned
    for part in (SECRET, "CAESI", "eyJ", "signature", "AAAA"):
        assert part not in cleaned


def test_fault_02_a_known_secret_is_taken_out_in_every_encoding() -> None:
    known = KnownSecret(SecretClass.STORE_VALUE, "x", SECRET.encode())
    for form in (SECRET, SECRET.encode().hex(), json.dumps({"a": SECRET}), base64.b64encode(SECRET.encode()).decode()):
        cleaned = clean(f"text {form}", [known])
        assert form not in cleaned
        assert "text" in cleaned


def test_fault_02_plain_text_stays_as_it_is() -> None:
    text = "secretsStore.vault.token: unknown key; see https://example.com/x@y and /home/me/.vault-token"
    assert clean(text) == text
    assert clean_urls("https://host/a:b@c") == "https://host/a:b@c"
