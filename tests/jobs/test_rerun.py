from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checking import Checked, check
from jobs.errors import InputError
from jobs.factories import Rows
from jobs.loading import LoadedWorkload
from jobs.looks import Look, TaskEnd
from jobs.plan import JobPlan, plan
from jobs.reasons import keep_parts, require_same_rows
from jobs.rerun import Ends, chosen, earlier_jobs, next_job_id, set_aside, superseded
from jobs.results import Attempt, Manifest, ResultTree
from jobs.row_digests import differing_rows, keep_rows, rows_file
from jobs.selection import parse_selection, written_positions
from jobs.stack import Stack
from jobs.submission import require_same

FAILED = parse_selection("failed")


def end(number: int, code: int | None = 0) -> TaskEnd:
    return TaskEnd(
        id=f"{number:07d}-0123456789ab", succeeded=code == 0, exit_code=code, failure="",
        retries=0, requeues=0, node_id="n", created=0, started=1, ended=2,
    )  # fmt: skip


def look(*, over: bool = True) -> Look:
    return Look(
        total=5, waiting=0, running=0, succeeded=0, failed=0, job_state="completed", pool=None,
        first_failure=None, reasons=(), over=over,
    )  # fmt: skip


def manifest(*again: str, job_id: str = "job") -> Manifest:
    attempts = tuple(
        Attempt(job_id=f"{job_id}-r{n}", tasks=tasks, created="")
        for n, tasks in enumerate(again, 2)
    )
    return Manifest(
        job_id=job_id, workload="w", stack="s", outputs=None, plan="p", tasks=5, created="",
        attempts=attempts,
    )  # fmt: skip


def test_what_failed_or_never_ended_is_chosen() -> None:
    ends = Ends(latest=(end(0), end(1, 1), end(3, 137), end(4, None)), earlier=())
    assert chosen(manifest(), look(), ends, FAILED) == {
        1: "exit code 1", 2: "never ran", 3: "exit code 137", 4: "failed",
    }  # fmt: skip
    assert chosen(manifest(), look(), ends, FAILED, [137, 2]) == {3: "exit code 137"}
    assert chosen(manifest(), look(), ends, parse_selection("0-1")) == {0: "chosen", 1: "chosen"}


def test_what_the_service_did_to_a_task_is_told_as_its_reason() -> None:
    ended, lost = (
        replace(end(number, code), succeeded=False, failure=failure)
        for number, code, failure in (
            (0, None, "TaskEnded: the job was terminated"),
            (1, 0, "FileUploadMiscError: not sent"),
        )
    )
    found = chosen(
        manifest(), look(), Ends(latest=(ended, lost), earlier=()), FAILED, canceled=True
    )
    assert found == {0: "canceled", 2: "never ran", 3: "never ran", 4: "never ran"}
    whole = chosen(manifest(), look(), Ends(latest=(ended, lost), earlier=()), FAILED)
    assert whole[1] == "failed: FileUploadMiscError"


def test_named_tasks_that_never_ended_run_too() -> None:
    ends = Ends(latest=(end(0), end(1, 1)), earlier=())
    assert chosen(manifest(), look(), ends, parse_selection("1-3")) == {
        1: "chosen", 2: "never ran", 3: "never ran",
    }  # fmt: skip
    assert chosen(manifest(), look(), ends, parse_selection("0000003-ab,0")).keys() == {0, 3}
    assert chosen(manifest(), look(), ends, parse_selection("all")).keys() == {0, 1, 2, 3, 4}
    with pytest.raises(InputError, match="there is no task 0000001-ab"):
        chosen(manifest(), look(), ends, parse_selection("0000001-ab"))


def test_a_job_that_is_not_over_does_not_run_again() -> None:
    with pytest.raises(InputError, match="job job-r2 is not over"):
        chosen(manifest("1"), look(over=False), Ends(latest=(), earlier=()), FAILED)


@given(st.lists(st.sets(st.integers(0, 9), min_size=1), max_size=4))
def test_of_each_task_only_the_latest_attempt_counts(again: list[set[int]]) -> None:
    tree = manifest(*map(written_positions, again))
    gone = dict(earlier_jobs(tree))
    runs = [set(range(10)), *again]
    counting = [
        number
        for job_id, positions in zip(tree.job_ids, runs, strict=True)
        for number in positions - gone.get(job_id, frozenset())
    ]
    assert sorted(counting) == list(range(10))
    assert superseded(tree.attempts) == set().union(*again)


def test_the_next_job_has_an_id_that_a_job_can_have() -> None:
    assert next_job_id(manifest()) == "job-r2"
    assert next_job_id(manifest("1", "2")) == "job-r4"
    with pytest.raises(InputError, match="too long"):
        next_job_id(manifest(job_id="x" * 63))


