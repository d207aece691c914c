"""What a job took and what it cost: arithmetic over its ended tasks.

The figures are the service's own times; what they are worth is in `jobs.prices`. How they
are shown is elsewhere: `jobs.report_text`, `jobs.task_table` (CSV), `jobs.reportpage`.

The service does not tell a task's preparation (its files being fetched) from its run:
the start time that it gives is before it. Nor does it count memory. Of a task that ran
again it keeps the last attempt: what the earlier ones took is an estimate, marked as one,
and never less than somebody watched.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from heapq import nlargest
from pathlib import Path
from typing import Any

from jobs.command_lines import COORDINATION
from jobs.log_lines import unsteering
from jobs.looks import TaskEnd
from jobs.node_spans import nodes_at_least
from jobs.prices import NodeTime, estimated_s, node_time, shares, slot_s
from jobs.results import ResultTree
from jobs.stack import Pool
from jobs.stale import NOTHING_STALE, Stale
from jobs.task_names import TaskNames, Values
from jobs.usage import (
    NodeUse,
    SlowTask,
    Spread,
    StageUse,
    by_node,
    by_stage,
    processor_time,
    spread,
)

REPORT_VERSION = 1
REASON_FILE = "reason.txt"
"""Beside stdout.txt and stderr.txt: where a task may say why it failed."""
REASON_VARIABLE = "JOBS_REASON"
"""In which a task finds that file's path, relative to the directory it starts in."""
REASON_BYTES = 1024
SLOWEST = 20
_LAST_BYTES = 4096
_LINE = 200
_VARYING = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|0[xX][0-9a-fA-F]+"
    r"|(?:(?<!\w)[-+])?\d+(?:[.,:]\d+)*(?:[eE][-+]?\d+)?(?!\w)"
    r"|\b(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b"
    r"|\d+"
)
"""What differs between lines that say the same: addresses, hashes and the like, numbers."""
UNNAMED = TaskNames()
"""Of a job without stages whose workload is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failed tasks that ended alike.

    Attributes:
        exit_code: Of their command, or None.
        failure: The service's code and message.
        last_line: What the example gave as its reason, else the last line of its stderr; those
            of the others differ from it in numbers at most.
        count: How many.
        example: The id of one of them.
        name: What a person calls that one.
        parameters: What it was given, where that is known.
        command: Its command, of the most frequent kinds.
    """

    exit_code: int | None
    failure: str
    last_line: str
    count: int
    example: str
    name: str = ""
    parameters: Values = field(default_factory=dict)
    command: str = ""


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
        elapsed_s: From the first task's submission to the last one's end; where none has ended,
            the life of the job so far.
        waited_s: Mean time from submission to the start of the first attempt.
        task_s: Run times of all tasks' last attempts together.
        slowest_s: The longest run time.
        slowest_task: Whose it was.
        nodes: Different nodes that ran tasks; at least so many if some took several.
        dedicated_node_s: Node seconds on dedicated nodes.
        spot_node_s: Node seconds on spot nodes.
        cost: In `currency`; None where the price table does not know the size.
        currency: Such as `USD`.
        prices_as_of: Date of the price table.
        failures: Groups of failed tasks, the largest first.
        starting_s: From the first submission to the first start: nodes had to come.
        waited: How long tasks queued.
        ran: How long they ran.
        uploading_s: Time in which outputs were uploaded after the commands had ended.
        slot_efficiency: Slots that tasks took, of those of the nodes while these had a task.
        cpu_efficiency: Processor time used, of that of the slots taken; None until the
            service has counted it.
        requeued_tasks: Tasks that were put back at least once.
        stages: What each stage took.
        slowest: The tasks that ran longest.
        tags: What the job is to be found and counted by.
        estimated_node_s: Of the node seconds, those of attempts of which the service kept no
            times.
        cpu_s: Processor time used, of tasks where the service has counted it; None: of none.
        cpu_given_s: That of the slots which these took.
        by_node: What nodes did, those where most failed first; not of all if there are many.
        over: Whether the job is over, and nothing of this will change.
        stale: Tasks whose answer is of outputs that were replaced since, by hand: whatever is
            said of it, the job has no answer until they have run again.
        cost_is_most: Whether spot nodes are priced as dedicated ones, for want of their own price.
        version: Of this object. Members are added without a new version, never changed.
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
    starting_s: float = 0.0
    waited: Spread = field(default_factory=Spread)
    ran: Spread = field(default_factory=Spread)
    uploading_s: float = 0.0
    slot_efficiency: float | None = None
    cpu_efficiency: float | None = None
    requeued_tasks: int = 0
    stages: tuple[StageUse, ...] = ()
    slowest: tuple[SlowTask, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    estimated_node_s: float = 0.0
    cpu_s: float | None = None
    cpu_given_s: float | None = None
    by_node: tuple[NodeUse, ...] = ()
    cost_is_most: bool = False
    over: bool = False
    stale: int = 0
    version: int = REPORT_VERSION

    @property
    def used(self) -> NodeTime:
        """Its node time."""
        return NodeTime(dedicated_s=self.dedicated_node_s, spot_s=self.spot_node_s)

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
    names: TaskNames = UNNAMED,
    watched: float = 0.0,
    allowed: Mapping[str, float] | None = None,
    stale: Stale = NOTHING_STALE,
    lived_s: float = 0.0,
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
        names: What people call the tasks.
        watched: What the job was seen to cost while it ran, in the currency of its pool.
        allowed: Seconds that a task may run, by stage, where there is a limit.
        stale: Tasks whose answer is stale.
        lived_s: How long the job has been there, where no task has ended.
    """
    every = (*ends, *earlier)
    ran = [end for end in every if end.started is not None]
    slots = pool.task_slots_per_node
    used, estimated = node_time(ran, slots), estimated_s(ran, slots)
    cost = used.cost(pool)
    if estimated and cost and watched > cost:
        more = used.times(watched / cost)
        used, estimated = more, estimated + more.total_s - used.total_s
    rates = shares(ran, pool, used)
    cpu_s, cpu_given_s = processor_time(ran, pool) or (None, None)
    slowest = nlargest(SLOWEST, ran, key=lambda end: end.run_s)
    given = names.of(end.id for end in slowest)
    succeeded = sum(end.succeeded for end in ends)
    created = min((end.created for end in every), default=0.0)
    return Report(
        job_id=job_id,
        pool=pool_name,
        vm_size=pool.vm_size,
        tasks=total,
        succeeded=succeeded,
        failed=len(ends) - succeeded,
        unfinished=max(0, total - len(ends)),
        retries=sum(end.retries for end in every),
        reruns=len(earlier),
        requeues=sum(end.requeues for end in every),
        elapsed_s=max(end.ended for end in every) - created if every else lived_s,
        waited_s=sum(end.wait_s for end in ran) / len(ran) if ran else 0.0,
        task_s=sum(end.run_s for end in ran),
        slowest_s=slowest[0].run_s if slowest else 0.0,
        slowest_task=slowest[0].id if slowest else "",
        nodes=nodes_at_least(ran, slots),
        dedicated_node_s=used.dedicated_s,
        spot_node_s=used.spot_s,
        cost=used.cost(pool),
        cost_is_most=used.spot_s > 0 and pool.spot_price_per_hour is None,
        currency=pool.price_currency,
        prices_as_of=pool.prices_as_of,
        failures=grouped(ends, last_lines or {}, names),
        starting_s=max(0.0, min(e.begun or 0.0 for e in ran) - created) if ran else 0.0,
        waited=spread([end.wait_s for end in ran]),
        ran=spread([end.run_s for end in ran]),
        uploading_s=sum(end.upload_s for end in ran),
        slot_efficiency=_ratio(sum(map(slot_s, ran)), used.total_s * slots),
        cpu_efficiency=None if cpu_s is None else _ratio(cpu_s, cpu_given_s or 0.0),
        cpu_s=cpu_s,
        cpu_given_s=cpu_given_s,
        requeued_tasks=sum(end.requeues > 0 for end in every),
        stages=by_stage(ends, earlier, rates, names, allowed or {}, stale.by_stage),
        by_node=by_node(ran, pool, used),
        estimated_node_s=estimated,
        slowest=tuple(
            SlowTask(
                id=end.id,
                stage=names.stage(end.id),
                name=names.name(end.id),
                parameters=given[end.id],
                node_id=end.node_id,
                succeeded=end.succeeded,
                run_s=end.run_s,
                cost=rates.of(end),
                stale=bool(stale.source(end.id)),
            )
            for end in slowest
        ),
        stale=len(stale),
    )


def last_lines(tree: ResultTree, ends: Iterable[TaskEnd]) -> dict[str, str]:
    """Why each failed task failed: its own reason, else its last line of stderr.

    Of tasks whose logs were collected. Of one whose own command never ran, the last line of
    its coordination command, if the nodes that printed anything agree.
    """
    lines: dict[str, str] = {}
    for end in ends:
        if not end.succeeded:
            logs = tree.logs / end.id
            own = logs / "stderr.txt"
            said = _last_line(own) if own.exists() else _coordination_line(logs)
            if line := reason_in(logs / REASON_FILE) or said:
                lines[end.id] = line
    return lines


def _coordination_line(logs: Path) -> str:
    """What nodes printed last before the task's own command, if it is the same on all."""
    said = {line for log in logs.glob(f"{COORDINATION}/*/stderr.txt") if (line := _last_line(log))}
    return said.pop() if len(said) == 1 else ""


def reason_in(path: Path) -> str:
    """What a task wrote as the reason of its failure, in one line; empty if nothing."""
    try:
        with path.open("rb") as stream:
            return one_line(stream.read(REASON_BYTES))
    except OSError:
        return ""


def one_line(data: bytes) -> str:
    """What a task wrote, as one line of at most 200 characters that steer no terminal.

    A line that is longer ends with `…`.
    """
    words = " ".join(data.decode("utf-8", "replace").split())
    line = unsteering(words)
    return line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"


def grouped(
    ends: Iterable[TaskEnd], lines: Mapping[str, str], names: TaskNames = UNNAMED
) -> tuple[FailureGroup, ...]:
    """Failed tasks by how they ended, the largest group first; `lines` are their last.

    Lines that differ only in numbers are of one group, which has that of its example.
    """
    groups: dict[tuple[int | None, str, str], list[TaskEnd]] = defaultdict(list)
    for end in ends:
        if not end.succeeded:
            line = lines.get(end.id, "")
            groups[end.exit_code, _alike(end.failure), _alike(line)].append(end)
    examples = [min(alike, key=lambda end: end.id) for alike in groups.values()]
    given = names.of(end.id for end in examples)
    found = [
        FailureGroup(
            exit_code=example.exit_code,
            failure=example.failure,
            last_line=lines.get(example.id, ""),
            count=len(alike),
            example=example.id,
            name=names.name(example.id),
            parameters=given[example.id],
        )
        for example, alike in zip(examples, groups.values(), strict=True)
    ]
    return tuple(sorted(found, key=lambda group: (-group.count, group.example)))


def _alike(line: str) -> str:
    """What lines have in common that differ only in numbers."""
    return _VARYING.sub("#", line)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _LAST_BYTES))
            lines = [line for line in stream.read().splitlines() if line.strip()]
    except OSError:
        return ""
    return one_line(lines[-1]) if lines else ""
