"""What a program gives to a `Client` or a `Job` is checked where it is given."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from jobs import Client, InputError, Job
from jobs.errors import StackError
from jobs.job_schedules import JobSchedule
from jobs.results import ResultTree
from jobs.session import Session
from jobs.stack import Stack


@pytest.fixture
def job(tmp_path: Path, stack: Stack) -> Job:
    """A job of which nothing can be asked: what is wrong is found before."""
    return Job(tree=ResultTree(tmp_path / "none"), session=Session(stack=stack))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "^name the stack: stack=NAME, or outputs=FILE with its outputs$"),
        (
            {"stack": "local", "outputs": Path("x")},
            r"both a stack \(local\) and a file .* \(x\) are given: leave",
        ),
        ({"stack": "../x"}, "^stack='../x' is no name of a stack"),
    ],
)
def test_a_client_without_one_stack_is_not_made(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(StackError, match=said):
        Client(**arguments)


def test_a_client_takes_texts_for_paths() -> None:
    client = Client(outputs=cast("Path", "stack.json"), out=cast("Path", "there"))
    assert (client.outputs, client.out) == (Path("stack.json"), Path("there"))


def test_what_a_person_sees_of_a_job_is_a_line(job: Job, tmp_path: Path) -> None:
    assert repr(job) == f"<Job none of stack test, results in {tmp_path / 'none'}>"
    schedule = JobSchedule(id="nightly", session=job.session)
    assert repr(schedule) == "<JobSchedule nightly of stack test>"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda job: job.logs("0", tail=-1), "tail -1"),
        (lambda job: job.logs(sources=["bogus"]), "sources .'bogus',. are not any of coordin"),
        (lambda job: job.logs(sources="stdin"), "'stdin'"),
        (lambda job: job.logs(sources=[]), "sources"),
        (lambda job: job.wait(max_fails=0), "max_fails 0 is not 1 or more"),
        (lambda job: job.wait(timeout_s=-1), "timeout_s -1"),
        (lambda job: job.wait(max_cost=math.nan), "max_cost nan"),
        (lambda job: job.finish(max_fails=0), "max_fails 0 is not 1 or more"),
        (lambda job: job.finish(on_finish="if"), "on_finish 'if' cannot be read"),
        (lambda job: job.finish(notify="http://example.com/x"), "notify: example.com is not this"),
        (lambda job: job.finish(report="r.pdf"), r"report r\.pdf: its ending says"),
        (lambda job: job.watch(timeout_s=-0.5), r"timeout_s -0\.5"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_given(
    job: Job, call: Callable[[Job], object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        call(job)


def test_all_that_is_wrong_is_told_at_once(job: Job) -> None:
    with pytest.raises(InputError) as refused:
        job.wait(timeout_s=-1, max_fails=0, max_cost=-2.0)
    assert len(refused.value.findings) == 3
    with pytest.raises(InputError) as refused:
        job.finish(timeout_s=-1, max_fails=0, on_finish=" ", notify="me", report="r")
    assert len(refused.value.findings) == 5
