"""kill -9 of the submitter at random moments, then `resume`: each task exactly once.

`JOBS_KILLS` says how many submitters are killed (3 by default), `JOBS_KILL_SEED` when.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jobs import Client
from jobs import submit as submitting
from jobs.describe import planned
from jobs.going_on import options_of

Directory = Any  # the fixture of command_line.py, which importlib mode cannot name
TASKS = 300

pytestmark = pytest.mark.slow


def killed(directory: Directory, after_s: float, *arguments: str) -> bool:
    """Whether a command was killed before it ended."""
    process: subprocess.Popen[str] = directory.start(*arguments)
    with process:
        try:
            process.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return True
    assert process.returncode == 0
    return False


def write(directory: Directory, name: str) -> None:
    log = directory.path / name
    log.write_text("")
    command = json.dumps(["sh", "-c", 'echo {index} >> "$0"', str(log)])
    directory.write(
        f"name: {name}\npool: cpu\ninputs: [input]\ntasks: {TASKS}\ncommand: {command}\n",
        input=name,
    )


def check_each_ran_once(directory: Directory, name: str) -> None:
    """Finishes the job, and demands what it was to do."""
    report = directory.json("resume")["report"]
    assert (report["succeeded"], report["tasks"]) == (TASKS, TASKS)
    runs = Counter((directory.path / name).read_text().split())
    assert runs == Counter(str(index) for index in range(TASKS))


def test_however_often_it_is_killed_each_task_runs_once(
    directory: Directory, record_property: Callable[[str, object], None]
) -> None:
    seed = int(os.environ.get("JOBS_KILL_SEED", str(random.SystemRandom().randrange(10**6))))
    record_property("seed", seed)
    moments = random.Random(seed)  # noqa: S311 - moments, no secrets
    write(directory, "whole")
    began = time.monotonic()
    directory.jobs("submit", "job.yaml")
    lasts_s = time.monotonic() - began
    check_each_ran_once(directory, "whole")

    kills = jobs = 0
    while kills < int(os.environ.get("JOBS_KILLS", "3")):
        jobs += 1
        write(directory, f"kill{jobs}")
        before = set(directory.path.glob("results/*/job.json"))
        command = ["submit", "job.yaml"]
        while killed(directory, moments.uniform(0.2, 1.1) * lasts_s, *command):
            kills += 1
            # What a person would do: the tree of results is there from before the first
            # request on, and with it there is something to resume.
            if set(directory.path.glob("results/*/job.json")) != before:
                command = ["resume"]
                if moments.random() < 0.7:
                    break  # the others are killed once more
        check_each_ran_once(directory, f"kill{jobs}")
    trees = list(directory.path.glob("results/*/job.json"))
    assert len(trees) == jobs + 1


def test_of_two_that_resume_at_once_one_submits_and_the_other_says_so(
    directory: Directory,
) -> None:
    write(directory, "both")
    directory.jobs("run", "job.yaml", "--job-id", "both", "--first", "20", code=4)
    two = [directory.start("resume", "both", "--detach") for _ in range(2)]
    ended = [(*process.communicate(timeout=300), process.returncode) for process in two]
    for process in two:
        process.wait()
    codes = sorted(code for _, _, code in ended)
    assert codes in ([0, 0], [0, 2]), ended
    for _, err, code in ended:
        assert ("being submitted by another command" in err) == (code == 2), err
    check_each_ran_once(directory, "both")


def test_who_submits_from_another_machine_compares_by_lists_what_came_meanwhile(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing locks a job there: what was listed before the other began is out of date."""
    write(directory, "far")
    directory.jobs("run", "job.yaml", "--job-id", "far", "--first", "20", code=4)
    monkeypatch.setenv("HPC_LOCAL_DIR", directory.environment["HPC_LOCAL_DIR"])
    monkeypatch.delenv("AZURE_BATCH_ACCESS_KEY", raising=False)
    monkeypatch.chdir(directory.path)
    job = Client(stack="local").job("far")
    service = job.session.service
    plan, _ = planned(replace(options_of(job.manifest, job.tree), resume=True))
    before = submitting._present(service, plan, "/jobs/far")
    assert len(before) == 20
    submitting.submit(plan, service, resume=True, trial=(TASKS - 10,))
    monkeypatch.setattr(submitting, "_present", lambda *_: before)
    sent = service.requests_sent
    submitting.submit(plan, service, resume=True)
    # the job, three collections, for two or three of them the job and a list, the end
    assert service.requests_sent - sent <= 12
    monkeypatch.undo()
    check_each_ran_once(directory, "far")
