"""What people call tasks: stages, positions, parameters."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.checking import Checked, check
from jobs.errors import InputError
from jobs.factories import Rows
from jobs.job import Job
from jobs.loading import LoadedWorkload
from jobs.looks import TaskEnd
from jobs.plan import plan
from jobs.prices import shares
from jobs.reasons import keep_parts
from jobs.report import grouped
from jobs.report_text import failure_lines
from jobs.reporting import names_of
from jobs.rerun import Ends
from jobs.results import Manifest, ResultTree
from jobs.session import Session
from jobs.stack import Stack
from jobs.task_names import TaskNames, written_values
from jobs.task_table import COLUMNS, TaskRows, write_csv

MakeWorkload = Callable[..., LoadedWorkload]
STAGED = """\
name: n
pool: cpu
stages:
  sim:
    command: sim {x} {word}
    tasks: {sweep: {x: [10, 20, 30], word: [a, "=1+1"]}}
  sum:
    after: sim
    command: sum
"""


def end(task: str, code: int = 0) -> TaskEnd:
    return TaskEnd(
        id=task, succeeded=code == 0, exit_code=code, failure="", retries=0, requeues=0,
        node_id="n_d", created=0, started=1, ended=2,
    )  # fmt: skip


@pytest.fixture
def submitted(
    workload: MakeWorkload, stack: Stack, tmp_path: Path
) -> Callable[[str], tuple[ResultTree, Checked]]:
    """Notes a submission in a result tree."""

    def make(text: str) -> tuple[ResultTree, Checked]:
        checked = check(workload(text), stack)
        job = plan(checked, {}, job_id="job")
        tree = ResultTree(tmp_path / "r")
        tree.write_manifest(
            Manifest(
                job_id="job", workload="w", stack="s", outputs=None, plan=job.digest,
                tasks=job.count, created="2026-11-21", stages=checked.stage_counts,
            )
        )  # fmt: skip
        keep_parts(tree, job)
        return tree, checked

    return make


def test_tasks_have_the_names_and_parameters_that_they_were_given(
    submitted: Callable[[str], tuple[ResultTree, Checked]],
) -> None:
    names = names_of(*submitted(STAGED))
    ids = ["100000003", "110000000", "100000004", "alien"]
    assert [names.name(one) for one in ids] == ["sim/3", "sum/0", "sim/4", "alien"]
    given = names.of(ids)
    assert written_values(given["100000003"]) == "x=20 word==1+1"
    assert written_values(given["100000004"]) == "x=30 word=a"
    assert given["110000000"] == given["alien"] == {}


def test_failures_are_told_by_name(
    submitted: Callable[[str], tuple[ResultTree, Checked]],
) -> None:
    names = names_of(*submitted(STAGED))
    groups = grouped([end("100000002", 3), end("100000004", 3)], {}, names)
    assert failure_lines(groups) == ["2 tasks: exit code 3 - such as sim/2 (x=20 word=a)"]


def test_the_table_has_a_column_a_parameter(
    submitted: Callable[[str], tuple[ResultTree, Checked]], stack: Stack, tmp_path: Path
) -> None:
    tree, checked = submitted(STAGED)
    ends = tuple(end(one) for one in ("100000005", "100000001", "100000000", "110000000"))
    rows = TaskRows(
        ends=Ends(latest=ends, earlier=(ends[0],)), reasons={},
        rates=shares(ends, stack.pools["cpu"]), names=names_of(tree, checked),
    )  # fmt: skip
    write_csv(tmp_path / "t.csv", rows)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        read = list(csv.DictReader(stream))
    assert tuple(read[0]) == (*COLUMNS, "parameter.x", "parameter.word")
    assert [(r["name"], r["parameter.x"], r["parameter.word"]) for r in read] == [
        ("sim/0", "10", "a"),
        ("sim/1", "10", "'=1+1"),
        ("sim/5", "30", "'=1+1"),
        ("sum/0", "", ""),
        ("sim/5", "30", "'=1+1"),
    ]


@pytest.mark.parametrize(
    ("before", "after"), [("[10, 20, 30]", "[10, 21, 30]"), ("  sum:", "  add:")]
)
def test_a_workload_that_has_changed_gives_no_parameters_of_other_tasks(
    submitted: Callable[[str], tuple[ResultTree, Checked]],
    workload: MakeWorkload,
    stack: Stack,
    before: str,
    after: str,
) -> None:
    tree, _ = submitted(STAGED)
    names = names_of(tree, check(workload(STAGED.replace(before, after)), stack))
    assert names.name("100000003") == "sim/3"
    assert names.of(["100000003"]) == {"100000003": {}}
    assert names_of(tree, None).parameters == ()


def test_what_does_not_decide_on_the_tasks_takes_no_parameters_away(
    submitted: Callable[[str], tuple[ResultTree, Checked]], workload: MakeWorkload, stack: Stack
) -> None:
    tree, _ = submitted(STAGED)
    changed = check(workload(STAGED.replace("sim {x} {word}", "sim -v {x} {word}")), stack)
    assert names_of(tree, changed).parameters == ("x", "word")


def test_rows_are_gone_through_once_and_a_generator_that_fails_hides_no_report(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made: list[int] = []

    def each() -> Iterator[tuple[int]]:
        for n in range(10):
            made.append(n)
            if n == 7:
                raise InputError("points: boom")
            yield (n,)

    names = TaskNames(rows={"": Rows(names=("x",), count=10, each=each)})
    given = [dict(one) for one in names.each(f"{n:07d}-ab" for n in (2, 3, 6, 8))]
    assert given == [{"x": 2}, {"x": 3}, {"x": 6}, {}]
    assert made == list(range(8))
    assert "boom" in caplog.text


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("x=20", ["100000002", "100000003"]),
        ("x=20 word=a", ["100000002"]),
        ("word==1+1", ["100000001", "100000003", "100000005"]),
        ("x=10 word=a,sum/0", ["100000000", "110000000"]),
    ],
)
def test_tasks_are_selected_by_what_they_were_given(
    submitted: Callable[[str], tuple[ResultTree, Checked]],
    stack: Stack,
    text: str,
    ids: list[str],
) -> None:
    tree, checked = submitted(STAGED)
    job = Job(tree=tree, session=Session(stack=stack), _checked=checked)
    selection = job.selection(text)
    every = [*(str(n) for n in range(100_000_000, 100_000_006)), "110000000"]
    assert [one for one in every if selection.has(one)] == ids


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x=21", "no task was given x=21: x is 10, 20, 30"),
        ("x=10 word=b", "no task was given x=10 word=b: x is 10, 20, 30; word is a, =1\\+1"),
        ("y=1", "there is no 'y', there are x, word"),
    ],
)
def test_what_no_task_was_given_is_refused_with_what_tasks_were(
    submitted: Callable[[str], tuple[ResultTree, Checked]], stack: Stack, text: str, said: str
) -> None:
    tree, checked = submitted(STAGED)
    with pytest.raises(InputError, match=said):
        Job(tree=tree, session=Session(stack=stack), _checked=checked).selection(text)
