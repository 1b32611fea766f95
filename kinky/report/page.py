"""The page as text: HTML with its style inside, readable without colour and on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final

from kinky.keys.certificates import format_time
from kinky.report import timeline
from kinky.report.story import Story
from kinky.status.judgement import Verdict, Word
from kinky.status.probes.certificates import CAPABILITY, NOT_AFTER, sort_by_end
from kinky.status.table import MARKS, describe_word, list_others

STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 62rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .all { font-size: 1.25rem; font-weight: 700; border: 2px solid; padding: .5rem .75rem; }
.box { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
td, p { overflow-wrap: break-word; } th { font-weight: 600; white-space: nowrap; }
.word { font-weight: 700; } td .word { white-space: nowrap; } code { background: var(--soft); padding: 0 .25em; }
.CRITICAL, .PARTIAL { border-left: .4rem double; padding-left: .6rem; }
.DEGRADED, .UNKNOWN { border-left: .4rem dotted; padding-left: .6rem; }
.card { margin: .75rem 0; } .picture { overflow-x: auto; } svg { min-width: 44rem; width: 100%; height: auto; }
svg text { fill: currentColor; font-family: system-ui, sans-serif; }
.axis { font-size: 11px; } .row { font-size: 13px; }
.step { font-size: 11px; } .grid { stroke: currentColor; opacity: .2; } .bar { stroke: currentColor; stroke-width: .7; }
.fa { fill: #4a78b5; } .fb { fill: #d8dde6; } .fl { stroke: #4a78b5; stroke-width: 1.2; }
@media (max-width: 40rem) {
  body { font-size: 15px; padding: .6rem; }
  .box tr:first-child { display: none; } .box tr { display: block; border-bottom: 1px solid var(--line); }
  .box td { display: block; border: 0; padding: .1rem 0; } .box td::before { content: attr(data-of) ": "; opacity: .7; }
}
"""
NOTHING: Final = "<p>Nothing is known of it.</p>"


def render(verdicts: Sequence[Verdict], story: Story | None, *, stack: str, now: datetime) -> str:
    """Return the page.

    Args:
        story: The parts besides the verdicts; None when only written verdicts were read.
    """
    worst = verdicts[0].word if verdicts else Word.UNKNOWN
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(stack)}: {worst.value}</title><style>{STYLE}</style></head><body>",
        f"<h1>Inner cluster of stack {escape(stack)}</h1>",
        f'<p class="all">{MARKS[worst]} {worst.value}</p>',
        f"<p>Judged from outside at {format_time(now)}.</p>",
        *_section("Not OK", _render_faults(verdicts)),
        *_section("Verdicts", _render_verdicts(verdicts)),
    ]
    if story is not None:
        parts += _section("Nodes", _render_nodes(story))
        parts += _section("Timeline of the last boot", _render_timeline(story))
        parts += _section("The gate's evidence", _render_evidence(story))
    parts += _section("Certificates by their end", _render_certificates(verdicts))
    if story is not None:
        parts += _section("Replaced", _render_replacements(story))
    return "\n".join([*parts, "</body></html>", ""])


def _section(title: str, content: list[str]) -> list[str]:
    return [f"<h2>{title}</h2>", *content] if content else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table of cells that are escaped already."""
    if not rows:
        return [NOTHING]
    top = "".join(f"<th>{cell}</th>" for cell in head)
    # On a phone each cell is a line of its own, with the name of its column before it.
    body = [
        "<tr>" + "".join(f'<td data-of="{name}">{cell}</td>' for name, cell in zip(head, row, strict=True)) + "</tr>"
        for row in rows
    ]
    return ['<div class="box"><table>', f"<tr>{top}</tr>", *body, "</table></div>"]


def _render_faults(verdicts: Sequence[Verdict]) -> list[str]:
    lines = []
    for verdict in verdicts:
        if verdict.word is Word.OK:
            continue
        lines.append(
            f'<div class="card {verdict.word.value}"><p class="word">{MARKS[verdict.word]} '
            f"{escape(verdict.capability)}: {escape(describe_word(verdict))}</p>"
        )
        lines.append(f"<p>{escape(verdict.why)}</p>")
        lines += [f"<p>Also: {escape(each.detail)}</p>" for each in list_others(verdict)]
        lines += [f"<p>Next step: <code>{escape(verdict.next_step)}</code></p>"] if verdict.next_step else []
        lines.append("</div>")
    return lines


def _render_verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    rows = []
    for verdict in verdicts:
        outside = verdict.outside
        latency = f", {outside.latency_ms:.0f} ms" if outside.latency_ms is not None else ""
        inside = verdict.inside.state.value if verdict.inside else "not asked"
        word = f'<span class="word">{MARKS[verdict.word]} {verdict.word.value}</span>'
        cells = (escape(verdict.capability), word, f"{outside.state.value}{latency}", inside, escape(outside.at))
        rows.append([*cells, escape(outside.detail)])
    return _table(("Capability", "Verdict", "Outside", "Inside", "At", "Seen"), rows)


def _render_nodes(story: Story) -> list[str]:
    rows = []
    for node, each in zip(story.nodes, story.explanations, strict=True):
        role = "control plane" if node.is_control_plane else "worker"
        state = f"{'✓' if each.is_up else '✗'} {escape(each.sentence)}"
        state += f" <br>{escape(each.pace.sentence)}" if each.pace else ""
        step = f" <br>Next step: <code>{escape(each.next_step)}</code>" if each.next_step else ""
        version = escape(node.node.version) if node.node else "-"
        rows.append([escape(node.name), role, escape(node.service_address or "-"), version, state + step])
    return _table(("Node", "Role", "Address", "Version", "State"), rows)


def _render_timeline(story: Story) -> list[str]:
    picture = timeline.draw(story.rows)
    if not picture:
        return [NOTHING]
    told = "<p>Each bar is one step, from the end of the step before. Point at a bar to read its seconds.</p>"
    return [
        told,
        f'<div class="picture">{picture}</div>',
        "<details><summary>As text</summary>",
        *_list_marks(story),
        "</details>",
    ]


def _list_marks(story: Story) -> list[str]:
    rows = [[escape(row.name), escape(mark.what), format_time(mark.at)] for row in story.rows for mark in row.marks]
    return _table(("Node", "Step", "At"), rows)


def _render_evidence(story: Story) -> list[str]:
    rows = [[escape(each.item), escape(each.what), escape(each.seen_at)] for each in story.evidence]
    state = [f"<p>The gate is {escape(story.gate)}.</p>"] if story.gate else []
    return [*state, *_table(("Item", "Seen", "At"), rows)]


def _render_certificates(verdicts: Sequence[Verdict]) -> list[str]:
    seen = [each for verdict in verdicts if verdict.capability == CAPABILITY for each in verdict.observations]
    rows = [
        [escape(each.facts[NOT_AFTER]), escape(each.target), f"<code>{escape(each.facts.get('command', ''))}</code>"]
        for each in sort_by_end(seen)
    ]
    return _table(("Ends at", "Certificate", "Renewed by"), rows)


def _render_replacements(story: Story) -> list[str]:
    return _table(("What", "When"), [[escape(each.what), escape(each.at)] for each in story.replacements])
