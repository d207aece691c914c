"""What a job took and what it cost: arithmetic over its ended tasks, and a table of it.

Node seconds count the time in which a node had at least one of the job's tasks: that is
what the job keeps a node for, whatever number of its slots it fills. Boot and idle time
belong to the pool, not to the job, and are left out; so the cost is what this job's use
of the nodes is worth, at the prices in the stack's outputs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from jobs.durations import spoken
from jobs.results import ResultTree
from jobs.stack import Pool
from jobs.watch import TaskEnd

REPORT_VERSION = 1
_LAST_BYTES = 4096
_SHOWN_GROUPS = 5
_LEAST_SHOWN = 0.0001


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failed tasks that ended alike.

    Attributes:
        exit_code: Of their command, or None.
        failure: The service's code and message.
        last_line: The last line of stderr of the example.
        count: How many.
        example: One of them.
    """

    exit_code: int | None
    failure: str
    last_line: str
    count: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a job took.

    Attributes:
        job_id: The job.
        pool: Logical name of its pool.
        vm_size: Of the pool's nodes.
        tasks: Tasks of the job.
        succeeded: Ended well.
        failed: Did not.
        unfinished: Have not ended.
        retries: Attempts beyond the first, of all tasks.
        reruns: Attempts that were made again by hand; their node seconds count.
        requeues: Times that a task was put back, such as after a preemption.
        elapsed_s: From the first task's submission to the last one's end.
        waited_s: Mean time from submission to the start of the last attempt.
        task_s: Run times of all tasks together.
        slowest_s: The longest run time.
        slowest_task: Whose it was.
        nodes: Different nodes that ran tasks.
        dedicated_node_s: Node seconds on dedicated nodes.
        spot_node_s: Node seconds on spot nodes.
        cost: In `currency`; None where the price table does not know the size.
        currency: Such as `USD`.
        prices_as_of: Date of the price table.
        failures: Groups of failed tasks, the largest first.
        version: Of this object.
    """

    job_id: str
    pool: str
    vm_size: str
    tasks: int
    succeeded: int
    failed: int
    unfinished: int
    retries: int
    reruns: int
    requeues: int
    elapsed_s: float
    waited_s: float
    task_s: float
    slowest_s: float
    slowest_task: str
    nodes: int
    dedicated_node_s: float
    spot_node_s: float
    cost: float | None
    currency: str
    prices_as_of: str
    failures: tuple[FailureGroup, ...]
    version: int = REPORT_VERSION

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return asdict(self)


def make_report(
    *,
    job_id: str,
    pool_name: str,
    pool: Pool,
    total: int,
    ends: Collection[TaskEnd],
    last_lines: Mapping[str, str] | None = None,
    earlier: Collection[TaskEnd] = (),
) -> Report:
    """Computes a report.

    Args:
        job_id: The job.
        pool_name: Logical name of its pool.
        pool: That pool.
        total: Tasks of the job.
        ends: How tasks ended, each once.
        last_lines: Those of failed tasks' stderr, by task.
        earlier: How tasks had ended before they were run again: they took time and money.
    """
    ran = [end for end in (*ends, *earlier) if end.started is not None]
    dedicated = busy_s(end for end in ran if not end.on_spot)
    spot = busy_s(end for end in ran if end.on_spot)
    slowest = max(ran, key=lambda end: end.run_s, default=None)
    succeeded = sum(end.succeeded for end in ends)
    return Report(
        job_id=job_id,
        pool=pool_name,
        vm_size=pool.vm_size,
        tasks=total,
        succeeded=succeeded,
        failed=len(ends) - succeeded,
        unfinished=max(0, total - len(ends)),
        retries=sum(end.retries for end in (*ends, *earlier)),
        reruns=len(earlier),
        requeues=sum(end.requeues for end in (*ends, *earlier)),
        elapsed_s=(
            max(end.ended for end in (*ends, *earlier))
            - min(end.created for end in (*ends, *earlier))
            if ends or earlier
            else 0.0
        ),
        waited_s=(
            sum(max(0.0, (end.started or 0.0) - end.created) for end in ran) / len(ran)
            if ran
            else 0.0
        ),
        task_s=sum(end.run_s for end in ran),
        slowest_s=slowest.run_s if slowest is not None else 0.0,
        slowest_task=slowest.id if slowest is not None else "",
        nodes=len({end.node_id for end in ran}),
        dedicated_node_s=dedicated,
        spot_node_s=spot,
        cost=_cost(pool, dedicated, spot),
        currency=pool.price_currency,
        prices_as_of=pool.prices_as_of,
        failures=grouped(ends, last_lines or {}),
    )


def busy_s(ends: Iterable[TaskEnd]) -> float:
    """Seconds in which nodes had a task, summed over nodes: the union of the tasks' times."""
    by_node: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for end in ends:
        if end.started is not None:
            by_node[end.node_id].append((end.started, max(end.started, end.ended)))
    total = 0.0
    for spans in by_node.values():
        until = float("-inf")
        for start, stop in sorted(spans):
            total += max(0.0, stop - max(start, until))
            until = max(until, stop)
    return total


