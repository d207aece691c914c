"""A report for a person at a terminal: one short table, failures digested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from jobs.command_lines import shown_command
from jobs.durations import spoken
from jobs.looks import ended_how
from jobs.prices import money, money_about
from jobs.report import FailureGroup, Report
from jobs.task_names import written_values

_SHOWN_GROUPS = 5
_COMMAND_SEEN = 160


def report_table(report: Report) -> Table:
    """The report, at most 80 columns."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("job", report.job_id)
    table.add_row("tasks", _outcome(report))
    table.add_row(
        "time",
        f"{spoken(report.elapsed_s)} in all; mean wait {spoken(report.waited_s)}, "
        f"longest run {spoken(report.slowest_s)}, all runs {spoken(report.task_s)}",
    )
    parts = [
        f"{seconds:.1f} {'' if n else 'of them '}{kind}"
        for n, (seconds, kind) in enumerate(_parts(report))
    ]
    plural = "" if report.nodes == 1 else "s"
    table.add_row(
        "nodes",
        f"{report.nodes} node{plural} of {report.vm_size}, "
        + ", ".join((f"{report.used.total_s:.1f} node seconds", *parts)),
    )
    if report.slot_efficiency is not None:
        table.add_row("used", _used(report))
    table.add_row("cost", cost_text(report))
    return table


def stage_table(report: Report) -> Table | None:
    """What each stage took; None for a job without stages."""
    if not any(stage.name for stage in report.stages):
        return None
    table = Table(box=None, pad_edge=False)
    table.add_column("stage", overflow="fold")
    stale = ("stale",) if report.stale else ()
    for title in ("ended", "failed", *stale, "wait", "run", "p95", "cost"):
        table.add_column(title, justify="right", no_wrap=True)
    for stage in report.stages:
        table.add_row(
            Text(stage.name),
            f"{stage.ended:,}",
            f"{stage.failed:,}",
            *(f"{stage.stale:,}" for _ in stale),
            spoken(stage.waited.median),
            spoken(stage.ran.median),
            spoken(stage.ran.p95),
            "?" if stage.cost is None else money(stage.cost, report.currency),
        )
    return table


def cost_text(report: Report) -> str:
    """The cost in words, with what it leaves out."""
    if report.cost is None:
        return f"unknown: no price of {report.vm_size} in this region"
    if report.cost_is_most:
        amount = f"at most {money(report.cost, report.currency)}"
    else:
        amount = (money_about if report.estimated_node_s else money)(report.cost, report.currency)
    return f"{amount} on Azure, without boot and idle time (prices of {report.prices_as_of})"


def _parts(report: Report) -> Iterator[tuple[float, str]]:
    """Node seconds that are to be told apart."""
    if report.spot_node_s:
        yield report.spot_node_s, "spot"
    if report.estimated_node_s:
        yield report.estimated_node_s, "estimated (attempts before the last)"


def failure_lines(failures: Sequence[FailureGroup]) -> list[str]:
    """The failure groups, a line or two each; a command that was shown is not shown again."""
    lines: list[str] = []
    commands = {""}
    for group in failures[:_SHOWN_GROUPS]:
        said = f' "{group.last_line}"' if group.last_line else ""
        given = f" ({written_values(group.parameters)})" if group.parameters else ""
        times = f"{group.count} tasks" if group.count > 1 else "1 task"
        task = group.name or group.example
        how = ended_how(group.exit_code, group.failure)
        lines.append(f"{times}: {how}{said} - such as {task}{given}")
        command = shown_command(group.command, _COMMAND_SEEN)
        if command not in commands:
            commands.add(command)
            lines.append(f"  its command: {command}")
    if len(failures) > _SHOWN_GROUPS:
        lines.append(f"and {len(failures) - _SHOWN_GROUPS} other kinds of failure")
    return lines


def _outcome(report: Report) -> str:
    outcome = f"{report.succeeded} of {report.tasks} succeeded"
    if report.failed:
        outcome += f", {report.failed} failed"
    if report.unfinished:
        outcome += f", {report.unfinished} not finished"
    if report.stale:
        outcome += f", {report.stale} stale"
    if report.retries or report.requeues:
        outcome += f"; {report.retries} retries, {report.requeues} requeues"
    if report.reruns:
        outcome += f"; {report.reruns} run again"
    return outcome


def _used(report: Report) -> str:
    cpu = report.cpu_efficiency
    slots = f"{report.slot_efficiency or 0:.0%} of the slots of busy nodes"
    return slots if cpu is None else f"{slots}, {cpu:.0%} of their processors"
