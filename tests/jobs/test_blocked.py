"""Which waiting tasks can never run, and what it costs to find out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobs.blocked import blocked_tasks

Task = dict[str, Any]


class Service:
    """Lists tasks."""

    def __init__(self, waiting: list[Task], ended: list[Task]) -> None:
        self.lists = {"state eq 'active'": waiting, "state eq 'completed'": ended}

    def pages(self, _path: str, _doing: str, **query: str) -> Iterator[Task]:
        yield from self.lists[query["$filter"]]


def found(waiting: list[Task], ended: list[Task]) -> int:
    service: Any = Service(waiting, ended)
    return blocked_tasks(service, "j")


def waiting(number: int, *spans: tuple[int, int], ids: tuple[int, ...] = ()) -> Task:
    depends = {
        "taskIdRanges": [{"start": first, "end": last} for first, last in spans],
        "taskIds": [str(other) for other in ids],
    }
    return {"id": str(number), "dependsOn": depends}


def ended(number: int, *, well: bool) -> Task:
    code = 0 if well else 1
    return {
        "id": str(number),
        "executionInfo": {"exitCode": code, "result": "success" if well else "failure"},
    }


def test_what_waits_for_a_task_that_failed_is_blocked_and_what_waits_for_that() -> None:
    over = [ended(1, well=True), ended(2, well=False)]
    assert found([waiting(10, (1, 2)), waiting(11, ids=(10,)), waiting(12, (11, 11))], over) == 3
    assert found([waiting(10, (1, 2)), waiting(11, (1, 1))], over) == 0, "the last may run"
    assert found([waiting(10, (3, 9))], over) == 0
    assert found([], over) == 0


spans = st.tuples(st.integers(0, 20), st.integers(0, 5)).map(lambda s: (s[0], s[0] + s[1]))


@given(
    st.sets(st.integers(0, 20)),
    st.lists(st.tuples(st.lists(spans, max_size=2), st.lists(st.integers(0, 20), max_size=2))),
)
def test_as_many_are_blocked_as_by_looking_at_each_task(
    failed: set[int], waits: list[tuple[list[tuple[int, int]], list[int]]]
) -> None:
    tasks = [
        waiting(number, *of, ids=tuple(ids)) for number, (of, ids) in enumerate(waits, start=10)
    ]
    over = [ended(number, well=False) for number in failed]
    dead = set(failed)
    for number, (of, ids) in enumerate(waits, start=10):
        awaited = {n for first, last in of for n in range(first, last + 1)} | set(ids)
        if not awaited & dead:
            assert found(tasks, over) == 0
            return
        dead.add(number)
    assert found(tasks, over) == len(tasks)


def test_it_takes_so_many_steps_for_a_task_however_many_there_are() -> None:
    """Steps are counted, not seconds: these do not depend on the machine."""

    def steps(number: int) -> int:
        over = [ended(n, well=False) for n in range(number)]
        tasks = [waiting(number + n, (n, n)) for n in range(number)]
        counted = 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal counted
            counted += event == "line"

        def trace(*_: object) -> Any:
            return count

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            assert found(tasks, over) == number
        finally:
            sys.settrace(before)
        return counted

    assert steps(400) < 2.5 * steps(200)
