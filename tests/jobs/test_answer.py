"""`merge` and `check` on this machine: where they print, and what is told when they fail."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from jobs.answer import answer
from jobs.errors import InputError, TaskFailureError
from jobs.loading import LoadedWorkload
from jobs.results import ResultTree

HEAD = "name: n\npool: cpu\ncommand: echo 1\n"


@pytest.fixture
def tree(tmp_path: Path) -> ResultTree:
    made = ResultTree(tmp_path / "results" / "job")
    made.root.mkdir(parents=True)
    return made


def closed() -> IO[str]:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [io.StringIO, closed, lambda: None])
def test_where_stderr_is_no_file_of_python_a_merge_prints_to_the_process_s(
    workload: Callable[..., LoadedWorkload],
    tree: ResultTree,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stream: Callable[[], IO[str] | None],
) -> None:
    """In a notebook, a test or a service, `sys.stderr` is often something else."""
    loaded = workload(HEAD + "merge: [echo, '{job}']\ncheck: [pwd]\n")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream())
        answer(loaded, tree, "job-1", results_to_stderr=True)
    assert capfd.readouterr() == ("", f"job-1\n{tree.root}\n")


def test_a_command_that_fails_or_is_not_there_is_told(
    workload: Callable[..., LoadedWorkload], tree: ResultTree, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = workload(HEAD + "merge: [sh, -c, exit 3]\ncheck: [echo, not reached]\n")
    with pytest.raises(TaskFailureError, match="merge ended with exit code 3"):
        answer(failing, tree, "job-1")
    missing = workload(HEAD + "check: [no-such-command]\n")
    with pytest.raises(InputError, match="check: no-such-command cannot be started: No such file"):
        answer(missing, tree, "job-1")
    assert capfd.readouterr() == ("", "")


def test_what_is_kept_is_given_back_and_nothing_of_it_is_printed(
    workload: Callable[..., LoadedWorkload],
    tree: ResultTree,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    loaded = workload(
        HEAD + "merge: [sh, -c, 'echo 16; echo slow >&2']\ncheck: [sh, -c, 'echo it fits']\n"
    )
    with caplog.at_level(logging.INFO, logger="jobs.answer"):
        assert answer(loaded, tree, "job-1", kept=True) == "16\nit fits\n"
    assert caplog.messages == ["merge: slow"]
    failing = workload(HEAD + "check: [sh, -c, 'seq 30; echo 17 is not 16 >&2; exit 1']\n")
    with pytest.raises(TaskFailureError) as failed:
        answer(failing, tree, "job-1", kept=True)
    lines = str(failed.value).splitlines()
    assert lines[0].startswith("check ended with exit code 1: the tasks succeeded")
    assert lines[1] == f"  to run check again: python -m jobs wait job --out {tree.root.parent}"
    assert (lines[2], lines[-1], len(lines)) == ("  12", "  17 is not 16", 22)
    assert capfd.readouterr() == ("", "")
