"""Puts the page together. Everything that a task or a person chose is escaped, each time.

The page's own style and script are named by their hashes in its content security policy,
so that even markup that slipped through could neither run nor load anything.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from jobs.durations import spoken
from jobs.errors import InputError, shown
from jobs.history import Sample
from jobs.looks import TaskEnd
from jobs.prices import money, shares
from jobs.report import UNNAMED, Report
from jobs.report_text import cost_text
from jobs.reportpage import series, tables
from jobs.reportpage.charts import (
    Line,
    histogram_chart,
    lanes_chart,
    lines_chart,
    number,
    outcome_bar,
    states_chart,
)
from jobs.rerun import Ends
from jobs.stack import Pool
from jobs.stale import NOTHING_STALE, Stale
from jobs.task_names import TaskNames
from jobs.whole_files import replacing

_ASSETS = Path(__file__).parent
_FEW = 2
_LIMIT_SEEN = 4
"""A limit far above the cost would make a flat line of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was run, for the page's list of facts.

    Attributes:
        facts: Names and values, in order.
        csv: Address of the table of all tasks, relative to the page; empty if there is none.
        history: What was seen while somebody watched.
        gap_s: Of two samples of it that are further apart, nobody watched in between.
        limit: `--max-cost`, or None.
        stale: Tasks whose answer is of outputs that were replaced since.
        mend: The command line that runs these again.
    """

    facts: tuple[tuple[str, str], ...] = ()
    csv: str = ""
    history: tuple[Sample, ...] = ()
    gap_s: float = math.inf
    limit: float | None = None
    stale: Stale = NOTHING_STALE
    mend: str = ""


def write_page(path: Path, text: str) -> None:
    """Replaces a file in one step.

    Raises:
        InputError: It cannot be written.
    """
    try:
        with replacing(path) as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be written: {error.strerror or error}") from error


def render(
    report: Report,
    ends: Ends,
    pool: Pool,
    reasons: Mapping[str, str],
    facts: Facts,
    names: TaskNames = UNNAMED,
) -> str:
    """The page's text.

    Args:
        report: The figures.
        ends: How tasks ended.
        pool: Where.
        reasons: Why failed ones did, by task.
        facts: What was run, and what was seen.
        names: What people call the tasks.
    """
    style = (_ASSETS / "page.css").read_text(encoding="utf-8")
    script = (_ASSETS / "page.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"{report.job_id}: {_outcome(report)}"
    ran = [end for end in (*ends.latest, *ends.earlier) if end.started is not None]
    rates = shares(ran, pool, report.used)
    body = "".join(
        (
            *_head(report, facts),
            *_tiles(report),
            *tables.failures(report),
            *_charts(report, ends, pool, facts, names),
            *tables.stages(report),
            *tables.nodes(report),
            *_use(report, pool),
            *tables.tasks(ends, reasons, rates, report, names, facts.csv, facts.stale),
            *_facts(facts),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><main>{body}</main><script>{script}</script></body></html>\n"
    )


def _head(report: Report, facts: Facts) -> Iterator[str]:
    bad = bool(report.failed or report.unfinished or report.stale)
    yield f'<header><p class="state {"failed" if bad else "succeeded"}">{_outcome(report)}</p>'
    yield f"<h1>{escape(report.job_id)}</h1>"
    named = dict(facts.facts)
    if command := named.get("command"):
        yield f'<p class="command"><code>{escape(command)}</code></p>'
    yield outcome_bar(
        [
            ("succeeded", "succeeded", report.succeeded),
            ("failed", "failed", report.failed),
            ("waiting", "not finished", report.unfinished),
        ]
    )
    if facts.stale:
        yield (
            f'<p class="stale">{escape(facts.stale.text)}. Bring it up to date: '
            f"<code>{escape(facts.mend)}</code></p>"
        )
    yield "</header>"


def _tiles(report: Report) -> Iterator[str]:
    node_s = report.dedicated_node_s + report.spot_node_s
    cost = "unknown" if report.cost is None else money(report.cost, report.currency)
    yield '<dl class="tiles">'
    for name, value, hint in (
        ("Elapsed", spoken(report.elapsed_s), f"first task ran after {spoken(report.starting_s)}"),
        (
            "Run time",
            spoken(report.ran.median),
            f"median; 95 % under {spoken(report.ran.p95)}, longest {spoken(report.ran.longest)}",
        ),
        (
            "Queued",
            spoken(report.waited.median),
            f"median; longest {spoken(report.waited.longest)}",
        ),
        (
            "Node time",
            spoken(node_s),
            f"{report.nodes:,} of {report.vm_size}"
            + (f", {report.spot_node_s / node_s:.0%} spot" if report.spot_node_s else "")
            + (
                f"; {spoken(report.estimated_node_s)} estimated: attempts before the last"
                if report.estimated_node_s
                else ""
            ),
        ),
        ("Cost", cost, cost_text(report)),
        (
            "Again",
            f"{report.retries + report.requeues + report.reruns:,}",
            _again(report),
        ),
    ):
        yield (
            f"<div><dt>{name}</dt><dd>{escape(value)}</dd>"
            f'<dd class="hint">{escape(hint)}</dd></div>'
        )
    yield "</dl>"


def _again(report: Report) -> str:
    return (
        f"{report.retries:,} retries, {report.requeues:,} put back (node lost or preempted), "
        f"{report.reruns:,} rerun"
    )


def _charts(
    report: Report, ends: Ends, pool: Pool, facts: Facts, names: TaskNames
) -> Iterator[str]:
    every = (*ends.latest, *ends.earlier)
    if not every:
        return
    span = series.span_of(every)
    yield '<section><h2>Over time</h2><div class="charts">'
    yield states_chart(series.states(every, report.unfinished))
    yield _nodes_chart(every, pool.task_slots_per_node, facts, span)
    if (cost := series.cost(every, pool, report.cost)) is not None:
        yield _cost_chart(cost, report, facts.limit)
    yield "</div>"
    yield lanes_chart(series.timeline(every, pool.task_slots_per_node), span, names.name)
    yield '<h2>How long</h2><div class="charts">'
    ran = [end for end in every if end.started is not None]
    for title, values, kind in (
        ("Run times", [end.run_s for end in ran], "running"),
        ("Waiting times", [end.wait_s for end in ran], "waiting"),
    ):
        if (data := series.histogram(values)) is not None:
            yield histogram_chart(title, data, kind, f"{title.lower()}; bars count tasks")
    yield "</div></section>"


def _nodes_chart(every: Sequence[TaskEnd], slots: int, facts: Facts, span: float) -> str:
    zero = series.start_of(every)
    busy = series.busy_nodes(every, slots)
    lines = [Line(kind="running", name="with a task", curves=(busy,))]
    said = f"At most {max(busy.values):g} nodes had a task at once"
    seen = [sample for sample in facts.history if 0 <= sample.time - zero <= span]
    if len(seen) >= _FEW:
        pieces = series.watched_pieces([sample.time for sample in seen], facts.gap_s)
        for kind, name, values in (
            ("ready", "ready", [float(sample.nodes) for sample in seen]),
            ("target", "wanted", [float(sample.target) for sample in seen]),
        ):
            curves = tuple(
                series.Curve(
                    times=tuple(seen[n].time - zero for n in piece),
                    values=tuple(values[n] for n in piece),
                )
                for piece in pieces
            )
            lines.append(Line(kind=kind, name=name, curves=curves))
        said += f"; at most {max(sample.target for sample in seen):g} were wanted"
        if len(pieces) > 1:
            said += ", as far as somebody watched"
    return lines_chart("Nodes", lines, number, f"{said}.", counts=True)


def _cost_chart(cost: series.Curve, report: Report, limit: float | None) -> str:
    lines = [Line(kind="cost", name="cost so far", curves=(cost,))]
    if limit is not None and limit <= _LIMIT_SEEN * cost.values[-1]:
        flat = series.Curve(times=(0.0, cost.times[-1]), values=(limit, limit))
        lines.append(Line(kind="target", name="limit", curves=(flat,)))
    said = f"The cost grew to {money(cost.values[-1], report.currency)}."
    return lines_chart(
        "Cost", lines, lambda value: tables.short_amount(value, report.currency), said
    )


def _use(report: Report, pool: Pool) -> Iterator[str]:
    """Used against requested."""
    rows: list[tuple[str, float, str]] = []
    slots_s = report.used.total_s * pool.task_slots_per_node
    if (share := report.slot_efficiency) is not None:
        text = (
            f"of the {pool.task_slots_per_node} slots of each node while it had a task "
            f"({spoken(share * slots_s)} of {spoken(slots_s)} of slot time)"
        )
        rows.append(("Slots", share, text))
    if report.cpu_efficiency is not None:
        text = (
            "of those of the slots that tasks took "
            f"({spoken(report.cpu_s or 0)} of {spoken(report.cpu_given_s or 0)} of processor time)"
        )
        rows.append(("Processors", report.cpu_efficiency, text))
    for stage in report.stages:
        if stage.allowed_s:
            text = (
                f"of wall_clock by the longest ({spoken(stage.ran.longest)} of "
                f"{spoken(stage.allowed_s)}), {stage.ran.median / stage.allowed_s:.0%} by the "
                f"median ({spoken(stage.ran.median)})"
            )
            named = f"Time of {stage.name}" if stage.name else "Time"
            rows.append((named, stage.ran.longest / stage.allowed_s, text))
    if not rows:
        return
    yield '<section><h2>Used against requested</h2><dl class="use">'
    for name, share, text in rows:
        width = min(100.0, share * 100)
        yield (
            f"<div><dt>{escape(name)}</dt><dd><b>{share:.0%}</b> {escape(text)}"
            f'<svg width="100%" height="10" aria-hidden="true"><rect class="track" width="100%" '
            f'height="10"/><rect class="bar running" width="{width:.1f}%" height="10"/></svg>'
            "</dd></div>"
        )
    yield "</dl>"
    if report.cpu_efficiency is None:
        yield (
            '<p class="hint">The service counts processor time some half an hour after a task: '
            "report again then. It does not count memory.</p>"
        )
    yield "</section>"


def _facts(facts: Facts) -> Iterator[str]:
    if not facts.facts:
        return
    yield '<section><h2>What was run</h2><dl class="facts">'
    for name, value in facts.facts:
        yield f"<div><dt>{escape(name)}</dt><dd><code>{escape(value)}</code></dd></div>"
    yield "</dl></section>"


def _outcome(report: Report) -> str:
    if report.failed:
        return f"{report.failed:,} of {report.tasks:,} failed"
    if report.unfinished:
        return f"{report.unfinished:,} of {report.tasks:,} not finished"
    if report.stale:
        return f"{report.stale:,} of {report.tasks:,} stale"
    return f"all {report.tasks:,} succeeded" if report.tasks > 1 else "succeeded"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
