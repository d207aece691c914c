"""A project that is not in the clone: what is looked for where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

Directory = Any  # the fixture of command_line.py, which importlib mode cannot name

pytestmark = pytest.mark.slow


def test_a_project_of_ones_own_needs_no_variable_and_keeps_what_is_its(
    directory: Directory,
) -> None:
    del directory.environment["PYTHONPATH"]
    work = replace(directory, path=directory.path / "jobs")
    work.path.mkdir()
    work.write(
        """\
        name: mine
        pool: cpu
        program: {files: [run.sh]}
        command: [sh, run.sh, "{index}"]
        outputs: [out.txt]
        tasks: 2
        merge: [sh, -c, "cat outputs/*/out.txt | sort > all.txt"]
        check: [sh, -c, 'test "$(cat all.txt | xargs)" = "0 1"']
        """,
        run_DOT_sh='echo "$1" > out.txt\n',
    )
    # Files that the workload names are beside it; results are where the command is given.
    out, _ = directory.jobs("jobs/job.yaml", module="jobs.run")
    assert out.splitlines()[-1].rstrip() == "OK"
    assert sorted(path.name for path in directory.path.iterdir()) == ["jobs", "results"]
    (job,) = (directory.path / "results").iterdir()
    # Later verbs know the file and the stack from there.
    assert directory.json("report")["results"] == f"results/{job.name}"
    _, err = work.jobs("status", code=2)
    assert "no job was submitted from here: results has none" in err
    assert work.json("status", job.name, "--out", "../results")["job_id"] == job.name
    directory.jobs("clean", "--yes", "--local")
