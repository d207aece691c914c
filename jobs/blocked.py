"""Tasks that can never run: those that wait for one that failed, and those behind them.

The service leaves them active for ever, and the job with them: it cancels no dependents
(ExitOptions.dependencyAction of azure-batch: "Batch does not yet support cancellation of
dependent tasks"). So that somebody who watches is not kept for ever either, this is asked
once whenever a job with failures has stood still.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.dependencies import Span
from jobs.service import BatchService, segment
from jobs.waiting import first_within

_PAGE = "1000"


def blocked_tasks(service: BatchService, job_id: str) -> int:
    """How many tasks wait, if none of them can ever run; 0 if any may.

    Raises:
        ServiceError: The job is gone, or the service refuses.
    """
    path = f"/jobs/{segment(job_id)}/tasks"
    doing = f"looking for blocked tasks of job {job_id}"
    waiting = service.pages(
        path,
        doing,
        **{"$filter": "state eq 'active'", "$select": "id,dependsOn", "maxresults": _PAGE},
    )
    dependents = sorted(waiting, key=lambda task: _number(task["id"]))
    if not dependents or not all(task.get("dependsOn") for task in dependents):
        return 0
    ended = service.pages(
        path,
        doing,
        **{
            "$filter": "state eq 'completed'",
            "$select": "id,exitConditions,executionInfo",
            "maxresults": _PAGE,
        },
    )
    failed = sorted(_number(task["id"]) for task in ended if not satisfies(task))
    behind: list[int] = []  # ascending, as the dependents are
    for task in dependents:
        spans = tuple(_spans(task["dependsOn"]))
        if all(first_within(numbers, spans) is None for numbers in (failed, behind)):
            return 0
        behind.append(_number(task["id"]))
    return len(dependents)


def satisfies(task: Mapping[str, Any]) -> bool:
    """Whether a completed task lets the tasks that wait for it run."""
    info = task.get("executionInfo", {})
    code = info.get("exitCode")
    ok = str(info.get("result", "")).lower() == "success"
    conditions = task.get("exitConditions") or {}
    matching = _matching(conditions, info, code, ok=ok)
    action = str((matching or {}).get("dependencyAction", "satisfy" if ok else "block"))
    return action.lower() == "satisfy"


def _matching(
    conditions: Mapping[str, Any], info: Mapping[str, Any], code: int | None, *, ok: bool
) -> Mapping[str, Any] | None:
    """The options that the service applies (ExitConditions of azure-batch)."""
    exact = [m for m in conditions.get("exitCodes", ()) if m["code"] == code]
    spans = [m for m in conditions.get("exitCodeRanges", ()) if _within(m, code)]
    if exact or spans:
        found: Mapping[str, Any] = (exact or spans)[0]["exitOptions"]
        return found
    if ok:
        return None
    failure = str((info.get("failureInfo") or {}).get("code", ""))
    kind = None
    if failure.startswith("FileUpload"):
        kind = "fileUploadError"
    elif code is None and failure != "TaskEnded":
        kind = "preProcessingError"
    options: Mapping[str, Any] | None = conditions.get(kind or "", conditions.get("default"))
    return options


def _within(mapping: Mapping[str, Any], code: int | None) -> bool:
    return code is not None and bool(mapping["start"] <= code <= mapping["end"])


def _spans(depends: Mapping[str, Any]) -> Iterator[Span]:
    """The numbers that a task waits for."""
    for task_id in depends.get("taskIds", ()):
        yield _number(task_id), _number(task_id)
    for span in depends.get("taskIdRanges", ()):
        yield span["start"], span["end"]


def _number(task_id: str) -> int:
    digits = task_id.partition("-")[0]
    return int(digits) if digits.isdecimal() else -1
