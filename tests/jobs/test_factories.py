from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import WorkloadError
from jobs.factories import Rows, axis_values, expand
from jobs.loading import LoadedWorkload
from jobs.spec_factories import Axis
from jobs.stages import stages_of

HEAD = "name: n\npool: cpu\ncommand: x\n"
MakeWorkload = Callable[..., LoadedWorkload]


def rows_of(make: MakeWorkload, tasks: str, **files: str) -> Rows:
    loaded = make(HEAD + "tasks: " + tasks, **files)
    (stage,) = stages_of(loaded)
    return expand(loaded, stage)


@pytest.mark.parametrize(
    ("tasks", "names", "rows"),
    [
        ("3", ["repeat"], [(0,), (1,), (2,)]),
        ("{sweep: {a: [1, 2], b: [x, y]}}", ["a", "b"], [(1, "x"), (1, "y"), (2, "x"), (2, "y")]),
        ("{zip: {a: [1, 2], b: [x, y]}}", ["a", "b"], [(1, "x"), (2, "y")]),
        ("{list: [{a: 1, b: q}, {b: r, a: 2}]}", ["a", "b"], [(1, "q"), (2, "r")]),
        ("[{sweep: {a: [1, 2]}}, {repeat: 2}]", ["a", "repeat"], [(1, 0), (1, 1), (2, 0), (2, 1)]),
        ("{sweep: {x: {range: [0, 0.3, 0.1]}}}", ["x"], [(0.0,), (0.1,), (0.2,)]),
        ("{sweep: {x: {range: [5, 0, -2]}}}", ["x"], [(5,), (3,), (1,)]),
        ("{sweep: {x: {linspace: [0, 1, 3]}}}", ["x"], [(0.0,), (0.5,), (1.0,)]),
    ],
)
def test_factories_make_rows(
    workload: MakeWorkload, tasks: str, names: list[str], rows: list[tuple[object, ...]]
) -> None:
    made = rows_of(workload, tasks)
    assert list(made.names) == names
    assert list(made.each()) == rows
    assert made.count == len(rows)
    assert list(made.each()) == rows, "rows can be made again"


def test_a_csv_file_gives_numbers_where_they_read_as_such(workload: MakeWorkload) -> None:
    text = 'name,n,x,code\nfoo,1,0.5,007\n\n"a, b",-2,1e3,\n'
    made = rows_of(workload, "{csv: t.csv}", t_DOT_csv=text)
    assert made.count == 2
    assert list(made.each()) == [("foo", 1, 0.5, "007"), ("a, b", -2, "1e3", "")]


def test_files_are_tasks_in_order_of_their_names(workload: MakeWorkload) -> None:
    made = rows_of(workload, '{files: "in/*.txt"}', in__b_DOT_txt="", in__a_DOT_txt="", in__c="")
    assert list(made.each()) == [("in/a.txt", "a.txt", "a"), ("in/b.txt", "b.txt", "b")]
    assert [path.name for path in made.file_paths] == ["a.txt", "b.txt"]


def test_a_file_whose_name_is_no_unicode_is_refused(workload: MakeWorkload) -> None:
    loaded = workload(HEAD + 'tasks: {files: "in/*"}', in__a="")
    (loaded.directory / "in" / "\udcff").touch()
    with pytest.raises(WorkloadError, match=r"the name 'in/\\udcff' is no Unicode"):
        expand(loaded, stages_of(loaded)[0])


@pytest.mark.parametrize(
    ("tasks", "files", "message"),
    [
        ("{zip: {a: [1], b: [1, 2]}}", {}, "a has 1, b has 2"),
        ("{csv: none.csv}", {}, "none.csv cannot be read: No such file"),
        ("{csv: t}", {"t": ""}, "it is empty"),
        ("{csv: t}", {"t": "a,a\n1,2\n"}, "'a' is not a usable name"),
        ("{csv: t}", {"t": "a b\n1\n"}, "'a b' is not a usable name"),
        ("{csv: t}", {"t": "a,b\n1\n"}, "t:2: 1 values for 2 names"),
        ("{csv: t}", {"t": "a,b\n"}, "has no rows"),
        ("{csv: t}", {"t": "a\nx\0y\n"}, "csv: t:2: a value holds a NUL character"),
        ("{csv: t}", {"t": 'a\n"x\n'}, "unexpected end of data"),
        ('{files: "*.nix"}', {}, r"nothing matches '\*\.nix'"),
        ("[{repeat: 2}, {repeat: 3}]", {}, "two factories give 'repeat'"),
        ("{sweep: {index: [1]}}", {}, "no factory can give 'index'"),
        ("{sweep: {a: {range: [0, 1000000000000]}}}", {}, "a job has 1 to 10000000"),
        ("{sweep: {a: {range: [1, 1]}}}", {}, "makes 0 tasks"),
    ],
)
def test_what_makes_no_tasks_says_why(
    workload: MakeWorkload, tasks: str, files: dict[str, str], message: str
) -> None:
    with pytest.raises(WorkloadError, match=message) as caught:
        rows_of(workload, tasks, **files)
    assert caught.value.findings[0].line == 4


def test_a_million_rows_begin_at_once(workload: MakeWorkload) -> None:
    made = rows_of(workload, "{sweep: {a: {range: [0, 1000]}, b: {range: [0, 1000]}}}")
    assert made.count == 1_000_000
    assert list(islice(made.each(), 1000, 1002)) == [(1, 0), (1, 1)]


decimals = st.decimals(-1000, 1000, places=2)


@given(decimals, decimals, st.decimals(-10, 10, places=2).filter(bool))
def test_a_range_is_what_its_definition_says(start: Decimal, stop: Decimal, step: Decimal) -> None:
    axis = Axis.model_validate({"range": [float(start), float(stop), float(step)]})
    values = list(axis_values(axis))
    expected = math.ceil((stop - start) / step)
    assert len(values) == max(0, expected)
    exact = itertools.count(start, step)
    assert values == [float(value) for value in islice(exact, len(values))]


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-7, 7).filter(bool))
def test_a_range_of_integers_is_pythons(start: int, stop: int, step: int) -> None:
    values = list(axis_values(Axis.model_validate({"range": [start, stop, step]})))
    assert values == list(range(start, stop, step))
    assert all(type(value) is int for value in values)


def test_file_names_of_any_kind_are_tasks(workload: MakeWorkload, tmp_path: Path) -> None:
    hostile = ["-rf x", "quo'te", 'dou"ble', "new\nline", "ünïcode", "a[1]*?", "{brace}", "$HOME"]
    loaded = workload(HEAD + 'tasks: {files: "in/*"}', in__plain="")
    for name in hostile:
        (tmp_path / "workload" / "in" / name).write_text("")
    assert {row[1] for row in expand(loaded, stages_of(loaded)[0]).each()} == {*hostile, "plain"}
