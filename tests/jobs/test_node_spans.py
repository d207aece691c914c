"""Attempts on nodes: no node has more of them at a time than it has slots, and none is lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from jobs.looks import TaskEnd
from jobs.node_spans import Stay, busy_s, busy_spans, stays
from jobs.prices import estimated_s, node_time, slot_s
from jobs.reportpage import series


def end(
    task: str, started: float, ended: float, node: str = "n_d", *, again: int = 0, slots: int = 1
) -> TaskEnd:
    return TaskEnd(
        id=task, succeeded=True, exit_code=0, failure="", retries=0, requeues=again, node_id=node,
        created=0, started=started, ended=ended, slots=slots,
    )  # fmt: skip


def most_at_once(found: Iterable[Stay]) -> dict[str, int]:
    """The most slots that were taken at a time, by node."""
    steps: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for stay in found:
        if stay.stop > stay.begun:
            steps[stay.node] += [(stay.begun, stay.end.slots), (stay.stop, -stay.end.slots)]
    most: dict[str, int] = {}
    for node, changes in steps.items():
        taken = 0
        for _, change in sorted(changes):
            taken += change
            most[node] = max(most.get(node, 0), taken)
    return most


@st.composite
def jobs(draw: st.DrawFn) -> tuple[list[TaskEnd], int]:
    """Tasks as a pool ran them: at no time more on a node than it has slots; and its slots."""
    slots = draw(st.integers(1, 4))
    items = st.tuples(
        st.integers(0, 9), st.integers(0, 9), st.integers(0, 4), st.integers(1, slots),
        st.sampled_from(["a_d", "b_d", "c_p"]),
    )  # fmt: skip
    free: dict[str, list[int]] = defaultdict(lambda: [0] * slots)
    ends = []
    for number, (waits, runs, again, wide, node) in enumerate(draw(st.lists(items, max_size=25))):
        lanes = sorted(free[node])
        started = lanes[wide - 1] + waits
        free[node] = [started + runs] * wide + lanes[wide:]
        ends.append(end(f"t{number}", started, started + runs, node, again=again, slots=wide))
    return ends, slots


def test_an_earlier_attempt_is_not_where_another_task_ran() -> None:
    """One node of one slot: `second` was on another, now gone, while `first` was here."""
    first, second = end("first", 0, 10), end("second", 10, 20, again=1)
    assert busy_spans([first, second], 1) == {"n_d": [(0, 20)], "not known 1": [(0, 10)]}
    assert node_time([first, second], 1).dedicated_s == 30
    assert estimated_s([first, second], 1) == 10
    assert busy_spans([first, second], 2) == {"n_d": [(0, 20)]}, "there was a slot to spare"


def test_what_fits_stays_and_the_rest_shares_nodes_that_nobody_can_name() -> None:
    first = end("first", 4, 10)
    others = [end(name, 10, 20, again=1) for name in ("second", "third")]
    assert busy_spans([first, *others], 2) == {"n_d": [(0, 20)], "not known 1": [(4, 10)]}
    spot = [end(name, 10, 20, "m_p", again=1) for name in ("fourth", "fifth", "sixth")]
    found = busy_spans([first, *others, *spot], 2)
    assert found == {
        "n_d": [(0, 20)], "m_p": [(0, 20)], "not known 1": [(4, 10)], "not known 2": [(0, 10)],
    }  # fmt: skip


@given(jobs())
def test_no_node_has_more_than_its_slots_and_all_time_is_somewhere(
    made: tuple[list[TaskEnd], int],
) -> None:
    ends, slots = made
    found = list(stays(ends, slots))
    assert all(most <= slots for most in most_at_once(found).values())
    taken = sum((stay.stop - stay.begun) * stay.end.slots for stay in found)
    assert taken == sum(map(slot_s, ends)), "as much as the tasks took"
    used = node_time(ends, slots)
    assert taken <= used.total_s * slots
    assert sum(1 for stay in found if stay.stop > stay.started) == sum(e.run_s > 0 for e in ends)
    known = [end for end in ends if not end.earlier_s]
    assert busy_s(ends, slots) >= busy_s(known, slots)
    drawn = defaultdict[str, int](int)
    for lane in series.timeline(ends, slots, 10_000).lanes:
        drawn[lane.node] += bool(lane.segments)
    if all(end.slots == 1 and end.run_s for end in ends):
        assert all(lanes <= slots for lanes in drawn.values())


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=20))
def test_no_more_nodes_are_thought_of_than_were_needed_at_a_time(
    times: list[tuple[int, int]],
) -> None:
    """The node named is full throughout, so that all earlier attempts were on others."""
    full = end("full", 0, 50)
    ends = [full, *(end(f"t{n}", at, at + took, again=1) for n, (at, took) in enumerate(times))]
    unnamed = {n: spans for n, spans in busy_spans(ends, 1).items() if n.startswith("not known")}
    spans = [(max(0, at - took), at) for at, took in times]
    assert len(unnamed) == max(sum(a <= t < b for a, b in spans) for t in range(20))
    assert sum(b - a for each in unnamed.values() for a, b in each) == sum(b - a for a, b in spans)