def test_what_tasks_left_is_set_aside(tmp_path: Path) -> None:
    tree = ResultTree(tmp_path)
    for name in ("0000000-a", "0000001-b", "somebody"):
        (tree.outputs / name).mkdir(parents=True)
        (tree.outputs / name / "out").write_text(name)
    assert set_aside(tree, 1, {1, 2}) == 1
    assert (tree.attempt(1) / "outputs" / "0000001-b" / "out").read_text() == "0000001-b"
    assert {path.name for path in tree.outputs.iterdir()} == {"0000000-a", "somebody"}


LIST = "name: n\npool: cpu\ncommand: echo {{x}} {extra}\ntasks: {{list: [{rows}]}}\n"
STAGES = """\
    name: n
    pool: cpu
    stages:
      one: {{command: "a {{x}}", tasks: {{sweep: {{x: [{one}]}}}}}}
      two: {{command: "b {{y}}", tasks: {{csv: y.csv}}}}
    """


@pytest.fixture
def submitted(
    workload: Callable[..., LoadedWorkload], stack: Stack, tmp_path: Path
) -> Callable[..., ResultTree]:
    """Notes the submission of a workload, as `run` does."""

    def make(text: str, *, rows: bool = False, **files: str) -> ResultTree:
        checked = check(workload(text, **files), stack)
        tree = ResultTree(tmp_path / "results" / "job")
        job = plan(checked, {}, job_id="job")
        tree.write_manifest(
            replace(
                manifest(), tasks=job.count, plan=job.digest, stages=dict(checked.stage_counts)
            )
        )
        keep_parts(tree, job)
        if rows:
            keep_rows(tree, checked)
        return tree

    return make


def test_another_task_at_the_same_position_does_not_run_in_its_place(
    submitted: Callable[..., ResultTree], workload: Callable[..., LoadedWorkload], stack: Stack
) -> None:
    tree = submitted(LIST.format(extra="", rows="{x: 1}, {x: 2}, {x: 3}"))
    edited = check(workload(LIST.format(extra="", rows="{x: 9}, {x: 1}, {x: 3}")), stack)
    with pytest.raises(InputError, match="had other tasks: tasks changed") as refused:
        require_same_rows(tree, edited, {1})
    assert "--allow-changed" in str(refused.value)
    fixed = check(workload(LIST.format(extra="more", rows="{x: 1}, {x: 2}, {x: 3}")), stack)
    require_same_rows(tree, fixed, {1})


def test_only_the_stages_whose_tasks_run_again_must_have_the_same_ones(
    submitted: Callable[..., ResultTree], workload: Callable[..., LoadedWorkload], stack: Stack
) -> None:
    first, second = 100_000_000, 110_000_000
    tree = submitted(STAGES.format(one="1, 2"), y_DOT_csv="y\n1\n2\n")
    edited = check(workload(STAGES.format(one="1, 3")), stack)
    require_same_rows(tree, edited, {second})
    with pytest.raises(InputError, match=r"one\.tasks changed \("):
        require_same_rows(tree, edited, {first + 1, second})
    table = check(workload(STAGES.format(one="1, 2"), y_DOT_csv="y\n2\n1\n"), stack)
    require_same_rows(tree, table, {first})
    with pytest.raises(InputError, match=r"two\.rows of its tasks changed"):
        require_same_rows(tree, table, {second})


TABLE = "name: n\npool: cpu\ncommand: echo {a}\ntasks: {csv: a.csv}\n"


@pytest.fixture
def table(workload: Callable[..., LoadedWorkload], stack: Stack) -> Callable[..., Checked]:
    """The workload of a table with these lines."""

    def make(*lines: object, head: str = "a") -> Checked:
        return check(
            workload(
                TABLE.replace("{a}", f"{{{head}}}"), a_DOT_csv="\n".join([head, *map(str, lines)])
            ),
            stack,
        )

    return make


def test_a_mended_line_runs_in_its_place_and_one_of_another_task_is_refused(
    submitted: Callable[..., ResultTree], table: Callable[..., Checked]
) -> None:
    tree = submitted(TABLE, rows=True, a_DOT_csv="a\n1\nbroken\n3\n")
    assert require_same_rows(tree, table(1, "broken", 3), {0}) == frozenset()
    assert require_same_rows(tree, table(1, 2, 3), {1}) == {1}
    assert require_same_rows(tree, table(1, 2, 3), {0, 1, 2}) == {1}
    with pytest.raises(InputError, match=r"rows of its tasks changed \(of 1, too, which does not"):
        require_same_rows(tree, table(1, 2, 3), {0})
    with pytest.raises(InputError, match=r"\(3 tasks then, 4 now\)"):
        require_same_rows(tree, table(1, 2, 3, 4), {0, 1, 2})
    with pytest.raises(InputError, match="of 0, too"):
        require_same_rows(tree, table(1, "broken", 3, head="b"), {1})


