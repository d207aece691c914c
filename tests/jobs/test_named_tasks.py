from __future__ import annotations

import pytest

from jobs.errors import InputError
from jobs.named_tasks import resolved
from jobs.selection import parse_selection
from jobs.stages import shown_task

STAGES = {"square": 4, "sum": 1, "big": 2_000_000}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("square/1", ["100000001"]),
        ("square", ["100000000", "100000001", "100000002", "100000003"]),
        ("square/0-3:2,sum", ["100000000", "100000002", "110000000"]),
        ("sum/0", ["110000000"]),
        ("100000001", ["100000001"]),
        ("100000001-100000002", ["100000001", "100000002"]),
        ("10000000", ["100000000", "100000001", "100000002", "100000003"]),
        ("1100", ["120001100"]),
        ("11000000", ["110000000"]),
        ("big/1999999", ["121999999"]),
    ],
)
def test_tasks_of_a_stage_have_names(text: str, ids: list[str]) -> None:
    selection = resolved(parse_selection(text), STAGES, 2_000_005)
    candidates = [
        *(str(n) for n in range(100_000_000, 100_000_006)),
        "110000000", "110000001", "120001100", "121999999", "122000000",
    ]  # fmt: skip
    assert [task_id for task_id in candidates if selection.has(task_id)] == ids


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cube", "there is no stage 'cube': the job has square, sum, big"),
        ("squre/1", "there is no stage 'squre'; did you mean 'square'"),
        ("faild", "did you mean 'failed'"),
        ("failed,a", "there is no stage 'failed': failed stands alone"),
        ("sum,all", "there is no stage 'all': all stands alone"),
        ("square/4", "there is no task square/4: the stage has 4 tasks, 0 to 3"),
        ("square/0-4", "there is no task square/4"),
        ("sum/1", "the stage has 1 task, 0"),
        ("1", "1 may be square/1 or big/1: the job has stages, so write which"),
        ("0", "0 may be square/0 or sum/0 or big/0"),
        ("0-3", "0-3 may be square/0-3 or big/0-3"),
        ("2000000", "the job has square 0 to 3, sum 0, big 0 to 1999999"),
        ("100000004", "there is no task 100000004"),
        ("100000000-100000009", "there is no task 100000009"),
        ("999999999", "there is no task 999999999"),
        ("0000001-ab", "there is no task 0000001-ab"),
    ],
)
def test_what_a_job_with_stages_does_not_have_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolved(parse_selection(text), STAGES, 2_000_005)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("4", "there is no task 4: the job has 4 tasks, 0 to 3"),
        ("0-99999", "there is no task 99999"),
        ("0-5:2", "there is no task 4"),
        ("0000007-", "there is no task 7"),
        ("square/0", "the job has no stages"),
        ("square", "the job has no stages"),
        ("faild", "did you mean 'failed'"),
        ("0,failed", "there is no stage 'failed': failed stands alone"),
    ],
)
def test_what_a_job_without_stages_does_not_have_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolved(parse_selection(text), {}, 4)


def test_a_stage_may_have_the_name_of_a_word_that_stands_alone() -> None:
    selection = resolved(parse_selection("failed,sum"), {"failed": 2, "sum": 1}, 3)
    assert [n for n in (100000001, 110000000) if selection.has_number(n)] == [100000001, 110000000]
    assert not selection.failed


@pytest.mark.parametrize("text", ["all", "failed", "0-3", "3,0000001-ab"])
def test_what_it_has_is_taken(text: str) -> None:
    selection = parse_selection(text)
    assert resolved(selection, {}, 4) == selection


def test_a_task_is_shown_by_the_name_that_selects_it() -> None:
    assert shown_task("110000000", STAGES) == "sum/0"
    assert shown_task("0000001-abc", {}) == "1"
    for other in ("jobmanager", "x-1", "0000001-abc"):
        assert shown_task(other, STAGES) == other
