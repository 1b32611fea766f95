"""KinKy from its wheel in an empty virtual environment: a Pulumi project, and somebody else's tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kinky import paths
from tests.e2e.projects import EXAMPLE, install, run

pytestmark = pytest.mark.host

STACK = "installed"
UP_SECONDS = 900.0


@pytest.fixture(scope="module")
def project(embedded_host: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel with all that it needs, and write a project beside it."""
    folder = tmp_path_factory.mktemp("installed")
    run(install(folder) / "kinky", "init", "--stack", STACK, folder / "mine", cwd=folder)
    stack_file = folder / "mine" / "stacks" / f"Pulumi.{STACK}.yaml"
    stack_file.write_text(stack_file.read_text().replace("accelerator: auto", "accelerator: container"))
    return folder / "mine"


def in_shell(project: Path, command: str) -> str:
    """Run a command as a person does, after the settings of `kinky env`."""
    settings = f'eval "$(../.venv/bin/kinky env --stack {STACK})"'
    return run("bash", "-ec", f"{settings}; {command}", cwd=project, limit_seconds=UP_SECONDS)


def test_plain_pulumi_makes_the_cluster_and_kubectl_sees_its_nodes(project: Path) -> None:
    in_shell(project, f"pulumi stack init {STACK}")
    printed = in_shell(project, "pulumi up --yes --skip-preview --non-interactive 2>&1")
    assert "$PATH" not in printed, "a warning of a plugin"
    assert printed.count(f"• inner API of {STACK} answers from outside") == 1
    in_shell(project, "pulumi preview --expect-no-changes --non-interactive")
    nodes = in_shell(project, "kubectl get nodes --no-headers").splitlines()
    assert sorted(line.split()[:2] for line in nodes) == [
        [f"{STACK}-control-plane-0", "Ready"],
        [f"{STACK}-worker-0", "Ready"],
    ]


def test_plain_pulumi_removes_it(project: Path) -> None:
    in_shell(project, "pulumi destroy --yes --skip-preview --non-interactive >&2")
    left = in_shell(project, f"kubectl --kubeconfig {paths.host_kubeconfig()} get vm --all-namespaces")
    assert STACK not in left
    in_shell(project, f"pulumi stack rm --yes {STACK}")


def test_the_example_project_tests_its_controller_on_a_cluster_of_its_own(project: Path) -> None:
    folder = project.parent / "example"
    shutil.copytree(EXAMPLE, folder)
    log = run(project.parent / ".venv/bin/python", "-m", "pytest", cwd=folder, limit_seconds=UP_SECONDS)
    assert "2 passed" in log
    left = in_shell(project, f"kubectl --kubeconfig {paths.host_kubeconfig()} get vm --all-namespaces")
    assert "kinky-tests" not in left
