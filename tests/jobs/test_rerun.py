from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InputError
from jobs.looks import Look, TaskEnd
from jobs.rerun import Ends, chosen, earlier_jobs, next_job_id, set_aside, superseded
from jobs.results import Attempt, Manifest, ResultTree
from jobs.selection import parse_selection, written_positions

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
    assert chosen(manifest(), look(), ends, FAILED) == {1, 2, 3, 4}
    assert chosen(manifest(), look(), ends, FAILED, [137, 2]) == {3}
    assert chosen(manifest(), look(), ends, parse_selection("0-1")) == {0, 1}


def test_named_tasks_that_never_ended_run_too() -> None:
    ends = Ends(latest=(end(0), end(1, 1)), earlier=())
    assert chosen(manifest(), look(), ends, parse_selection("1-3")) == {1, 2, 3}
    assert chosen(manifest(), look(), ends, parse_selection("0000003-ab,0")) == {0, 3}
    assert chosen(manifest(), look(), ends, parse_selection("all")) == {0, 1, 2, 3, 4}
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
