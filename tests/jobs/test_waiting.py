from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.checking import Checked, check
from jobs.errors import InputError
from jobs.loading import LoadedWorkload
from jobs.selection import written_positions
from jobs.stack import Stack
from jobs.waiting import Waiting, behind, waiting

ONE, TWO, THREE, FOUR, FIVE = (number * 10_000_000 for number in (10, 11, 12, 13, 14))
COUNTS = {"sim": 4, "pair": 2, "each": 4, "sum": 1, "few": 2}
EVERY = {
    start + position
    for start, count in zip((ONE, TWO, THREE, FOUR, FIVE), COUNTS.values(), strict=True)
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
      few: {command: "a", tasks: 2, after: {sim: {tasks: "0,2-3"}}}
    """


@pytest.fixture
def checked(workload: Callable[..., LoadedWorkload], stack: Stack) -> Checked:
    return check(workload(CHAIN), stack)


@pytest.fixture
def stages(checked: Checked) -> tuple[Waiting, ...]:
    noted = json.loads(json.dumps(checked.after))  # as a manifest keeps it
    return waiting(noted, checked.stage_counts)


def test_what_is_noted_is_what_tasks_are_sent_with(
    checked: Checked, stages: tuple[Waiting, ...]
) -> None:
    assert [(stage.number, stage.count) for stage in stages] == [
        (stage.view.number, stage.rows.count) for stage in checked.stages
    ]
    assert [stage.dependencies for stage in stages] == [
        stage.dependencies for stage in checked.stages
    ]


def test_tasks_are_followed_to_all_that_wait_for_them(stages: tuple[Waiting, ...]) -> None:
    assert behind(stages, {ONE + 1}) == {TWO: ONE + 1, THREE + 1: ONE + 1} | {
        THREE + 2: THREE + 1, THREE + 3: THREE + 2, FOUR: TWO,
    }  # fmt: skip
    assert behind(stages, {ONE + 3}) == {
        TWO + 1: ONE + 3, THREE + 3: ONE + 3, FOUR: TWO + 1, FIVE: ONE + 3, FIVE + 1: ONE + 3,
    }  # fmt: skip
    assert behind(stages, {THREE + 1}) == {THREE + 2: THREE + 1, THREE + 3: THREE + 2}
    assert behind(stages, {FOUR}) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it is only read
@given(st.sets(st.sampled_from(sorted(EVERY))))
def test_just_what_can_be_reached_is_found(
    checked: Checked, stages: tuple[Waiting, ...], numbers: set[int]
) -> None:
    waits = {
        stage.view.task_number(position): {
            number
            for one in stage.dependencies
            for first, last in one.numbers(position)
            for number in range(first, last + 1)
        }
        for stage in checked.stages
        for position in range(stage.rows.count)
    }
    reached = set(numbers)
    while more := {n for n, sources in waits.items() if sources & reached} - reached:
        reached |= more
    found = behind(stages, numbers)
    assert found.keys() == reached - numbers
    assert all(source in waits[number] & reached for number, source in found.items())


@pytest.mark.parametrize(
    "after",
    [
        {"sum": {"sim": "some"}},
        {"sum": {"sim": {"groups": 0}}},
        {"sum": {"gone": "all"}},
        {"s": 1},
    ],
)
def test_what_nobody_noted_is_refused(after: object) -> None:
    with pytest.raises(InputError, match="damaged"):
        waiting(after, {"sim": 2, "sum": 1})  # type: ignore[arg-type] # from a damaged file


@given(st.data(), st.integers(1, 3), st.integers(1, 7))
def test_any_stages_are_followed_as_their_tasks_wait(
    data: st.DataObject, size: int, count: int
) -> None:
    """Held against what each task waits for, followed one step at a time."""
    counts = {"a": count, "b": -(-count // size), "c": count, "d": 2}
    named = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    ways: dict[str, dict[str, object]] = {
        "b": {"a": {"groups": size}},
        "c": {"a": "each", "c": "previous"},
        "d": {"b": "all", "c": {"tasks": written_positions(named)}},
    }
    after = {
        name: {other: way for other, way in of.items() if data.draw(st.booleans())}
        for name, of in ways.items()
    }
    stages = waiting(after, counts)
    every = {
        stage.number * 10_000_000 + position: {
            number
            for one in stage.dependencies
            for first, last in one.numbers(position)
            for number in range(first, last + 1)
        }
        for stage in stages
        for position in range(stage.count)
    }
    numbers = data.draw(st.sets(st.sampled_from(sorted(every))))
    reached = set(numbers)
    while more := {n for n, sources in every.items() if sources & reached} - reached:
        reached |= more
    found = behind(stages, numbers)
    assert found.keys() == reached - numbers
    assert all(source in every[number] & reached for number, source in found.items())
