"""Stages: order, numbers, dependencies, exit conditions and what tasks read of each other."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.blocked import satisfies
from jobs.checking import check
from jobs.dependencies import depends_on, spans, within
from jobs.errors import InputError, WorkloadError
from jobs.loading import LoadedWorkload
from jobs.plan import JobPlan, changed_parts, plan
from jobs.stack import Stack
from jobs.stages import STAGE_SPAN, read_stages, stage_of, task_numbers, written_stages
from jobs.task_bodies import Ran, id_prefixes

MakeWorkload = Callable[..., LoadedWorkload]
HEAD = "name: n\npool: cpu\n"
FAN = (
    HEAD
    + """\
resources: {slots: 2}
environment: {A: top}
stages:
  sum:
    after: part
    inputs: [{from: part, to: parts}]
    command: add {part}
    resources: {slots: 1}
  part:
    command: echo {index}
    outputs: [n.txt]
    tasks: 3
"""
)


def planned(workload: LoadedWorkload, stack: Stack, only: str | None = None, ran: Ran = (),
            job_id: str = "job") -> JobPlan:  # fmt: skip
    return plan(check(workload, stack), {}, job_id=job_id, only=only, ran=ran)


def bodies(job: JobPlan) -> dict[str, dict[str, Any]]:
    return {task.id: json.loads(task.body) for task in job.tasks()}


def findings(workload: LoadedWorkload, stack: Stack) -> list[str]:
    with pytest.raises(WorkloadError) as caught:
        check(workload, stack)
    return [finding.message for finding in caught.value.findings]


def test_stages_come_in_an_order_in_which_they_can_run(
    workload: MakeWorkload, stack: Stack
) -> None:
    job = planned(workload(FAN), stack)
    tasks = bodies(job)
    assert list(tasks) == ["100000000", "100000001", "100000002", "110000000"]
    assert job.count == 4
    assert job.body["usesTaskDependencies"] is True
    assert job.body_metadata["jobs.stages"] == "part=3 sum=1"
    assert tasks["110000000"]["dependsOn"] == {
        "taskIdRanges": [{"start": 100000000, "end": 100000002}]
    }
    assert "dependsOn" not in tasks["100000000"]


def test_a_stage_takes_what_it_does_not_give_from_the_top(
    workload: MakeWorkload, stack: Stack
) -> None:
    tasks = bodies(planned(workload(FAN), stack))
    assert [tasks[i]["requiredSlots"] for i in ("100000000", "110000000")] == [2, 1]
    assert {"name": "A", "value": "top"} in tasks["110000000"]["environmentSettings"]


def test_a_task_reads_what_a_stage_has_left(workload: MakeWorkload, stack: Stack) -> None:
    task = bodies(planned(workload(FAN), stack))["110000000"]
    (resource,) = task["resourceFiles"]
    assert resource["storageContainerUrl"] == f"{stack.blob_endpoint}/outputs"
    assert (resource["blobPrefix"], resource["filePath"]) == ("job/10", ".stages/part")
    shell, flags, text, name, *command = shlex.split(task["commandLine"])
    assert (shell, flags, name, command) == ("/bin/sh", "-ec", "sh", ["add", "parts"])
    assert ".stages/part/job/*/" in text


def test_names_hold_a_hash_of_what_a_task_does_and_not_of_its_job(
    workload: MakeWorkload, stack: Stack
) -> None:
    one = [task.name for task in planned(workload(FAN), stack).tasks()]
    two = [task.name for task in planned(workload(FAN), stack, job_id="other").tasks()]
    assert one == two
    assert one[0].startswith("part/0 ")
    changed = planned(workload(FAN.replace("add {part}", "sum {part}")), stack)
    assert [a == b.name for a, b in zip(one, changed.tasks(), strict=True)] == [True] * 3 + [False]


WAYS = (
    HEAD
    + """\
stages:
  a: {{command: x, tasks: 4}}
  b: {{command: x, tasks: {tasks}, after: {{a: {way}}}}}
