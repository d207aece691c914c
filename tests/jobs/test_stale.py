from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.again import taken_along
from jobs.results import Attempt, Manifest
from jobs.selection import written_positions
from jobs.stale import Stale, stale_of
from jobs.waiting import behind, waiting

ONE, TWO, THREE, FOUR = (number * 10_000_000 for number in (10, 11, 12, 13))
COUNTS = {"sim": 4, "pair": 2, "each": 4, "sum": 1}
AFTER: dict[str, dict[str, Any]] = {
    "pair": {"sim": {"groups": 2}},
    "each": {"sim": "each", "each": "previous"},
    "sum": {"pair": "all"},
}
STAGES = waiting(AFTER, COUNTS)
EVERY = {
    start + position
    for start, count in zip((ONE, TWO, THREE, FOUR), COUNTS.values(), strict=True)
    for position in range(count)
}


def tree(*again: set[int], never: set[int] | None = None) -> Manifest:
    """A tree of which these tasks were run again, one attempt after the other."""
    return Manifest(
        job_id="job", workload="/w/job.yaml", stack="local", outputs=None, plan="p",
        tasks=len(EVERY), created="", stages=COUNTS,
        attempts=tuple(
            Attempt(
                job_id=f"job-r{at}", tasks=written_positions(tasks), created="", after=AFTER,
                never=written_positions(never or set()),
            )
            for at, tasks in enumerate(again, 2)
        ),
    )  # fmt: skip


def test_nothing_is_stale_before_anything_ran_again() -> None:
    assert not stale_of(tree())
    assert stale_of(tree()).counts == COUNTS
    assert not stale_of(tree({FOUR}))


def test_a_tree_is_known_by_its_attempts_and_mended_by_a_plain_rerun() -> None:
    left = stale_of(tree({ONE + 3}))
    assert left.tasks == {TWO + 1: ONE + 3, THREE + 3: ONE + 3, FOUR: TWO + 1}
    again = taken_along({}, STAGES, left, EVERY, dependents=True, mend=True)
    assert again.numbers == {TWO + 1, THREE + 3, FOUR}
    for mend in (True, False):
        kept = taken_along({}, STAGES, left, EVERY, dependents=not mend, mend=mend)
        assert not kept.numbers
        assert kept.stale == left
    assert not stale_of(tree({ONE + 3}, set(again.numbers)))


def test_what_has_never_ended_has_no_answer_that_could_be_stale() -> None:
    left = stale_of(tree({ONE + 3}, never={FOUR, THREE + 3}))
    assert left.tasks.keys() == {TWO + 1}


def test_what_was_made_of_a_stale_answer_is_stale_though_it_ran_last() -> None:
    found = stale_of(tree({ONE}, {THREE + 3, FOUR}))
    assert {TWO, THREE, FOUR} <= found.tasks.keys()
    assert found.tasks[FOUR] == TWO


@given(st.lists(st.sets(st.sampled_from(sorted(EVERY)), min_size=1), max_size=4))
def test_an_answer_is_stale_if_and_only_if_what_it_was_made_from_is_not_the_last(
    ran: list[set[int]],
) -> None:
    """Held against a simulation: each attempt stamps what it writes with what it read."""
    waits = {n: {m for m in EVERY if n in behind(STAGES, {m})} for n in EVERY}
    direct = {n: {m for m in of if not any(m in waits[o] for o in of)} for n, of in waits.items()}
    made: dict[int, tuple[Any, ...]] = {}

    def run(at: int, numbers: set[int]) -> None:
        for number in sorted(numbers):
            made[number] = (number, at, tuple(made[source] for source in sorted(direct[number])))

    run(0, EVERY)
    for at, numbers in enumerate(ran, 1):
        run(at, numbers)
    fresh = dict(made)
    for number in sorted(EVERY):
        at = made[number][1]
        fresh[number] = (number, at, tuple(fresh[source] for source in sorted(direct[number])))
    expected = {number for number in EVERY if made[number] != fresh[number]}
    assert stale_of(tree(*ran)).tasks.keys() == expected


@given(st.lists(st.sets(st.sampled_from(sorted(EVERY)), min_size=1), max_size=4))
def test_after_a_plain_rerun_nothing_is_stale(ran: list[set[int]]) -> None:
    before = stale_of(tree(*ran))
    again = taken_along({}, STAGES, before, EVERY, dependents=True, mend=True)
    assert again.numbers == before.tasks.keys()
    assert not stale_of(tree(*ran, *([set(again.numbers)] if again.numbers else [])))
    assert not again.stale


@given(
    st.lists(st.sets(st.sampled_from(sorted(EVERY)), min_size=1), max_size=2),
    st.sets(st.sampled_from(sorted(EVERY)), min_size=1),
    st.booleans(),
    st.booleans(),
)
def test_what_will_be_stale_after_a_rerun_is_known_before_it(
    ran: list[set[int]], own: set[int], dependents: bool, mend: bool
) -> None:
    again = taken_along(
        dict.fromkeys(own, "chosen"), STAGES, stale_of(tree(*ran)), EVERY,
        dependents=dependents, mend=mend,
    )  # fmt: skip
    after = stale_of(tree(*ran, set(again.numbers)))
    assert again.stale.tasks.keys() == after.tasks.keys()


def test_it_is_told_by_stage_and_with_what_made_it_so() -> None:
    stale = Stale(tasks={TWO: ONE, THREE + 1: ONE + 1, THREE + 2: THREE + 1}, counts=COUNTS)
    assert stale.by_stage == {"pair": 1, "each": 2}
    assert stale.as_json() == [
        {"stage": "pair", "tasks": 1, "positions": "0"},
        {"stage": "each", "tasks": 2, "positions": "1-2"},
    ]
    assert stale.names == {"pair/0": "sim/0", "each/1": "sim/1", "each/2": "each/1"}
    assert (stale.source(f"{TWO}"), stale.source(f"{TWO + 1}")) == ("sim/0", "")
    assert stale.text == (
        "stale: pair (1 task), each (2 tasks), such as pair/0, made from what sim/0 left before "
        "that ran again"
    )
    assert (Stale().text, Stale().as_json(), len(stale)) == ("", [], 3)


@pytest.mark.parametrize("count", [200_000])
def test_it_is_known_of_many_tasks_by_few_words(count: int) -> None:
    counts = {"sim": count, "each": count}
    attempt = Attempt(
        job_id="job-r2", tasks=written_positions(range(ONE, ONE + count)), created="",
        after={"each": {"sim": "each"}},
    )  # fmt: skip
    manifest = Manifest(
        job_id="job", workload="w", stack="s", outputs=None, plan="p", tasks=2 * count,
        created="", stages=counts, attempts=(attempt,),
    )  # fmt: skip
    stale = stale_of(manifest)
    assert stale.as_json() == [{"stage": "each", "tasks": count, "positions": f"0-{count - 1}"}]
    assert len(attempt.tasks) < 30
