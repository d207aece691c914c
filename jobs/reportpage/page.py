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

from jobs.command_lines import shown_command
from jobs.durations import spoken
from jobs.errors import InputError, shown
from jobs.history import Sample
from jobs.looks import TaskEnd
from jobs.prices import Shares, money, shares
from jobs.report import UNNAMED, Report
from jobs.report_text import cost_text, ended_how
from jobs.reportpage import series
from jobs.reportpage.charts import (
    Line,
    histogram_chart,
    lanes_chart,
    lines_chart,
    number,
    outcome_bar,
    short,
    states_chart,
)
from jobs.rerun import Ends
from jobs.stack import Pool
from jobs.task_names import TaskNames, written_values
from jobs.whole_files import replacing

MOST_FAILED = 1000
MOST_SLOW = 1000
_ASSETS = Path(__file__).parent
_FEW = 2
_LIMIT_SEEN = 4
"""A limit far above the cost would make a flat line of it."""
_COMMAND_SEEN = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was run, for the page's list of facts.

    Attributes:
        facts: Names and values, in order.
        csv: Address of the table of all tasks, relative to the page; empty if there is none.
        history: What was seen while somebody watched.
        gap_s: Of two samples of it that are further apart, nobody watched in between.
        limit: `--max-cost`, or None.
    """

    facts: tuple[tuple[str, str], ...] = ()
    csv: str = ""
    history: tuple[Sample, ...] = ()
    gap_s: float = math.inf
    limit: float | None = None


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
            *_failures(report),
            *_charts(report, ends, pool, facts, names),
            *_stages(report),
            *_use(report, pool),
            *_tasks(ends, reasons, rates, report, names, facts),
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
    bad = bool(report.failed or report.unfinished)
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


def _failures(report: Report) -> Iterator[str]:
    if not report.failures:
        return
    yield '<section><h2>Why tasks failed</h2><div class="scroll"><table class="sortable cards">'
    yield _header(("Tasks", "n"), ("Ended with", ""), ("Last words", ""), ("Example", ""))
    for group in report.failures[:50]:
        task = group.name or group.example
        logs = f"python -m jobs logs {task} --job {report.job_id}"
        given = f"<br>{escape(written_values(group.parameters))}" if group.parameters else ""
        ran = escape(shown_command(group.command, _COMMAND_SEEN))
        given += f"<br><code>{ran}</code>" if ran else ""
        yield (
            f'<tr>{_count(group.count, "Tasks")}<td data-k="Ended with">'
            f"{escape(ended_how(group))}</td>"
            f'<td class="words" data-k="Last words">{escape(group.last_line)}</td>'
            f'<td class="words" data-k="Example"><code>{escape(logs)}</code>{given}</td></tr>'
        )
    yield "</tbody></table></div>"
    if len(report.failures) > 50:  # noqa: PLR2004 - as above
        yield f'<p class="hint">and {len(report.failures) - 50:,} other kinds of failure</p>'
    yield (
        f'<p class="hint">Run them again: <code>python -m jobs rerun {escape(report.job_id)}'
        "</code></p></section>"
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
    yield _nodes_chart(every, facts, span)
    if (cost := series.cost(every, pool, report.cost)) is not None:
        yield _cost_chart(cost, report, facts.limit)
    yield "</div>"
    yield lanes_chart(series.timeline(every), span, names.name)
    yield '<h2>How long</h2><div class="charts">'
    ran = [end for end in every if end.started is not None]
    for title, values, kind in (
        ("Run times", [end.run_s for end in ran], "running"),
        ("Waiting times", [end.wait_s for end in ran], "waiting"),
    ):
        if (data := series.histogram(values)) is not None:
            yield histogram_chart(title, data, kind, f"{title.lower()}; bars count tasks")
    yield "</div></section>"


def _nodes_chart(every: Sequence[TaskEnd], facts: Facts, span: float) -> str:
    zero = series.start_of(every)
    busy = series.busy_nodes(every)
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
    return lines_chart("Cost", lines, lambda value: _amount(value, report.currency), said)


def _stages(report: Report) -> Iterator[str]:
    if not any(stage.name for stage in report.stages):
        return
    yield f'<section><h2>Stages</h2>{_scroll("Stages")}<table class="sortable">'
    yield _header(
        ("Stage", ""), ("Ended", "n"), ("Failed", "n"), ("Retries", "n"), ("Queued", "n"),
        ("Run time", "n"), ("95 % under", "n"), ("Together", "n"), ("Cost", "n"),
    )  # fmt: skip
    for stage in report.stages:
        yield (
            f'<tr><th scope="row">{escape(stage.name)}</th>'
            f"{_count(stage.ended)}{_count(stage.failed)}{_count(stage.retries)}"
            f"{_time(stage.waited.median)}"
            f"{_time(stage.ran.median)}{_time(stage.ran.p95)}{_time(stage.task_s)}"
            f"{_money(stage.cost, report.currency)}</tr>"
        )
    yield "</tbody></table></div></section>"


def _use(report: Report, pool: Pool) -> Iterator[str]:
    """Used against requested."""
    rows: list[tuple[str, float, str]] = []
    node_s = report.dedicated_node_s + report.spot_node_s
    if report.slot_efficiency is not None:
        text = (
            f"of the {pool.task_slots_per_node} slots of each node while it had a task "
            f"({spoken(node_s * pool.task_slots_per_node)} of slot time)"
        )
        rows.append(("Slots", report.slot_efficiency, text))
    if report.cpu_efficiency is not None:
        rows.append(("Processors", report.cpu_efficiency, "of those of the slots that tasks took"))
    if not rows:
        return
    yield '<section><h2>Used against requested</h2><dl class="use">'
    for name, share, text in rows:
        width = min(100.0, share * 100)
        yield (
            f"<div><dt>{name}</dt><dd><b>{share:.0%}</b> {escape(text)}"
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


def _tasks(
    ends: Ends,
    reasons: Mapping[str, str],
    rates: Shares,
    report: Report,
    names: TaskNames,
    facts: Facts,
) -> Iterator[str]:
    failed = sorted((e for e in ends.latest if not e.succeeded), key=lambda end: end.id)
    slow = sorted(ends.latest, key=lambda end: -end.run_s)
    listed = {end.id: end for end in (*failed[:MOST_FAILED], *slow[:MOST_SLOW])}
    yield '<section><h2>Tasks</h2><p class="hint">'
    if len(listed) == len(ends.latest):
        yield "All that have ended. "
    else:
        yield (
            f"{len(listed):,} of {len(ends.latest):,}: those that failed ({MOST_FAILED:,} at "
            f"most) and the {MOST_SLOW:,} slowest. "
        )
    if facts.csv:
        yield f'<a href="{escape(facts.csv)}">All tasks as CSV</a>'
    else:
        yield f"All of them: <code>python -m jobs report {escape(report.job_id)} --csv FILE</code>"
    yield (
        '</p><p class="filter"><label>Show tasks with <input type="search" id="filter" '
        'placeholder="task, parameter, node, words" autocomplete="off"></label> '
        '<span id="shown" role="status"></span></p>'
        f'{_scroll("Tasks", " tall")}<table class="sortable" id="tasks">'
    )
    given = names.of(listed)
    several = any(given.values())
    yield _header(
        ("Task", ""), *([("Parameters", "")] if several else []), ("Outcome", ""),
        ("Queued", "n"), ("Run time", "n"), ("Again", "n"), ("Cost", "n"), ("Node", ""),
        ("Last words", ""),
    )  # fmt: skip
    for end in listed.values():
        text = written_values(given[end.id]) if several else None
        yield _task(end, reasons.get(end.id, ""), rates, report, names.name(end.id), text)
    yield "</tbody></table></div></section>"


def _task(
    end: TaskEnd, reason: str, rates: Shares, report: Report, name: str, given: str | None
) -> str:
    code = "" if end.exit_code is None else f" ({end.exit_code})"
    outcome = "ok" if end.succeeded else f"failed{code}"
    words = reason or ("" if end.succeeded or end.exit_code is not None else end.failure)
    again = end.retries + end.requeues
    return (
        f'<tr{"" if end.succeeded else " class=bad"} data-id="{escape(end.id)}">'
        f'<td title="{escape(end.id)}"><code>{escape(name)}</code></td>'
        + ("" if given is None else f'<td class="words">{escape(given)}</td>')
        + f"<td>{outcome}</td>{_time(end.wait_s)}{_time(end.run_s)}"
        f"{_number(again, str(again))}{_money(rates.of(end), report.currency)}"
        f'<td title="{escape(end.node_id)}"><code>{escape(short(end.node_id))}</code></td>'
        f'<td class="words">{escape(words)}</td></tr>'
    )


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
    return f"all {report.tasks:,} succeeded" if report.tasks > 1 else "succeeded"


def _scroll(name: str, kind: str = "") -> str:
    """Around a table that may be wider than the window; the keyboard scrolls it, too."""
    return f'<div class="scroll{kind}" tabindex="0" role="region" aria-label="{name}">'


def _header(*columns: tuple[str, str]) -> str:
    cells = "".join(
        f'<th scope="col"{" class=n" if kind else ""}><button type="button">{escape(name)}'
        "</button></th>"
        for name, kind in columns
    )
    return f"<thead><tr>{cells}</tr></thead><tbody>"


def _number(value: float, text: str, column: str = "") -> str:
    named = f' data-k="{column}"' if column else ""
    return f'<td class="n" data-v="{value:.9g}"{named}>{escape(text)}</td>'


def _count(number: int, column: str = "") -> str:
    return _number(number, f"{number:,}", column)


def _time(seconds: float) -> str:
    return _number(seconds, spoken(seconds))


def _money(amount: float | None, currency: str) -> str:
    return _number(-1, "?") if amount is None else _number(amount, _amount(amount, currency))


def _amount(value: float, currency: str) -> str:
    """An amount in little room: of small ones two digits that count."""
    sign = "$" if currency == "USD" else f"{currency} "
    if value >= 1 or value <= 0:
        return f"{sign}{value:,.2f}"
    return f"{sign}{value:.{max(2, 1 - math.floor(math.log10(value)))}f}"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
