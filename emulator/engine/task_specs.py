"""What the specification of a task says: on what it depends, what its exit conditions ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from emulator.engine.world import Task


def packed(spec: Mapping[str, Any]) -> bytes:
    """A specification as it is kept; copied, because orjson's own bytes hold a whole page."""
    return bytes(memoryview(orjson.dumps(spec)))


def spec_of(task: Task) -> dict[str, Any]:
    """What the client wrote, normalised."""
    spec: dict[str, Any] = orjson.loads(task.spec)
    return spec


def depends_on(spec: Mapping[str, Any]) -> Iterable[str]:
    """Keys of the tasks that a task depends on, each once; a range names ids that are numbers."""
    depends: Mapping[str, Any] = spec.get("dependsOn") or {}
    ids = [task_id.lower() for task_id in depends.get("taskIds", ())]
    for span in depends.get("taskIdRanges", ()):
        ids += map(str, range(span["start"], span["end"] + 1))
    return dict.fromkeys(ids)


def exit_options(task: Task) -> dict[str, Any]:
    """What a completed task's exit conditions ask for, with the documented defaults.

    An exit code that no condition names falls to `default`; without that, success asks
    for nothing and failure blocks dependents and terminates the job (`ExitOptions`).
    """
    ok = task.result == "success"
    defaults = (
        {"jobAction": "none", "dependencyAction": "satisfy"}
        if ok
        else {"jobAction": "terminate", "dependencyAction": "block"}
    )
    if not task.conditional:
        return defaults
    conditions: dict[str, Any] = spec_of(task)["exitConditions"]
    return {**defaults, **_matching(task, conditions, ok=ok)}


def _matching(task: Task, conditions: Mapping[str, Any], *, ok: bool) -> Mapping[str, Any]:
    code = (task.failure or {}).get("code", "")
    if code.startswith("FileUpload") and "fileUploadError" in conditions:
        found: Mapping[str, Any] = conditions["fileUploadError"]
        return found
    if task.exit_code is None and not ok and code != "TaskEnded":
        early: Mapping[str, Any] = conditions.get(
            "preProcessingError", conditions.get("default", {})
        )
        return early
    for mapping in conditions.get("exitCodes", ()):
        if mapping["code"] == task.exit_code:
            exact: Mapping[str, Any] = mapping["exitOptions"]
            return exact
    for mapping in conditions.get("exitCodeRanges", ()):
        if task.exit_code is not None and mapping["start"] <= task.exit_code <= mapping["end"]:
            ranged: Mapping[str, Any] = mapping["exitOptions"]
            return ranged
    rest: Mapping[str, Any] = {} if ok else conditions.get("default", {})
    return rest


def satisfies(task: Task) -> bool:
    """Whether a completed task lets its dependents run."""
    return bool(exit_options(task)["dependencyAction"] == "satisfy")
