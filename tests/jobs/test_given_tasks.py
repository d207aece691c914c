"""Tasks by what they were given, where values have blanks, commas and quotes."""

from __future__ import annotations

import itertools
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InputError
from jobs.factories import Rows
from jobs.given_tasks import read_given
from jobs.named_tasks import resolved
from jobs.selection import Selection, parse_selection
from jobs.task_names import TaskNames


def names_of(*rows: tuple[object, ...], columns: tuple[str, ...] = ("x",)) -> TaskNames:
    return TaskNames(rows={"": Rows(names=columns, count=len(rows), each=lambda: iter(rows))})  # type: ignore[arg-type] # texts and numbers


def selected(text: str, names: TaskNames) -> list[int]:
    """The positions that a selection means, as a job reads it."""
    total = names.rows[""].count
    asked = parse_selection(text)

    def there(part: Selection) -> Selection:
        return resolved(part, {}, total)

    ranges = list(there(Selection(ranges=asked.ranges)).ranges or ())
    if asked.given:
        ranges += read_given(asked.given, names, there).ranges or ()
    return sorted({n for span in ranges for n in span})


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("x=1,0", [1]),
        ("0,x=1,0", [0, 1]),
        ("x=2,0", [0, 2]),
        ("x=1,0,x=2", [1, 2]),
        ("x=a,x=b", [3]),
        ("x=a,x=b,x=2", [2, 3]),
        ("x=two words", [4]),
        ('x="1,0"', [1]),
        ("x='1,0',0,3", [0, 1, 3]),
        ('x="2",0-1', [0, 1, 2]),
        ('x="q"', [5]),
        ("x='\"q\"'", [5]),
    ],
)
def test_what_can_be_read_in_one_way_is_taken(text: str, positions: list[int]) -> None:
    names = names_of(("9",), ("1,0",), (2,), ("a,x=b",), ("two words",), ('"q"',))
    assert selected(text, names) == positions


def test_what_can_be_read_in_two_ways_is_refused_and_each_is_written_out() -> None:
    names = names_of((1,), ("1,0",), (2,))
    with pytest.raises(InputError, match="'x=1,0' can be read in several ways") as caught:
        selected("x=1,0", names)
    words = shlex.split(str(caught.value).partition("write ")[2])
    assert {word: selected(word, names) for word in words if word != "or"} == {
        '0,x="1"': [0],
        'x="1,0"': [1],
    }


def test_several_values_may_have_commas_and_a_quoted_one_anything() -> None:
    names = names_of(
        ("1,0", "a,b"), ("1", "c y=d"), ("1,0", "z"), columns=("x", "y")
    )  # fmt: skip
    assert selected("x=1,0 y=a,b", names) == [0]
    assert selected("y=a,b x=1,0", names) == [0]
    assert selected('x=1 y="c y=d"', names) == [1]
    assert selected('x="1,0"', names) == [0, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x=3", "no task was given x=3: x is 1, 1,0"),
        ('x="1,1"', "no task was given x=1,1: x is 1, 1,0"),
        ("x=1,7", "there is no task 7: the job has 2 tasks"),
        ("x=1,1-", "'1-' selects no tasks"),
        ("x=1,frog", "there is no stage 'frog'"),
        ("x=1,failed", "failed stands alone"),
        ("x=1,0,y=2", "there is no 'y', there are x"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        selected(text, names_of((1,), ("1,0",)))


def test_rows_are_gone_through_once_however_much_is_asked() -> None:
    passes = itertools.count()
    rows = [(n,) for n in range(3000)]

    def each() -> object:
        next(passes)
        return iter(rows)

    names = TaskNames(rows={"": Rows(names=("x",), count=len(rows), each=each)})  # type: ignore[arg-type] # counted
    assert selected(",".join(f"x={n}" for n in range(3000)), names) == list(range(3000))
    assert next(passes) == 1


@given(
    st.lists(st.text(alphabet="01,x= ", min_size=1, max_size=4), min_size=1, max_size=4),
    st.data(),
)
def test_in_quotes_a_value_means_itself(values: list[str], data: st.DataObject) -> None:
    names = names_of(*((value,) for value in values))
    value = data.draw(st.sampled_from(values))
    meant = [n for n, one in enumerate(values) if one == value]
    assert selected(f'x="{value}"', names) == meant
    assert selected(f"0,x='{value}'", names) == sorted({0, *meant})
