"""The timeline as a picture: one bar for each step of each node, over one axis of seconds (SVG)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from kinky.report.story import Mark, Row

WIDTH: Final = 1000
LEFT: Final = 210
RIGHT: Final = 30
ROW: Final = 58
BAR: Final = 22
TOP: Final = 34
SHORTEST: Final = 3.0
"""Units of the narrowest bar, so that a step of a second can be seen."""
LETTER: Final = 6.6
"""Units of a letter of the labels."""
STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
GAP_SECONDS: Final = 3600.0
"""A row's moments before a longer pause are of an earlier boot."""
FILLS: Final = ("url(#a)", "url(#b)")
"""Two patterns in turn: neighbours differ without colour."""


@dataclass(frozen=True)
class Bar:
    """One step: from the moment before to its own."""

    what: str
    start: float
    end: float


def build_bars(row: Row, begin: datetime) -> list[Bar]:
    """Return the bars of a row, in seconds from the begin of the picture."""
    bars, before = [], None
    for mark in row.marks:
        at = (mark.at - begin).total_seconds()
        bars.append(Bar(mark.what, at if before is None else before, at))
        before = at
    return bars


def cut_earlier(rows: Sequence[Row]) -> list[Row]:
    """Leave out the moments of earlier boots: those before a long pause of their row."""
    cut = []
    for row in rows:
        kept: list[Mark] = []
        for mark in row.marks:
            if kept and (mark.at - kept[-1].at).total_seconds() > GAP_SECONDS:
                kept = []
            kept.append(mark)
        cut.append(Row(row.name, tuple(kept)))
    return cut


def draw(rows: Sequence[Row]) -> str:
    """Draw the timeline; an empty text when nothing is known of any moment."""
    shown = [row for row in cut_earlier(rows) if row.marks]
    if not shown:
        return ""
    begin = min(mark.at for row in shown for mark in row.marks)
    length = max(1.0, max((mark.at - begin).total_seconds() for row in shown for mark in row.marks))
    scale = (WIDTH - LEFT - RIGHT) / length
    height = TOP + ROW * len(shown) + 10
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="timeline of the last boot" '
        'xmlns="http://www.w3.org/2000/svg">',
        '<defs><pattern id="a" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" '
        'class="fa"/></pattern><pattern id="b" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" '
        'height="6" class="fb"/><path d="M0 6L6 0" class="fl"/></pattern></defs>',
        *_draw_axis(length, scale, height),
    ]
    for number, row in enumerate(shown):
        parts += _draw_row(row, begin, scale, TOP + ROW * number)
    return "\n".join([*parts, "</svg>"])


def choose_step(length: float) -> int:
    """Return the seconds between two lines of the axis: at most ten of them."""
    return next((step for step in STEPS if length / step <= 10), STEPS[-1])


def format_seconds(seconds: float) -> str:
    """Return seconds as people say them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _draw_axis(length: float, scale: float, height: int) -> list[str]:
    step = choose_step(length)
    lines = []
    for number in range(int(length // step) + 1):
        x = LEFT + number * step * scale
        lines.append(f'<path d="M{x:.1f} 22V{height - 6}" class="grid"/>')
        lines.append(
            f'<text x="{x:.1f}" y="15" text-anchor="middle" class="axis">{format_seconds(number * step)}</text>'
        )
    return lines


def _draw_row(row: Row, begin: datetime, scale: float, top: int) -> list[str]:
    parts = [f'<text x="{LEFT - 8}" y="{top + 16}" text-anchor="end" class="row">{escape(_cut(row.name, 30))}</text>']
    free = [0.0, 0.0]
    for number, bar in enumerate(build_bars(row, begin)):
        x, width = LEFT + bar.start * scale, max(SHORTEST, (bar.end - bar.start) * scale)
        told = f"{bar.what}: {format_seconds(bar.end)} (took {bar.end - bar.start:.1f} s)"
        parts.append(
            f'<rect x="{x:.1f}" y="{top + 2}" width="{width:.1f}" height="{BAR}" fill="{FILLS[number % 2]}" '
            f'class="bar"><title>{escape(told)}</title></rect>'
        )
        parts += _draw_label(bar.what, x + width, top, free)
    return parts


def _draw_label(text: str, end: float, top: int, free: list[float]) -> list[str]:
    """Write a step's name below the end of its bar, in the first of two lines that has room; else nowhere."""
    long = len(text) * LETTER
    start = min(end, WIDTH - 4) - long
    for line in range(len(free)):
        if start >= max(free[line], LEFT - 40.0):
            free[line] = start + long + 6
            y = top + BAR + 13 + 12 * line
            return [f'<text x="{start + long:.1f}" y="{y}" text-anchor="end" class="step">{escape(text)}</text>']
    return []


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
