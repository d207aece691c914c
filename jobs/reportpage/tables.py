"""The page's tables. Everything that a task or a person chose is escaped, each time.

A cell of a column of numbers has its value beside its words, by which the page sorts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape

from jobs.command_lines import shown_command
from jobs.durations import spoken
from jobs.looks import TaskEnd, ended_how
from jobs.prices import Shares
from jobs.report import Report
from jobs.reportpage.charts import short
from jobs.rerun import Ends
from jobs.stale import Stale
from jobs.task_names import TaskNames, written_values

MOST_FAILED = 1000
MOST_STALE = 1000
MOST_SLOW = 1000
MOST_AGAIN = 100


def failures(report: Report) -> Iterator[str]:
    """Why tasks failed."""
    if not report.failures:
        return
    yield '<section><h2>Why tasks failed</h2><div class="scroll"><table class="sortable cards">'
    yield _header(("Tasks", "n"), ("Ended with", ""), ("Last words", ""), ("Example", ""))
    for group in report.failures[:50]:
        task = group.name or group.example
        logs = f"python -m jobs logs {task} --job {report.job_id}"
        given = f"<br>{escape(written_values(group.parameters))}" if group.parameters else ""
        ran = escape(shown_command(group.command))
        given += f"<br><code>{ran}</code>" if ran else ""
        yield (
            f'<tr>{_count(group.count, "Tasks")}<td data-k="Ended with">'
            f"{escape(ended_how(group.exit_code, group.failure))}</td>"
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


def stages(report: Report) -> Iterator[str]:
    """What each stage took; nothing for a job without stages."""
    if not any(stage.name for stage in report.stages):
        return
    yield f'<section><h2>Stages</h2>{_scroll("Stages")}<table class="sortable">'
    yield _header(
        ("Stage", ""), ("Ended", "n"), ("Failed", "n"),
        *([("Stale", "n")] if report.stale else []), ("Retries", "n"), ("Queued", "n"),
        ("Run time", "n"), ("95 % under", "n"), ("Together", "n"), ("Cost", "n"),
    )  # fmt: skip
    for stage in report.stages:
        yield (
            f'<tr{" class=bad" if stage.stale else ""}><th scope="row">{escape(stage.name)}</th>'
            f"{_count(stage.ended)}{_count(stage.failed)}"
            f"{_count(stage.stale) if report.stale else ''}{_count(stage.retries)}"
            f"{_time(stage.waited.median)}"
            f"{_time(stage.ran.median)}{_time(stage.ran.p95)}{_time(stage.task_s)}"
            f"{_money(stage.cost, report.currency)}</tr>"
        )
    yield "</tbody></table></div></section>"


def nodes(report: Report) -> Iterator[str]:
    """What each node did."""
    if not report.by_node:
        return
    yield f'<section><h2>Nodes</h2>{_scroll("Nodes", " low")}<table class="sortable" id="nodes">'
    yield _header(
        ("Node", ""), ("Kind", ""), ("Tasks", "n"), ("Failed", "n"), ("Had a task", "n"),
        ("Cost", "n"),
    )  # fmt: skip
    for node in report.by_node:
        yield (
            f"<tr{' class=bad' if node.failed else ''}>"
            f'<td class="words"><code>{escape(node.node_id)}</code></td>'
            f"<td>{'spot' if node.spot else 'dedicated'}</td>"
            f"{_count(node.tasks)}{_count(node.failed)}{_time(node.busy_s)}"
            f"{_money(node.cost, report.currency)}</tr>"
        )
    yield "</tbody></table></div>"
    if report.nodes > len(report.by_node):
        yield (
            f'<p class="hint">{len(report.by_node):,} of {report.nodes:,}: those on which most '
            "failed, then those that were longest busy.</p>"
        )
    yield "</section>"


def tasks(
    ends: Ends,
    reasons: Mapping[str, str],
    rates: Shares,
    report: Report,
    names: TaskNames,
    csv: str,
    stale: Stale,
) -> Iterator[str]:
    """The tasks that failed, stale and slow ones; `csv` is the address of the table of all."""
    old = sorted((e for e in ends.latest if stale.source(e.id)), key=lambda end: end.id)
    failed = sorted((e for e in ends.latest if not e.succeeded), key=lambda end: end.id)
    slow = sorted(ends.latest, key=lambda end: -end.run_s)
    again = [end for end in ends.latest if end.retries or end.requeues]
    again.sort(key=lambda end: (-end.retries - end.requeues, end.id))
    kept = (*failed[:MOST_FAILED], *old[:MOST_STALE], *again[:MOST_AGAIN], *slow[:MOST_SLOW])
    listed = {end.id: end for end in kept}
    stale_ones = f"those that are stale ({MOST_STALE:,} at most), " if old else ""
    yield '<section><h2>Tasks</h2><p class="hint">'
    if len(listed) == len(ends.latest):
        yield "All that have ended. "
    else:
        yield (
            f"{len(listed):,} of {len(ends.latest):,}: those that failed ({MOST_FAILED:,} at "
            f"most), {stale_ones}the {MOST_AGAIN:,} that ran again most often and the "
            f"{MOST_SLOW:,} slowest. "
        )
    if csv:
        yield f'<a href="{escape(csv)}">All tasks as CSV</a>'
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
        source = stale.source(end.id)
        made = f"stale: {source} ran again since" if source else ""
        words = "; ".join(filter(None, (reasons.get(end.id, ""), made)))
        yield _task(end, words, rates, report, names.name(end.id), text, stale=bool(source))
    yield "</tbody></table></div></section>"


def _task(
    end: TaskEnd,
    reason: str,
    rates: Shares,
    report: Report,
    name: str,
    given: str | None,
    *,
    stale: bool,
) -> str:
    code = "" if end.exit_code is None else f" ({end.exit_code})"
    outcome = ("stale" if stale else "ok") if end.succeeded else f"failed{code}"
    words = reason or ("" if end.succeeded or end.exit_code is not None else end.failure)
    again = end.retries + end.requeues
    return (
        f'<tr{" class=bad" if stale or not end.succeeded else ""} data-id="{escape(end.id)}">'
        f'<td title="{escape(end.id)}"><code>{escape(name)}</code></td>'
        + ("" if given is None else f'<td class="words">{escape(given)}</td>')
        + f"<td>{outcome}</td>{_time(end.wait_s)}{_time(end.run_s)}"
        f"{_number(again, str(again))}{_money(rates.of(end), report.currency)}"
        f'<td title="{escape(end.node_id)}"><code>{escape(short(end.node_id))}</code></td>'
        f'<td class="words">{escape(words)}</td></tr>'
    )


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
    return _number(-1, "?") if amount is None else _number(amount, short_amount(amount, currency))


def short_amount(value: float, currency: str) -> str:
    """An amount in little room: of small ones two digits that count."""
    sign = "$" if currency == "USD" else f"{currency} "
    if value >= 1 or value <= 0:
        return f"{sign}{value:,.2f}"
    return f"{sign}{value:.{max(2, 1 - math.floor(math.log10(value)))}f}"
