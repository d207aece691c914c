"""What follows when a task ends badly: the file's words as the service's exit conditions.

| word       | tasks that wait for it | the job              |
|------------|------------------------|----------------------|
| `block`    | never run              | goes on              |
| `continue` | run all the same       | goes on              |
| `stop`     | never run              | ends at once         |
| `pause`    | never run              | disabled, for a look |

Running a task again is no exit condition of the service: it retries whatever exits with
another code than 0 (`resources.retries`). The service never ends a job whose tasks wait
for one that failed; whoever watches does (`jobs.blocked`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jobs.spec_tasks import exit_codes

_JOB_ACTIONS = {"block": "none", "continue": "none", "stop": "terminate", "pause": "disable"}
_ACT_ON_JOB = frozenset({"stop", "pause"})


def acts_on_job(rules: Iterable[Mapping[str, str]]) -> bool:
    """Whether any of the stages' `on_failure` ends or pauses the job."""
    return any(word in _ACT_ON_JOB for stage in rules for word in stage.values())


def exit_conditions(
    rules: Mapping[str, str], *, on_job: bool, dependencies: bool
) -> dict[str, Any] | None:
    """`exitConditions` of a task; None where the service's defaults are what is wanted.

    Args:
        rules: The stage's `on_failure`.
        on_job: Whether the job has `onTaskFailure: performexitoptionsjobaction`. Then a
            task must say that other failures do nothing to the job: the service's default
            is to end it. Without it, the service refuses job actions.
        dependencies: Whether the job uses dependencies; else the service refuses theirs.
    """

    def options(word: str) -> dict[str, str]:
        return {
            **({"jobAction": _JOB_ACTIONS[word]} if on_job else {}),
            **(
                {"dependencyAction": "satisfy" if word == "continue" else "block"}
                if dependencies
                else {}
            ),
        }

    otherwise = rules.get("otherwise", "block")
    if not on_job and (not dependencies or not rules):
        return None
    conditions: dict[str, Any] = {"default": options(otherwise)}
    for key, member in (("start", "preProcessingError"), ("upload", "fileUploadError")):
        if key in rules:
            conditions[member] = options(rules[key])
    for key in sorted(rules.keys() - {"start", "upload", "otherwise"}, key=exit_codes):
        first, last = exit_codes(key)
        if first == last:
            codes = conditions.setdefault("exitCodes", [])
            codes.append({"code": first, "exitOptions": options(rules[key])})
        else:
            ranges = conditions.setdefault("exitCodeRanges", [])
            ranges.append({"start": first, "end": last, "exitOptions": options(rules[key])})
    return conditions
