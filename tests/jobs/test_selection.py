from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InputError
from jobs.selection import parse_selection, position, positions_of, written_positions


def task(number: int) -> str:
    return f"{number:07d}-0123456789ab"


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("all", list(range(15))),
        ("failed", list(range(15))),
        ("0", [0]),
        ("1-9:2,12", [1, 3, 5, 7, 9, 12]),
        ("3-3", [3]),
        ("0000007-", [7]),
        ("0000007-0123,2", [2, 7]),
        ("0000007-f", []),
    ],
)
def test_a_selection_has_the_tasks_that_it_names(text: str, positions: list[int]) -> None:
    selection = parse_selection(text)
    assert [n for n in range(15) if selection.has(task(n))] == positions
    assert selection.failed == (text == "failed")


@pytest.mark.parametrize(
    "text", ["", "a/", "a/b", "a/1-", "1-", "-1", "9-1", "1-9:0", "1,,2", "1;2", "1 ", "½"]
)
def test_what_selects_nothing_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="selects no tasks"):
        parse_selection(text)


@given(st.sets(st.integers(0, 40), min_size=1))
def test_written_positions_mean_just_them(chosen: set[int]) -> None:
    text = written_positions(chosen)
    assert positions_of(text) == chosen
    selection = parse_selection(text)
    assert {n for n in range(50) if selection.has(task(n))} == chosen


def test_an_id_of_somebody_else_has_no_position() -> None:
    assert position("other-1") == -1
    assert not parse_selection("0-9").has("other-1")