"""
)


@pytest.mark.parametrize(
    ("way", "tasks", "numbers"),
    [
        ("all", 2, [[0, 1, 2, 3]] * 2),
        ("each", 4, [[0], [1], [2], [3]]),
        ("{groups: 3}", 2, [[0, 1, 2], [3]]),
        ('{tasks: "0,2-3"}', 2, [[0, 2, 3]] * 2),
    ],
)
def test_a_task_waits_for(
    workload: MakeWorkload, stack: Stack, way: str, tasks: int, numbers: list[list[int]]
) -> None:
    job = planned(workload(WAYS.format(way=way, tasks=tasks)), stack)
    waits = [body["dependsOn"] for body in bodies(job).values() if "dependsOn" in body]
    first = 10 * STAGE_SPAN
    assert [sorted(number - first for number in named(wait)) for wait in waits] == numbers


def named(wait: dict[str, Any]) -> Iterable[int]:
    yield from (int(task_id) for task_id in wait.get("taskIds", ()))
    for span in wait.get("taskIdRanges", ()):
        yield from range(span["start"], span["end"] + 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WAYS.format(way="each", tasks=3), "each waits for one: a has 4 tasks and this stage 3"),
        (WAYS.format(way="{groups: 2}", tasks=3), "which are 2 groups of 2, and this stage has 3"),
        (WAYS.format(way='{tasks: "9"}', tasks=1), "a has no task 9: it has 4, counted from 0"),
        (WAYS.format(way="previous", tasks=1), "a stage waits for itself by `previous`"),
        (FAN.replace("after: part", "after: prt"), "no stage 'prt'; did you mean 'part'?"),
        (FAN.replace("    tasks: 3", "    after: sum\n"), "in a circle: none can begin"),
        (FAN.replace("    after: part\n", ""), "add `after: part`"),
        (
            FAN.replace("    tasks: 3", "    inputs: [{from: part}]\n    tasks: 3"),
            "is what part leaves: add `after: {part: previous}`",
        ),
        (FAN.replace("{part}", "{prat}"), "nothing gives {prat} a value; did you mean {part}?"),
    ],
)
def test_what_cannot_be_is_said(
    workload: MakeWorkload, stack: Stack, text: str, message: str
) -> None:
    assert any(message in found for found in findings(workload(text), stack))


CHAIN = """\
name: chain
pool: cpu
stages:
  step:
    command: go {step} {index}
    after: {step: previous}
    inputs: [{from: step, to: before}]
    outputs: [state]
    tasks: 4