def last_lines(tree: ResultTree, ends: Iterable[TaskEnd]) -> dict[str, str]:
    """The last line that each failed task wrote to stderr, where its log was collected."""
    lines: dict[str, str] = {}
    for end in ends:
        if not end.succeeded:
            line = _last_line(tree.logs / end.id / "stderr.txt")
            if line:
                lines[end.id] = line
    return lines


def report_table(report: Report) -> Table:
    """The report for a person, at most 80 columns."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    outcome = f"{report.succeeded} of {report.tasks} succeeded"
    if report.failed:
        outcome += f", {report.failed} failed"
    if report.unfinished:
        outcome += f", {report.unfinished} not finished"
    if report.retries or report.requeues:
        outcome += f"; {report.retries} retries, {report.requeues} requeues"
    if report.reruns:
        outcome += f"; {report.reruns} run again"
    table.add_row("job", report.job_id)
    table.add_row("tasks", outcome)
    table.add_row(
        "time",
        f"{spoken(report.elapsed_s)} in all; mean wait {spoken(report.waited_s)}, "
        f"longest run {spoken(report.slowest_s)}, all runs {spoken(report.task_s)}",
    )
    node_s = report.dedicated_node_s + report.spot_node_s
    spot = f", {report.spot_node_s:.1f} of them spot" if report.spot_node_s else ""
    plural = "" if report.nodes == 1 else "s"
    table.add_row(
        "nodes",
        f"{report.nodes} node{plural} of {report.vm_size}, {node_s:.1f} node seconds{spot}",
    )
    table.add_row("cost", cost_text(report))
    return table


def cost_text(report: Report) -> str:
    """The cost in words, with what it leaves out."""
    if report.cost is None:
        return f"unknown: no price of {report.vm_size} in this region"
    return (
        f"{money(report.cost, report.currency)} on Azure, without boot and idle time "
        f"(prices of {report.prices_as_of})"
    )


def failure_lines(failures: Sequence[FailureGroup]) -> list[str]:
    """The failure groups, a line or two each."""
    lines: list[str] = []
    for group in failures[:_SHOWN_GROUPS]:
        code = "" if group.exit_code is None else f"exit code {group.exit_code}"
        what = code or group.failure or "no reason given"
        said = f' "{group.last_line}"' if group.last_line else ""
        times = f"{group.count} tasks" if group.count > 1 else "1 task"
        lines.append(f"{times}: {what}{said} - such as {group.example}")
    if len(failures) > _SHOWN_GROUPS:
        lines.append(f"and {len(failures) - _SHOWN_GROUPS} other kinds of failure")
    return lines


def money(amount: float, currency: str) -> str:
    """An amount with as many digits as it needs: `$1.84`, `$0.0003`."""
    sign = "$" if currency == "USD" else f"{currency} "
    if 0 < amount < _LEAST_SHOWN:
        return f"less than {sign}{_LEAST_SHOWN}"
    digits = 2 if amount >= 1 or amount == 0 else 4
    return f"{sign}{amount:,.{digits}f}"


def _cost(pool: Pool, dedicated_s: float, spot_s: float) -> float | None:
    """None if nodes of a kind were used whose price is not known."""
    total = 0.0
    for seconds, price in (
        (dedicated_s, pool.dedicated_price_per_hour),
        (spot_s, pool.spot_price_per_hour),
    ):
        if seconds and price is None:
            return None
        total += seconds / 3600 * (price or 0.0)
    return total


def grouped(ends: Iterable[TaskEnd], lines: Mapping[str, str]) -> tuple[FailureGroup, ...]:
    """Failed tasks by how they ended, the largest group first; `lines` are their last."""
    groups: dict[tuple[int | None, str, str], list[str]] = defaultdict(list)
    for end in ends:
        if not end.succeeded:
            groups[end.exit_code, end.failure, lines.get(end.id, "")].append(end.id)
    found = [
        FailureGroup(
            exit_code=code, failure=failure, last_line=line, count=len(ids), example=min(ids)
        )
        for (code, failure, line), ids in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: (-group.count, group.example)))


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _LAST_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(c for c in lines[-1] if c.isprintable())[:200] if lines else ""
