"""The page: one file that stands alone, its timeline, and how a browser shows it."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kinky.forming.pace import Pace, Word
from kinky.report import page, story, timeline
from kinky.report.story import Mark, Row, Story
from kinky.status.judgement import judge
from kinky.status.observation import State
from kinky.why.ladder import explain
from tests import browser
from tests.unit.status.seen import NOW, inside, outside
from tests.unit.why.facts_of import CLUSTER, facts, plane, stages

CERTIFICATE = {"not_after": "2027-01-01T00:00:00Z", "command": "kinky rotate ca --stack dev"}
BEGIN = datetime(2026, 11, 30, 11, 0, 0, tzinfo=UTC)
BOOT = {
    "VM": "2026-11-30T11:00:02Z",
    "instance": "2026-11-30T11:00:03Z",
    "scheduling": "2026-11-30T11:00:04Z",
    "scheduled": "2026-11-30T11:00:09Z",
    "running": "2026-11-30T11:00:12Z",
    "registered": "2026-11-30T11:01:20Z",
    "ready": "2026-11-30T11:01:31Z",
}
STAGES = stages("kernel", "data-disk", "user-data", "network", "credentials", "endpoint", "gate", "kubelet", "done")
VERDICTS = judge(
    [
        outside(
            State.BAD,
            reason="silent",
            detail="it answers nothing",
            hint="kinky why dev-control-plane-0",
            facts={"path": "p"},
        ),
        inside(State.OK),
        outside(State.OK, "dns"),
        outside(State.WARNING, "certificates", target="ca <b>", detail="ends soon", facts=CERTIFICATE),
    ],
    now=NOW,
)


def build_story() -> Story:
    nodes = (plane(times=BOOT, stages=STAGES), facts(times=BOOT, stages=STAGES), facts(service_address=""))
    return Story(
        nodes=nodes,
        explanations=tuple(explain(node, CLUSTER) for node in nodes),
        rows=tuple(Row(node.name, tuple(story.build_marks(node))) for node in nodes),
        evidence=(story.Evidence("G1", "the secrets store is Ready", "2026-11-30T11:02:00Z"),),
        gate="open since 2026-11-30T11:02:00Z: the secrets store is proved",
        replacements=(story.Replacement("rotate ca", "2026-11-30T11:30:00Z"),),
    )


def render() -> str:
    return page.render(VERDICTS, build_story(), stack="dev", now=NOW)


class Reader(HTMLParser):
    """Collects the tags, and checks that each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "rect", "path", "text") or (tag == "text"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag


def test_the_page_needs_nothing_from_elsewhere() -> None:
    reader = Reader()
    reader.feed(render())
    assert not reader.open
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "img", "iframe", "object"}
    outward = [value for _, attributes in reader.tags for name, value in attributes.items() if name in ("src", "href")]
    assert outward == [] and "@import" not in render() and not re.search(r"url\((?!#)", render())


def test_the_page_tells_all_and_escapes_it() -> None:
    text = render()
    for told in ("CRITICAL", "it answers nothing", "kinky why dev-control-plane-0", "DISAGREE", "G1", "rotate ca"):
        assert told in text
    assert "ca &lt;b&gt;" in text and "<b>" not in text
    assert "kinky rotate ca --stack dev" in text and "2027-01-01T00:00:00Z" in text
    assert "the Service dev-worker-0 on the host is gone" in text


def test_a_node_that_is_stuck_is_called_so_on_the_page() -> None:
    pace = Pace(Word.STUCK, "credentials", 75.0, 2.0)
    shown = replace(build_story(), explanations=tuple(replace(each, pace=pace) for each in build_story().explanations))
    text = page.render(VERDICTS, shown, stack="dev", now=NOW)
    assert "stuck: no progress to credentials for 75 s" in text and "stuck:" not in render()


def test_a_page_of_written_verdicts_has_no_story() -> None:
    text = page.render(VERDICTS, None, stack="dev", now=NOW)
    assert "Timeline" not in text and "CRITICAL" in text


def test_the_marks_of_a_node_are_in_order_and_the_guest_s_count_from_its_start() -> None:
    marks = story.build_marks(facts(times=BOOT, stages=STAGES))
    assert [mark.what for mark in marks][:5] == ["VM made", "instance made", "scheduling", "scheduled", "guest starts"]
    assert marks[5] == Mark("kernel", BEGIN + timedelta(seconds=13))
    assert marks[-1].what == "Ready" and marks == sorted(marks, key=lambda mark: mark.at)


def test_the_timeline_is_a_picture_with_a_bar_for_each_step() -> None:
    row = build_story().rows[0]
    picture = timeline.draw([row])
    root = ElementTree.fromstring(picture)  # noqa: S314 - our own text
    bars = [each for each in root.iter() if each.get("class") == "bar"]
    assert len(bars) == len(row.marks)
    places = [float(each.get("x", "0")) + float(each.get("width", "0")) for each in bars]
    assert max(places) <= timeline.WIDTH and places == sorted(places)


def test_labels_of_one_line_do_not_overlap() -> None:
    root = ElementTree.fromstring(timeline.draw(build_story().rows))  # noqa: S314 - our own text
    lines: dict[str, list[tuple[float, float]]] = {}
    for each in root.iter():
        if each.get("class") == "step":
            end = float(each.get("x", "0"))
            lines.setdefault(each.get("y", ""), []).append((end - len(each.text or "") * timeline.LETTER, end))
    assert lines
    for spans in lines.values():
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


@pytest.mark.parametrize(("length", "step"), [(1, 1), (95, 10), (600, 60), (3600, 600), (1e9, 86400)])
def test_the_axis_has_few_lines(length: float, step: int) -> None:
    assert timeline.choose_step(length) == step


def test_moments_of_an_earlier_boot_are_left_out() -> None:
    old = Mark("VM made", BEGIN - timedelta(days=2))
    (row,) = timeline.cut_earlier([Row("n", (old, Mark("Ready", BEGIN)))])
    assert [mark.what for mark in row.marks] == ["Ready"]
    assert timeline.draw([Row("n", ())]) == ""


@browser.needed
@pytest.mark.parametrize(("place", "size"), [("desk", "1100,1900"), ("phone", "500,2600")])
def test_a_browser_shows_the_page_without_errors(tmp_path: Path, place: str, size: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(render())
    shown = browser.show(file, tmp_path / f"report-{place}.png", size=size)
    assert "CRITICAL" in shown and "<svg" in shown