"""


def test_a_task_gets_what_the_task_before_it_left(workload: MakeWorkload, stack: Stack) -> None:
    tasks = bodies(planned(workload(CHAIN), stack))
    first, *others = tasks.values()
    assert "resourceFiles" not in first, "there is none before it"
    assert "for d in ; do" in first["commandLine"], "an empty directory"
    for number, body in enumerate(others):
        (resource,) = body["resourceFiles"]
        assert resource["blobPrefix"] == f"job/{10 * STAGE_SPAN + number}/"
        assert "go before" in body["commandLine"]
        assert list(named(body["dependsOn"])) == [10 * STAGE_SPAN + number]


def test_the_tasks_that_others_wait_for_are_told_by_position_alone(workload: MakeWorkload) -> None:
    for tasks in ("0,x=1", "x=1", "sim/0"):
        with pytest.raises(WorkloadError, match="positions and ranges, such as 0-99 or 3,7"):
            workload(WAYS.format(way=f'{{tasks: "{tasks}"}}', tasks=1))


def test_a_stage_has_no_pool_and_the_reason_is_said(workload: MakeWorkload) -> None:
    with pytest.raises(WorkloadError, match="tasks wait for each other inside one job only"):
        workload(FAN.replace("    tasks: 3", "    pool: gpu"))
    with pytest.raises(WorkloadError, match="has command in its stages, not at the top"):
        workload(FAN + "command: x\n")


def test_too_many_single_ids_are_refused_before_the_service_does(
    workload: MakeWorkload, stack: Stack
) -> None:
    text = WAYS.format(way='{tasks: "0-19999:2"}', tasks=1).replace("tasks: 4", "tasks: 20000")
    (message,) = findings(workload(text), stack)
    assert message.startswith("names 10,000 single tasks: the service takes 64,000")


def test_what_runs_again_waits_only_for_what_runs_again(
    workload: MakeWorkload, stack: Stack
) -> None:
    again = planned(
        workload(FAN), stack, only="100000001,110000000", ran=[("job", None)], job_id="job-r2"
    )
    tasks = bodies(again)
    assert list(tasks) == ["100000001", "110000000"]
    assert tasks["110000000"]["dependsOn"] == {"taskIds": ["100000001"]}
    prefixes = [file["blobPrefix"] for file in tasks["110000000"]["resourceFiles"]]
    assert prefixes == ["job/10", "job-r2/100000001/"]
    assert ".stages/part/job/*/ .stages/part/job-r2/*/" in tasks["110000000"]["commandLine"]
    assert again.body_metadata["jobs.stages"] == "part=1 sum=1"
    with pytest.raises(InputError, match="task part/3 cannot be run again"):
        planned(workload(FAN), stack, only="100000003")


def test_exit_codes_in_words_are_the_services_conditions(
    workload: MakeWorkload, stack: Stack
) -> None:
    text = FAN.replace(
        "    tasks: 3",
        "    tasks: 3\n    on_failure: "
        "{3: continue, 10..20: stop, start: pause, upload: continue}",
    )
    job = planned(workload(text), stack)
    tasks = bodies(job)
    assert job.body["onTaskFailure"] == "performexitoptionsjobaction"
    block = {"jobAction": "none", "dependencyAction": "block"}
    go_on = {"jobAction": "none", "dependencyAction": "satisfy"}
    assert tasks["100000000"]["exitConditions"] == {
        "default": block,
        "preProcessingError": {"jobAction": "disable", "dependencyAction": "block"},
        "fileUploadError": go_on,
        "exitCodes": [{"code": 3, "exitOptions": go_on}],
        "exitCodeRanges": [
            {
                "start": 10,
                "end": 20,
                "exitOptions": {"jobAction": "terminate", "dependencyAction": "block"},
            }
        ],
    }
    assert tasks["110000000"]["exitConditions"] == {"default": block}, "else failures end the job"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("{3..1: stop}", "'3..1' is none of"),
        ("{1..5: stop, 4: block}", "4 and 1..5 have exit codes in common"),
        ("{3: retry}", "should be 'block', 'continue', 'stop' or 'pause'"),
    ],
)
def test_wrong_exit_codes_are_said(workload: MakeWorkload, rules: str, message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        workload(HEAD + f"command: x\non_failure: {rules}\n")


@pytest.mark.parametrize(
    ("code", "conditions", "satisfied"),
    [
        (0, {}, True),
        (1, {}, False),
        (1, {"default": {"dependencyAction": "satisfy"}}, True),
        (3, {"exitCodes": [{"code": 3, "exitOptions": {"dependencyAction": "Satisfy"}}]}, True),
        (0, {"exitCodes": [{"code": 0, "exitOptions": {"dependencyAction": "block"}}]}, False),
    ],
)
def test_a_task_satisfies(code: int, conditions: dict[str, Any], *, satisfied: bool) -> None:
    result = "success" if code == 0 else "failure"
    info = {"exitCode": code, "result": result}
    assert satisfies({"executionInfo": info, "exitConditions": conditions}) is satisfied


@given(st.sets(st.integers(100_000_000, 100_000_400), max_size=60))
def test_spans_hold_just_their_numbers(numbers: set[int]) -> None:
    made = list(spans(numbers))
    assert {n for first, last in made for n in range(first, last + 1)} == numbers
    assert set(named(depends_on(made))) == numbers
    assert list(within([(100_000_000, 100_000_400)], numbers)) == made


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_prefixes_match_the_ids_of_a_range_and_no_other(first: int, more: int) -> None:
    low, high = 100_000_000 + first, 100_000_000 + first + more
    prefixes = tuple(id_prefixes(low, high))
    matched = {
        number
        for number in range(100_000_000, 100_010_000)
        if f"{number}/file".startswith(prefixes)
    }
    assert matched == set(range(low, high + 1))
    assert len(prefixes) <= 9 * 2 * 4


@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True),
                       st.integers(0, 9), min_size=1, max_size=5))  # fmt: skip
def test_the_layout_is_read_back_from_the_jobs_metadata(counts: dict[str, int]) -> None:
    assert read_stages(written_stages(counts)) == counts
    numbers = list(task_numbers(counts, 0))
    assert [stage_of(counts)(str(n)) for n in numbers] == [
        name for name, count in counts.items() for _ in range(count)
    ]


def test_the_parts_of_a_plan_say_what_differs(workload: MakeWorkload, stack: Stack) -> None:
    before = planned(workload(FAN), stack)
    after = planned(workload(FAN.replace("echo {index}", "echo 7")), stack)
    assert changed_parts(before.parts, after.parts) == ["part.command changed"]
    assert before.digest != after.digest
