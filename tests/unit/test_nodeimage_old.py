"""Old node images leave the cache, so it does not grow with each build."""

import os
from pathlib import Path

from kinky.nodeimage import build


def make(folder: Path, name: str, *, age: int) -> None:
    (folder / name).mkdir()
    (folder / name / "image.json").write_text("{}")
    os.utime(folder / name, (age, age))


def test_each_current_image_and_two_older_ones_stay(tmp_path: Path) -> None:
    for age, name in enumerate(["current", "oldest", "older", "old", "new"]):
        make(tmp_path, name, age=age)
    (tmp_path / "current-v1.35.json").write_text('{"directory": "current"}')
    (tmp_path / "half.partial").mkdir()
    (tmp_path / "references").mkdir()
    build._drop_old(tmp_path)
    left = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert left == {"current", "old", "new", "half.partial", "references"}
