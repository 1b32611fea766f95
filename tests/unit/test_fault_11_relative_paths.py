"""One root for relative paths: the checkout for a stack's file, the caller's folder for variables and arguments."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kinky import given_paths, paths, process
from kinky.cli import image, main, secrets
from kinky.config.archive import check_archive
from kinky.config.ca_bundle import check_ca, read_ca
from kinky.config.load import load_config
from kinky.config.model import KinkyConfig
from kinky.errors import HostError
from kinky.reach.host import find_host
from kinky.retry import Pending, wait_until
from kinky.stacks.environment import build_environment
from kinky.stacks.file import read_stack_file
from kinky.vault.token import read_token
from tests.unit.documents import PLAIN_KUBECONFIG


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, a caller in a folder beside it, and a home."""
    for name in ("checkout", "caller", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path / "checkout")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.chdir(tmp_path / "caller")
    return tmp_path / "checkout"


@pytest.fixture
def caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "caller"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(folder)
    yield folder


def make_config(**sections: dict[str, Any]) -> KinkyConfig:
    usual: dict[str, dict[str, Any]] = {
        "cluster": {"name": "dev"},
        "host": {"acceptUnencryptedAtRest": True},
        "image": {"reference": "registry.test/node:v1"},
    }
    merged = {key: {**usual.get(key, {}), **sections.get(key, {})} for key in (usual | sections)}
    return load_config(merged, source="test")


# The stack's file.


@pytest.mark.parametrize("named", ["rel.yaml", "./rel.yaml", "../checkout/rel.yaml", "~/../checkout/rel.yaml"])
def test_fault_11_the_hosts_kubeconfig_starts_at_the_checkout(checkout: Path, named: str) -> None:
    (checkout / "rel.yaml").write_text(PLAIN_KUBECONFIG)
    (Path.cwd() / "rel.yaml").write_text("{}")
    found = Path(find_host(make_config(host={"kubeconfig": named})).kubeconfig)
    assert found.is_absolute()
    assert found.samefile(checkout / "rel.yaml")


def test_fault_11_a_kubeconfig_beside_the_caller_is_not_taken_for_the_stacks(checkout: Path) -> None:
    (Path.cwd() / "rel.yaml").write_text("{}")
    with pytest.raises(HostError, match=f"does not exist: {checkout}/rel.yaml"):
        find_host(make_config(host={"kubeconfig": "rel.yaml"}))


def test_fault_11_archive_and_ca_file_start_at_the_checkout_too(checkout: Path) -> None:
    vault = {"address": "https://v.test", "caFile": "ca.pem"}
    config = make_config(image={"archive": "a.tar"}, secretsStore={"kind": "vault", "vault": vault})
    (checkout / "ca.pem").write_text("PEM")
    assert read_ca(config, base=paths.project_root()) == "PEM"
    (problem,) = check_archive(config, base=paths.project_root())
    assert problem.message == f"there is no such file: {checkout}/a.tar"


def test_fault_11_the_home_of_an_unknown_user_is_a_problem_and_no_traceback(checkout: Path) -> None:
    vault = {"address": "https://v.test", "caFile": "~kinky-nobody/ca.pem"}
    config = make_config(image={"archive": "~kinky-nobody/a.tar"}, secretsStore={"kind": "vault", "vault": vault})
    assert check_archive(config, base=checkout)
    assert check_ca(config, base=checkout)


# Variables.


def test_fault_11_the_environments_kubeconfig_starts_at_the_caller(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (checkout, Path.cwd(), Path.home()):
        (folder / "rel.yaml").write_text(PLAIN_KUBECONFIG)
    for named, expected in (("rel.yaml", Path.cwd()), ("~/rel.yaml", Path.home())):
        monkeypatch.setenv("KUBECONFIG", named)
        assert find_host(make_config()).kubeconfig == str(expected / "rel.yaml")


@pytest.mark.parametrize(
    "name",
    [
        "KUBECONFIG",
        "KINKY_CACHE_DIR",
        "KINKY_STATE_DIR",
        "PULUMI_HOME",
        "VAULT_TOKEN_FILE",
        "SSL_CERT_FILE",
        "AWS_CONFIG_FILE",
    ],
)
def test_fault_11_pulumi_gets_each_path_of_a_variable_in_full(caller: Path, name: str) -> None:
    environ = {"PULUMI_HOME": "/p", name: "folder/file"}
    assert build_environment(read_stack_file("dev"), environ=environ)[name] == str(caller / "folder/file")
    home = build_environment(read_stack_file("dev"), environ={**environ, name: "~/file"})
    assert home[name] == str(Path.home() / "file")


def test_fault_11_lists_of_variables_are_made_absolute_part_by_part(caller: Path) -> None:
    environ = {"KUBECONFIG": "a:/b:~/c"}
    assert given_paths.resolve_variables(environ) == {"KUBECONFIG": f"{caller}/a:/b:{Path.home()}/c"}
    assert given_paths.resolve_variables({"KUBECONFIG": ""}) == {}


@pytest.mark.parametrize("named", ["phrase", "./phrase", "~/../caller/phrase"])
def test_fault_11_the_passphrases_file_is_the_callers(caller: Path, named: str) -> None:
    (caller / "phrase").write_text("a long one\n")
    (caller / "phrase").chmod(0o600)
    Path.home().mkdir(exist_ok=True)
    variable = "PULUMI_CONFIG_PASSPHRASE_FILE"
    given = Path(build_environment(read_stack_file("dev"), environ={variable: named})[variable])
    assert given.is_absolute()
    assert given.samefile(caller / "phrase")


def test_fault_11_kinky_env_prints_paths_that_hold_in_every_folder(
    caller: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINKY_STATE_DIR", "state")
    assert main.main(["env", "--stack", "dev", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["KINKY_STATE_DIR"] == str(caller / "state")
    assert values["PULUMI_BACKEND_URL"] == f"file://{caller}/state/pulumi"


def test_fault_11_a_program_that_outlives_the_command_finds_the_same_files(
    caller: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The forward runs in the root folder."""
    monkeypatch.setenv("KINKY_STATE_DIR", "state")
    monkeypatch.setenv("SSL_CERT_FILE", "ca.pem")
    names = ["KINKY_STATE_DIR", "SSL_CERT_FILE"]
    log = caller / "log"
    program_text = f"import os; print([os.environ[name] for name in {names}], os.getcwd(), flush=True)"
    process.spawn_detached([sys.executable, "-c", program_text], log=log)

    def printed() -> bool | Pending:
        return log.read_text().endswith("\n") or Pending("nothing printed")

    wait_until(printed, what="the program", deadline_seconds=20, every_seconds=0.05)
    assert log.read_text() == f"['{caller}/state', '{caller}/ca.pem'] /\n"


def test_fault_11_the_stores_token_is_read_beside_the_caller(caller: Path) -> None:
    (caller / "token").write_text("t\n")
    (caller / "token").chmod(0o600)
    assert read_token(environ={"VAULT_TOKEN_FILE": "token"}) == "t"


# Arguments.


@pytest.mark.parametrize(
    ("parser", "arguments"),
    [
        (image.build_parser("image"), ["build", "--add"]),
        (secrets.build_parser("secrets"), ["set", "db", "--file"]),
    ],
)
def test_fault_11_an_argument_starts_at_the_caller(caller: Path, parser: Any, arguments: list[str]) -> None:
    for given, expected in (("rel", caller / "rel"), ("~/rel", Path.home() / "rel"), ("/abs", Path("/abs"))):
        parsed = vars(parser.parse_args([*arguments[:-1], f"{arguments[-1]}={given}"]))
        assert expected in parsed.values()
