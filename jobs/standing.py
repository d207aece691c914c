"""Where a job stands, in words and as JSON: the same of every look, whichever verb took it.

`jobs.progress` draws what moves; here is what is printed once, by `status` and when somebody
stops watching. Every task of the job is in exactly one count.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from jobs.looks import Look, Outage, ended_how
from jobs.prices import money
from jobs.stages import shown_task

_ENDED_BY_ITSELF = frozenset({"AllTasksCompleted", "AllTasksComplete"})
"""The service says the first, its documentation (BatchJobExecutionInfo) the second."""
_END_WORDS = {
    "CanceledByUser": "it was canceled",
    "UserTerminate": "somebody ended it and did not say why",
    "MaxFails": "so many tasks failed: --max-fails",
    "MaxCost": "it cost so much: --max-cost",
    "Blocked": "what was left waited for tasks that failed",
    "PreparationFailed": "its preparation failed on every node",
    "TaskFailed": "a task failed, and on_failure is stop",
    "TerminateJobSchedule": "its schedule was ended",
    "MaxWallClockTimeExpiry": "the job's time limit passed",
}


def ended_text(reason: str) -> str:
    """Why a job was ended, by its `terminateReason`; empty for one that came to its own end."""
    if not reason or reason in _ENDED_BY_ITSELF:
        return ""
    words = _END_WORDS.get(reason)
    return f"it was ended: {reason}{f' ({words})' if words else ''}"


def counts_text(look: Look) -> str:
    """Its tasks by what became of them: numbers that add up to the first."""
    over = look.over or look.job_over
    parts = [
        (look.unsubmitted, "not submitted", False),
        (look.waiting, "waiting", not over),
        (look.running, "running", not over),
        (look.succeeded, "succeeded", True),
        (look.failed, "failed", True),
        (look.never_ran, "never ran", False),
    ]
    told = ", ".join(f"{number:,} {what}" for number, what, always in parts if number or always)
    return f"{look.total:,}: {told}"


def standing(look: Look, currency: str) -> Iterator[str]:
    """Where it stands, in lines; why no more of it runs among them."""
    yield f"tasks: {counts_text(look)}"
    if look.outage is not None:
        yield outage_text(look.outage)
    if look.cost:
        yield f"cost: {money(look.cost, currency)} so far"
    yield from (f"why: {reason}" for reason in look.obstacles)
    if look.stale:
        yield look.stale.text
    if first := look.first_failure:
        how = ended_how(first.exit_code, first.failure, code_is="exit")
        yield f"first failure: {first_failure(look)} {how}"


def outage_text(outage: Outage) -> str:
    """Since when, by the clock on the wall, the service cannot be reached, and why."""
    since = datetime.fromtimestamp(outage.since, UTC).astimezone()
    return f"out of reach since {since:%H:%M:%S} ({outage.why})"


def first_failure(look: Look) -> str:
    """What a person calls the first task that failed; empty where none is known."""
    counts = {stage.name: stage.total for stage in look.stages}
    return "" if look.first_failure is None else shown_task(look.first_failure.id, counts)


def look_json(look: Look) -> dict[str, Any]:
    """A look as a JSON object, without the moment at which it was taken.

    `total` is the sum of `unsubmitted`, `waiting`, `running`, `succeeded`, `failed` and
    `never_ran`.
    """
    failure = look.first_failure
    return {
        "state": look.job_state,
        "total": look.total,
        "unsubmitted": look.unsubmitted,
        "waiting": look.waiting,
        "running": look.running,
        "succeeded": look.succeeded,
        "failed": look.failed,
        "never_ran": look.never_ran,
        "retried": look.retried,
        "over": look.over,
        "end_reason": look.end_reason,
        "standstill": None if look.standstill is None else str(look.standstill.cause),
        "blocked": look.blocked,
        "unprepared": look.unprepared,
        "reasons": list(look.reasons),
        "obstacles": list(look.obstacles),
        "stale": look.stale.as_json(),
        "outage": None if look.outage is None else _outage_json(look.outage),
        "nodes": dict(look.pool.nodes) if look.pool is not None else {},
        "target_nodes": None if look.pool is None else look.pool.target,
        "cost": look.cost,
        "first_failure": None if failure is None else failure.id,
        "stages": {
            stage.name: {
                "total": stage.total,
                "succeeded": stage.succeeded,
                "failed": stage.failed,
                "running": stage.running,
                "waiting": stage.waiting,
                "retried": stage.retried,
            }
            for stage in look.stages
        },
    }


def _outage_json(outage: Outage) -> dict[str, str]:
    since = datetime.fromtimestamp(outage.since, UTC)
    return {"since": f"{since:%Y-%m-%dT%H:%M:%SZ}", "why": outage.why}