def test_what_ran_again_is_noted_in_its_place(
    submitted: Callable[..., ResultTree], table: Callable[..., Checked]
) -> None:
    tree = submitted(TABLE, rows=True, a_DOT_csv="a\n1\nbroken\n3\n")
    keep_rows(tree, table(1, 2, 3), {1})
    assert require_same_rows(tree, table(1, 2, 3), {0}) == frozenset()
    keep_rows(tree, table(7, 2, 8), {2})
    (stage,) = table(1, 2, 3).stages
    assert list(differing_rows(tree, tree.read_manifest(), stage) or ()) == [2]


def test_notes_of_another_plan_or_half_of_them_say_nothing(
    submitted: Callable[..., ResultTree], table: Callable[..., Checked]
) -> None:
    tree = submitted(TABLE, rows=True, a_DOT_csv="a\n1\nbroken\n3\n")
    noted = rows_file(tree).read_bytes()
    for damaged in (noted[:-8], noted.replace(b"rows 1", b"rows 9"), b""):
        rows_file(tree).write_bytes(damaged)
        with pytest.raises(InputError, match="of which tasks was not noted"):
            require_same_rows(tree, table(1, 2, 3), {1})
        keep_rows(tree, table(1, 2, 3), {1})
        assert rows_file(tree).read_bytes() == damaged, "nothing is made up"


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.data(),
)
def test_just_the_tasks_that_are_given_something_else_are_found(
    rows: list[int], data: st.DataObject
) -> None:
    now = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    sent = data.draw(st.sets(st.integers(0, len(rows) - 1)))
    with TemporaryDirectory() as directory:
        tree = ResultTree(Path(directory))
        tree.write_manifest(replace(manifest(), tasks=len(rows)))
        keep_rows(tree, listed(rows))
        keep_rows(tree, listed(now), sent)
        stage = listed(now).stages[0]
        found = list(differing_rows(tree, tree.read_manifest(), stage) or ())
    assert found == [
        n
        for n, pair in enumerate(zip(rows, now, strict=True))
        if n not in sent and pair[0] != pair[1]
    ]


def listed(rows: list[int]) -> Any:
    """As much of a checked workload as has rows."""
    made = Rows(names=("x",), count=len(rows), each=lambda: ((row,) for row in rows))
    stage = SimpleNamespace(view=SimpleNamespace(number=0, name=""), rows=made)
    return SimpleNamespace(stages=(stage,))


def test_notes_of_many_tasks_take_eight_bytes_each_and_no_memory(tmp_path: Path) -> None:
    count = 100_000
    rows = Rows(names=("x", "word"), count=count, each=lambda: ((n, "w") for n in range(count)))
    stage = SimpleNamespace(view=SimpleNamespace(number=0, name=""), rows=rows)
    tree = ResultTree(tmp_path)
    tree.write_manifest(replace(manifest(), tasks=count))
    checked: Any = SimpleNamespace(stages=(stage,))
    tracemalloc.start()
    keep_rows(tree, checked)
    keep_rows(tree, checked, {5})
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 1_000_000
    assert rows_file(tree).stat().st_size < 8 * count + 100


def test_stages_that_changed_places_are_told(
    submitted: Callable[..., ResultTree], workload: Callable[..., LoadedWorkload], stack: Stack
) -> None:
    tree = submitted(STAGES.format(one="1, 2"), y_DOT_csv="y\n1\n")
    lines = STAGES.format(one="1, 2").splitlines()
    lines[3], lines[4] = lines[4], lines[3]
    with pytest.raises(InputError, match="stage one is not where it was"):
        require_same_rows(tree, check(workload("\n".join(lines)), stack), {100_000_000})


def test_where_it_was_not_noted_what_ran_nothing_is_guessed(
    submitted: Callable[..., ResultTree], workload: Callable[..., LoadedWorkload], stack: Stack
) -> None:
    text = LIST.format(extra="", rows="{x: 1}")
    tree = submitted(text)
    (tree.root / "plan.json").unlink()
    with pytest.raises(InputError, match=r"not known which, without .*plan\.json"):
        require_same_rows(tree, check(workload(text), stack), {0})


def test_an_attempt_is_finished_only_with_the_tasks_that_it_was_begun_with(
    submitted: Callable[..., ResultTree], workload: Callable[..., LoadedWorkload], stack: Stack
) -> None:
    tree = submitted(LIST.format(extra="", rows="{x: 1}, {x: 2}"))

    def again(rows: str) -> JobPlan:
        checked = check(workload(LIST.format(extra="", rows=rows)), stack)
        return plan(checked, {}, job_id="job-r2", only="1")

    begun = again("{x: 1}, {x: 3}")
    attempt = Attempt(job_id="job-r2", tasks="1", created="", plan=begun.digest)
    tree.write_manifest(replace(tree.read_manifest(), attempts=(attempt,)))
    require_same(begun, tree)
    with pytest.raises(InputError, match="job job-r2 was made from another workload"):
        require_same(again("{x: 1}, {x: 4}"), tree)
