"""Files with stages, through the real command line, the emulator and Azurite."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

Directory = Any  # the fixture of command_line.py, which importlib mode cannot name
pytestmark = pytest.mark.slow

FAN = """\
    name: fan
    pool: cpu
    stages:
      total:
        after: square
        inputs: [{from: square}]
        script: cat {square}/*/n.txt | awk '{ s += $1 } END { print s }' > total.txt
        outputs: [total.txt]
      square:
        script: echo $(({x} * {x})) > n.txt; test -e skip || true
        outputs: [n.txt]
        tasks: {sweep: {x: [1, 2, 3]}}
    check: [sh, -c, 'test "$(cat outputs/*/total.txt)" = 14']
    """


def results_of(directory: Directory) -> Path:
    root: Path = directory.path
    return max((root / "results").iterdir(), key=lambda path: path.stat().st_mtime)


def test_what_many_tasks_write_one_task_adds_up(directory: Directory) -> None:
    directory.write(FAN)
    out, _ = directory.jobs("job.yaml", module="jobs.run")
    assert "4 of 4 succeeded" in out
    names = {path.name for path in (results_of(directory) / "outputs").iterdir()}
    assert names == {"100000000", "100000001", "100000002", "110000000"}


PAIRS = """\
    name: pairs
    pool: cpu
    stages:
      first:
        script: echo {index} > out; exit {code}
        outputs: [out]
        tasks: {list: [{code: 0}, {code: 3}, {code: 4}, {code: 0}]}
        on_failure: {3: continue}
      second:
        after: {first: each}
        inputs: [{from: first, to: in/put}]
        script: cat in/put/*/out
        tasks: 4
      halves:
        after: {first: {groups: 2}}
        command: echo {index}
        tasks: 2
      last:
        after: {second: {tasks: "0-1,3"}, last: previous}
        command: echo {index}
        tasks: 3
    """


def test_dependencies_and_exit_conditions_decide_what_runs(directory: Directory) -> None:
    directory.write(PAIRS)
    _, err = directory.jobs("job.yaml", module="jobs.run", code=1)
    assert "2 tasks cannot run: what they wait for failed; the job is ended" in err
    results = results_of(directory)
    logs = {
        path.name: (path / "stdout.txt").read_text().strip()
        for path in (results / "logs").iterdir()
        if path.name[:2] != "10"
    }
    assert logs == {
        "110000000": "0", "110000001": "1", "110000003": "3",
        "120000000": "0",
        "130000000": "0", "130000001": "1", "130000002": "2",
    }  # fmt: skip
    report = json.loads((results / "report.json").read_text())
    assert (report["succeeded"], report["tasks"]) == (9, 13)


FLAKY = """\
    name: flaky
    pool: cpu
    variables: {broken: 1}
    stages:
      part:
        script: echo {x} > n.txt; test {x} != {broken}
        outputs: [n.txt]
        tasks: {sweep: {x: [1, 2, 3]}}
      sum:
        after: part
        inputs: [{from: part}]
        script: cat part/*/n.txt | xargs
        tasks: 1
    """


def test_a_rerun_takes_what_succeeded_before_and_what_succeeds_now(directory: Directory) -> None:
    directory.write(FLAKY)
    directory.jobs("job.yaml", module="jobs.run", code=1)
    directory.write(FLAKY.replace("broken: 1", "broken: 0").replace("echo {x}", "echo 7"))
    directory.jobs("rerun", "last")
    logs = results_of(directory) / "logs"
    assert (logs / "110000000" / "stdout.txt").read_text().split() == ["7", "2", "3"]


CHAIN = """\
    name: chain
    pool: cpu
    variables: {add: 1}
    stages:
      step:
        script: n=$(cat {step}/*/state || echo 0); echo $((n + {add})) > state
        after: {step: previous}
        inputs: [{from: step}]
        outputs: [state]
        tasks: 4
    merge: [sh, -c, "cat outputs/*/state | xargs"]
    """


def test_a_task_goes_on_from_what_the_task_before_it_left(directory: Directory) -> None:
    directory.write(CHAIN)
    out, _ = directory.jobs("job.yaml", module="jobs.run")
    assert out.splitlines()[0] == "1 2 3 4"
    directory.write(CHAIN.replace("add: 1", "add: 10"))
    out, _ = directory.jobs("rerun", "--tasks", "2")
    assert out.splitlines()[0] == "1 2 12 22", "the last with it, because it waits for that"


STALE = """\
    name: stale
    pool: cpu
    stages:
      part:
        script: echo {x} > n.txt; test {x} != 2
        outputs: [n.txt]
        on_failure: continue
        tasks: {sweep: {x: [1, 2]}}
      sum:
        after: part
        inputs: [{from: part}]
        script: cat part/*/n.txt | xargs > sum.txt
        outputs: [sum.txt]
    merge: [sh, -c, "cat outputs/*/sum.txt > answer.txt"]
    """


def test_what_waits_for_a_task_that_runs_again_runs_with_it(directory: Directory) -> None:
    directory.write(STALE)
    directory.jobs("job.yaml", "--job-id", "stale", module="jobs.run", code=1)
    results = directory.path / "results" / "stale"
    mended = STALE.replace("echo {x} >", "echo 7 >").replace("test {x} != 2", "true")
    directory.write(mended)
    shown = directory.json("rerun", "stale", "--dry-run")["again"]
    assert shown["tasks"] == {"part/1": "exit code 1", "sum/0": "waits for part/1"}
    out, err = directory.jobs("rerun", "stale")
    assert "again: 2 tasks of 3" in err
    assert "sum: 1 waits for part/1 (0)" in err
    assert out.splitlines()[-1] == "OK"
    assert (results / "answer.txt").read_text().split() == ["1", "7"]


def test_a_stale_answer_is_no_success_and_the_next_rerun_mends_it(directory: Directory) -> None:
    directory.write(STALE.replace("test {x} != 2", "true"))
    directory.jobs("job.yaml", "--job-id", "left", module="jobs.run")
    answer = directory.path / "results" / "left" / "answer.txt"
    directory.write(STALE.replace("echo {x} > n.txt; test {x} != 2", "echo 7 > n.txt"))
    stale = [{"stage": "sum", "tasks": 1, "positions": "0"}]
    only = ("rerun", "left", "--tasks", "part/0", "--only")
    assert directory.json(*only, "--dry-run")["again"]["stale"] == stale
    first = directory.json(*only, code=1)
    assert (first["exit_code"], first["stale"]) == (1, stale)
    assert first["report"]["succeeded"] == 3
    assert answer.read_text().split() == ["1", "2"], "nothing was merged of it"
    out, err = directory.jobs("wait", "left", code=1)
    assert "OK" not in out.splitlines()
    assert "stale: sum (1 task), such as sum/0, made from what part/0 left before" in err
    assert "python -m jobs rerun left" in err
    said = "sum (1 task), such as sum/0, made from what part/0 left before that ran again"
    assert_told_everywhere(directory, said, stale)
    kept = directory.json("rerun", "left", "--only", code=1)
    assert (kept["exit_code"], kept["stale"]) == (1, stale)
    done = directory.json("rerun", "left")
    assert (done["exit_code"], done["stale"]) == (0, [])
    assert directory.json("report", "left")["stale"] == []
    assert directory.json("status", "left")["stale"] == []
    assert "stale" not in directory.jobs("status", "left")[0]
    assert directory.jobs("explain", "sum", "--job", "left")[0].startswith(
        "sum/0 (110000000): succ"
    )
    page = (directory.path / "results/left/report.html").read_text()
    assert '<p class="state succeeded">all 3 succeeded</p>' in page
    assert "<td>stale" not in page
    assert answer.read_text().split() == ["7", "2"]


def assert_told_everywhere(directory: Directory, said: str, stale: list[Any]) -> None:
    """Every verb that shows what became of a job or a task; the workload file is not needed."""
    remedy = "python -m jobs rerun left"
    file = directory.path / "job.yaml"
    text = file.read_text()
    file.unlink()
    out, err = directory.jobs("report", "left", "--html", "p.html", "--csv", "t.csv", code=1)
    assert "3 of 3 succeeded, 1 stale; 1 run again" in " ".join(out.split())
    assert f"stale: {said}" in err
    assert remedy in err
    page = (directory.path / "p.html").read_text()
    assert '<p class="state failed">1 of 3 stale</p>' in page
    assert (
        f'<p class="stale">stale: {said}. Bring it up to date: <code>{remedy}</code></p>' in page
    )
    assert "<td>stale</td>" in page
    with (directory.path / "t.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["attempt"] == "latest"]
    assert {row["name"]: row["stale"] for row in rows} == {
        "part/0": "", "part/1": "", "sum/0": "part/0",
    }  # fmt: skip
    made = directory.json("report", "left", code=1)
    assert (made["stale"], made["report"]["stale"]) == (stale, 1)
    assert {one["name"]: one["stale"] for one in made["report"]["stages"]} == {"part": 0, "sum": 1}
    shown = " ".join(directory.jobs("status", "left")[0].split())
    assert f"stale {said}: {remedy}" in shown
    assert directory.json("status", "left")["stale"] == stale
    out, _ = directory.jobs("explain", "--job", "left")
    assert f"  stale: {said}" in out.splitlines()
    assert f"  → {remedy}-r2" in out.splitlines()
    out, _ = directory.jobs("explain", "sum", "--job", "left")
    assert out.startswith("sum/0 (110000000): stale\n")
    assert "stale: part/0, which it waits for, ran again since" in out
    assert "→ python -m jobs rerun left" in out
    assert directory.jobs("explain", "part/0", "--job", "left")[0].startswith(
        "part/0 (100000000): succeeded"
    )
    _, err = directory.jobs("collect", "left")
    assert f"warning: stale: {said}" in err
    assert directory.json("collect", "left")["stale"] == stale
    file.write_text(text)


PROGRAM = """\
from jobs import StaleError, open_job

job = open_job("held")
again = job.again(tasks="part/0", dependents=False)
print(sorted(again.numbers), dict(again.reasons()), again.stale.names)
look = job.rerun(tasks="part/0", dependents=False).wait(timeout_s=60)
print(job.stale(), len(look.stale), job.report().report.stale)
job.collect()
try:
    job.answer()
except StaleError as error:
    print(error.exit_code, str(error).splitlines()[-1])
job.answer(allow_stale=True)
print(open("results/held/answer.txt").read().split())
print(dict(job.again().reasons()))
job.rerun().wait(timeout_s=60)
print(job.stale(), job.rerun())
job.collect()
job.answer()
"""


def test_a_program_learns_what_is_stale(directory: Directory) -> None:
    directory.write(STALE.replace("test {x} != 2", "true"))
    directory.jobs("job.yaml", "--job-id", "held", module="jobs.run")
    (directory.path / "program.py").write_text(PROGRAM, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "program.py"], cwd=directory.path, env=directory.environment,
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert ran.stdout.splitlines() == [
        "[100000000] {'part/0': 'chosen'} {'sum/0': 'part/0'}",
        "{'sum/0': 'part/0'} 1 1",
        "1   bring it up to date: python -m jobs rerun held",
        "['1', '2']",
        "{'sum/0': 'waits for part/0'}",
        "{} None",
    ], ran.stderr


def test_tasks_of_a_stage_are_named_and_what_is_not_there_is_refused(directory: Directory) -> None:
    directory.write(
        """\
        name: named
        pool: cpu
        stages:
          square: {script: "echo s{index} >&2; test {index} -ne 2", tasks: 4}
          sum: {command: echo sum, after: {square: all}}
        """
    )
    _, err = directory.jobs("run", "job.yaml", code=1)
    assert "such as square/2" in err
    assert directory.jobs("explain", "square/2")[0].startswith("square/2 (100000002): failed")
    assert directory.jobs("explain", "sum")[0].startswith("sum/0 (110000000): active")
    out, _ = directory.jobs("logs", "square/0-1")
    assert out.splitlines() == ["square/0 stderr| s0", "square/1 stderr| s1"]
    assert directory.jobs("logs", "100000001")[0] == "s1\n"
    assert "square/9" in directory.jobs("explain", "square/9", code=2)[1]
    assert directory.jobs("logs", "1")[0] == "s1\n"
    assert "0 may be square/0 or sum/0" in directory.jobs("logs", "0", code=2)[1]
    assert "did you mean 'square'" in directory.jobs("logs", "squre/1", code=2)[1]
    assert "there is no stage 'cube'" in directory.jobs("rerun", "--tasks", "cube", code=2)[1]
    directory.jobs("rerun", "--tasks", "square/2,sum", code=1)
    assert directory.jobs("explain", "square/0")[0].startswith("square/0 (100000000): succeeded")
    for more in ((), ("--follow",)):
        assert directory.jobs("logs", "square/0-3", *more)[0].splitlines() == [
            "square/0 stderr| s0", "square/1 stderr| s1", "square/3 stderr| s3",
            "square/2 stderr| s2",
        ]  # fmt: skip
        assert directory.jobs("logs", "failed", *more)[0] == "square/2 stderr| s2\n"


def test_a_task_may_end_the_job(directory: Directory) -> None:
    directory.write(
        """\
        name: stop
        pool: cpu
        script: test {x} = 0 || exit 9; sleep 1000
        tasks: {sweep: {x: [0, 1]}}
        on_failure: {9: stop}
        """
    )
    value = directory.json("run", "job.yaml", code=1)
    assert value["report"]["elapsed_s"] < 900


def test_nodes_are_prepared_once_and_released(directory: Directory, tmp_path: Path) -> None:
    released = tmp_path / "released"
    directory.write(
        f"""\
        name: prepared
        pool: cpu
        preparation:
          script: cat data.txt > ready.txt
          inputs: [data.txt]
        release: sh -c "echo done >> {released}"
        script: cat "${{AZ_BATCH_JOB_PREP_WORKING_DIR}}/ready.txt"
        tasks: 3
        check: [sh, -c, 'test "$(cat logs/*/stdout.txt | xargs)" = "42 42 42"']
        """,
        data_DOT_txt="42\n",
    )
    directory.jobs("job.yaml", module="jobs.run")
    assert set(released.read_text().split()) == {"done"}


def test_a_generator_and_draws_make_tasks(directory: Directory) -> None:
    directory.write(
        """\
        name: made
        pool: cpu
        variables: {n: 3}
        command: echo {side} {area} {x}
        tasks:
          - generator: cases:squares
          - random: {count: 1, seed: 5, parameters: {x: {integers: [3, 3]}}}
        """,
        cases_DOT_py="def squares(n):\n    for side in range(n):\n"
        "        yield {'side': side, 'area': side * side}\n",
    )
    directory.jobs("job.yaml", module="jobs.run")
    logs = results_of(directory) / "logs"
    lines = sorted(path.read_text().strip() for path in logs.glob("*/stdout.txt"))
    assert lines == ["0 0 3", "1 1 3", "2 4 3"]


RING = """\
#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv) {
  int rank, size, sum = 0;
  char line[64] = "";
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  FILE *in = fopen("shared.txt", "r");
  int mine = 0;
  if (in) { if (fgets(line, sizeof line, in)) sscanf(line, "%d", &mine); fclose(in); }
  mine *= rank;
  MPI_Reduce(&mine, &sum, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) { FILE *out = fopen("sum.txt", "w"); fprintf(out, "%d of %d\\n", sum, size); fclose(out); }
  MPI_Finalize();
  return 0;
}
"""  # noqa: E501 - C
COMPILER = Path(sys.executable).parent / "mpicc"


UNPREPARED = """\
    name: unprepared
    pool: cpu
    preparation: {script: 'echo "no data set" >&2; exit 9'}
    command: echo {index}
    tasks: 3
    """


def test_a_preparation_that_fails_everywhere_ends_the_run_with_its_log(
    directory: Directory,
) -> None:
    directory.write(UNPREPARED)
    _, err = directory.jobs("job.yaml", "--timeout", "4m", code=1, module="jobs.run")
    assert "the preparation failed on all 2 nodes that the pool has" in err
    assert "preparation: no data set" in err
    assert "3 of 3 tasks never ran" in err
    logs = results_of(directory) / "logs" / "preparation"
    assert {path.read_text() for path in logs.glob("*/stderr.txt")} == {"no data set\n"}
    assert directory.json("status")["state"] == "completed"


def test_a_preparation_that_fails_everywhere_ends_a_trial_with_its_log_too(
    directory: Directory,
) -> None:
    directory.write(UNPREPARED)
    _, err = directory.jobs("run", "job.yaml", "--first", "1", "--timeout", "4m", code=1)
    assert "the preparation failed on all 2 nodes that the pool has" in err
    assert "preparation: no data set" in err
    assert "the job was ended" in err
    assert "The other 2 were not submitted." in err
    assert "python -m jobs resume" not in err
    logs = results_of(directory) / "logs" / "preparation"
    assert {path.read_text() for path in logs.glob("*/stderr.txt")} == {"no data set\n"}
    assert directory.json("status")["state"] in {"terminating", "completed"}


@pytest.mark.skipif(
    not COMPILER.exists() or shutil.which("cc") is None, reason="needs MPICH and a C compiler"
)
def test_a_real_mpi_program_runs_on_two_nodes(directory: Directory) -> None:
    binaries = COMPILER.parent
    directory.write(
        f"""\
        name: ring
        pool: mpi
        program:
          build:
            command: [{COMPILER}, ring.c, -o, build/ring]
            sources: [ring.c]
            output: build/ring
        inputs: [shared.txt]
        environment: {{PATH: "{binaries}:/usr/bin:/bin"}}
        command: ./ring
        outputs: [sum.txt]
        multi_instance:
          nodes: 2
          mpi: mpich
          processes_per_node: 2
          coordination: test -f shared.txt
        check: [sh, -c, 'test "$(cat outputs/*/sum.txt)" = "42 of 4"']
        """,
        ring_DOT_c=RING,
        shared_DOT_txt="7\n",
    )
    directory.jobs("job.yaml", module="jobs.run")
