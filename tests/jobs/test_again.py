from __future__ import annotations

from jobs.again import Again, taken_along
from jobs.stale import Stale
from jobs.waiting import waiting

ONE, TWO, THREE, FOUR = (number * 10_000_000 for number in (10, 11, 12, 13))
COUNTS = {"sim": 4, "pair": 2, "each": 4, "sum": 1}
EVERY = {
    start + position
    for start, count in zip((ONE, TWO, THREE, FOUR), COUNTS.values(), strict=True)
    for position in range(count)
}
STAGES = waiting(
    {
        "pair": {"sim": {"groups": 2}},
        "each": {"sim": "each", "each": "previous"},
        "sum": {"pair": "all"},
    },
    COUNTS,
)
FRESH = Stale(counts=COUNTS)


def test_what_ran_goes_with_what_it_waits_for_and_what_never_ran_does_not() -> None:
    own = {ONE + 3: "exit code 137"}
    again = taken_along(own, STAGES, FRESH, EVERY - {FOUR}, dependents=True, mend=True)
    assert again.numbers == {ONE + 3, TWO + 1, THREE + 3}
    assert dict(again.reasons()) == {
        "sim/3": "exit code 137", "pair/1": "waits for sim/3", "each/3": "waits for sim/3",
    }  # fmt: skip
    assert not again.stale
    only = taken_along(own, STAGES, FRESH, EVERY - {FOUR}, dependents=False, mend=True)
    assert only.numbers == {ONE + 3}
    assert only.stale.as_json() == [
        {"stage": "pair", "tasks": 1, "positions": "1"},
        {"stage": "each", "tasks": 1, "positions": "3"},
    ]


def test_reasons_are_told_in_few_words() -> None:
    own = {ONE: "exit code 1", ONE + 2: "exit code 1", ONE + 3: "never ran"}
    again = taken_along(own, STAGES, FRESH, EVERY, dependents=True, mend=True)
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
