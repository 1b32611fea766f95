"""`kinky init`: what it writes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kinky.cli import main
from kinky.config.load import load_config
from kinky.exit_codes import ExitCode


def test_the_project_is_one_that_pulumi_and_kinky_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["init", "--stack", "shop", str(tmp_path / "mine")]) == 0
    project = yaml.safe_load((tmp_path / "mine" / "Pulumi.yaml").read_text())
    assert (project["name"], project["runtime"], project["stackConfigDir"]) == ("kinky", "python", "stacks")
    stack = yaml.safe_load((tmp_path / "mine" / "stacks" / "Pulumi.shop.yaml").read_text())
    raw = {key.removeprefix("kinky:"): value for key, value in stack["config"].items()}
    assert load_config(raw, source="test").cluster.name == "shop"
    compile((tmp_path / "mine" / "__main__.py").read_text(), "__main__.py", "exec")
    assert "pulumi stack init shop" in capsys.readouterr().err


def test_a_file_that_is_there_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "__main__.py").write_text("mine")
    assert main.main(["init", str(tmp_path)]) == ExitCode.USAGE
    assert "it has __main__.py" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["__main__.py"]
    assert (tmp_path / "__main__.py").read_text() == "mine"


@pytest.mark.parametrize("stack", ["", "a/b", "../x"])
def test_a_name_that_no_stack_can_have_is_refused(stack: str, tmp_path: Path) -> None:
    assert main.main(["init", "--stack", stack, str(tmp_path / "new")]) == ExitCode.USAGE
    assert not (tmp_path / "new").exists()


def test_a_folder_is_needed() -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["init"])
    assert ended.value.code == ExitCode.USAGE
