from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.again import Again, behind, stale_failure, stale_json, stale_tasks, taken_along
from jobs.checking import CheckedStage, check
from jobs.loading import LoadedWorkload
from jobs.results import Attempt
from jobs.selection import written_positions
from jobs.stack import Stack

ONE, TWO, THREE, FOUR = (number * 10_000_000 for number in (10, 11, 12, 13))
COUNTS = {"sim": 4, "pair": 2, "each": 4, "sum": 1}
EVERY = {
    start + position
    for start, count in zip((ONE, TWO, THREE, FOUR), COUNTS.values(), strict=True)
    for position in range(count)
}
CHAIN = """\
    name: n
    pool: cpu
    stages:
      sim: {command: "a", tasks: 4}
      pair: {command: "a", tasks: 2, after: {sim: {groups: 2}}}
      each: {command: "a", tasks: 4, after: {sim: each, each: previous}}
      sum: {command: "a", after: [pair], inputs: [{from: pair}]}
    """


@pytest.fixture
def stages(workload: Callable[..., LoadedWorkload], stack: Stack) -> Sequence[CheckedStage]:
    return check(workload(CHAIN), stack).stages


def attempts(*again: set[int]) -> list[Attempt]:
    return [Attempt(job_id="j", tasks=written_positions(tasks), created="") for tasks in again]


def test_tasks_are_followed_to_all_that_wait_for_them(stages: Sequence[CheckedStage]) -> None:
    assert behind(stages, {ONE + 3}) == {TWO + 1: ONE + 3, THREE + 3: ONE + 3, FOUR: TWO + 1}
    assert behind(stages, {THREE + 1}) == {THREE + 2: THREE + 1, THREE + 3: THREE + 2}
    assert behind(stages, {ONE, TWO}) == {
        THREE: ONE, THREE + 1: THREE, THREE + 2: THREE + 1, THREE + 3: THREE + 2, FOUR: TWO,
    }  # fmt: skip
    assert behind(stages, {FOUR}) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it is only read
@given(st.sets(st.sampled_from(sorted(EVERY))))
def test_just_what_can_be_reached_is_found(
    stages: Sequence[CheckedStage], numbers: set[int]
) -> None:
    waits = {
        stage.view.task_number(position): {
            number
            for one in stage.dependencies
            for first, last in one.numbers(position)
            for number in range(first, last + 1)
        }
        for stage in stages
        for position in range(stage.rows.count)
    }
    reached = set(numbers)
    while more := {n for n, sources in waits.items() if sources & reached} - reached:
        reached |= more
    found = behind(stages, numbers)
    assert found.keys() == reached - numbers
    assert all(source in waits[number] & reached for number, source in found.items())


def test_what_ran_goes_with_what_it_waits_for_and_what_never_ran_does_not(
    stages: Sequence[CheckedStage],
) -> None:
    own = {ONE + 3: "exit code 137"}
    again = taken_along(own, stages, [], EVERY - {FOUR}, dependents=True, mend=True)
    assert again.numbers == {ONE + 3, TWO + 1, THREE + 3}
    assert dict(again.reasons()) == {
        "sim/3": "exit code 137", "pair/1": "waits for sim/3", "each/3": "waits for sim/3",
    }  # fmt: skip
    assert again.stale == {}
    only = taken_along(own, stages, [], EVERY - {FOUR}, dependents=False, mend=True)
    assert only.numbers == {ONE + 3}
    assert stale_json(only.stale, COUNTS) == [
        {"stage": "pair", "tasks": 1, "positions": "1"},
        {"stage": "each", "tasks": 1, "positions": "3"},
    ]


def test_a_stale_tree_is_known_by_its_attempts_and_mended_by_a_plain_rerun(
    stages: Sequence[CheckedStage],
) -> None:
    left = attempts({ONE + 3})
    assert stale_tasks(stages, left, EVERY) == {
        TWO + 1: ONE + 3, THREE + 3: ONE + 3, FOUR: TWO + 1,
    }  # fmt: skip
    again = taken_along({}, stages, left, EVERY, dependents=True, mend=True)
    assert again.numbers == {TWO + 1, THREE + 3, FOUR}
    for mend in (True, False):
        kept = taken_along({}, stages, left, EVERY, dependents=not mend, mend=mend)
        assert not kept.numbers
        assert kept.stale.keys() == again.numbers
    assert stale_tasks(stages, [*left, *attempts(set(again.numbers))], EVERY) == {}


def test_what_was_made_of_a_stale_answer_is_stale_though_it_ran_last(
    stages: Sequence[CheckedStage],
) -> None:
    found = stale_tasks(stages, attempts({ONE}, {THREE + 3, FOUR}), EVERY)
    assert {TWO, THREE, FOUR} <= found.keys()
    assert found[FOUR] == TWO


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it is only read
@given(st.lists(st.sets(st.sampled_from(sorted(EVERY)), min_size=1), max_size=4))
def test_after_a_plain_rerun_nothing_is_stale(
    stages: Sequence[CheckedStage], ran: list[set[int]]
) -> None:
    before = attempts(*ran)
    again = taken_along({}, stages, before, EVERY, dependents=True, mend=True)
    after = [*before, *attempts(set(again.numbers))] if again.numbers else before
    assert stale_tasks(stages, after, EVERY) == {}
    assert again.stale == {}


def test_reasons_are_told_in_few_words(stages: Sequence[CheckedStage]) -> None:
    own = {ONE: "exit code 1", ONE + 2: "exit code 1", ONE + 3: "never ran"}
    again = taken_along(own, stages, [], EVERY, dependents=True, mend=True)
    assert [str(group) for group in again.groups()] == [
        "sim: 2 exit code 1 (0,2)",
        "sim: 1 never ran (3)",
        "pair: 2 waits for sim (0-1)",
        "each: 3 waits for sim (0,2-3)",
        "each: 1 waits for each/0 (1)",
        "sum: 1 waits for pair/0 (0)",
    ]
    assert again.as_json()["reasons"][0] == {
        "stage": "sim", "reason": "exit code 1", "tasks": 2, "positions": "0,2",
    }  # fmt: skip
    many = Again(own=dict.fromkeys(range(0, 1000, 2), "failed"))
    (line,) = map(str, many.groups())
    assert line.startswith("500 failed (0,2,4,")
    assert line.endswith(", …)")
    assert len(line) < 80


def test_a_stale_answer_is_told_with_what_made_it_so() -> None:
    assert stale_failure({FOUR: TWO + 1}, COUNTS) == (
        "stale: sum (1 task), such as sum/0, made from what pair/1 left before that ran again"
    )
