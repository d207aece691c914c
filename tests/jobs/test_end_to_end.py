"""The real command line against the real emulator and the real Azurite."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from jobs import Client
from jobs.errors import TakenError

ROOT = Path(__file__).resolve().parents[2]
Directory = Any  # the fixture of command_line.py, which importlib mode cannot name

pytestmark = pytest.mark.slow


SUM = """\
    name: sum
    pool: cpu
    variables: {scale: 10}
    program:
      build:
        command: [sh, -c, "cp add.sh build/add; chmod +x build/add"]
        sources: [add.sh]
        output: build/add
    inputs: [numbers.txt]
    command: ./add numbers.txt {x} {scale} sum-{index}.txt
    outputs: ["sum-*.txt"]
    tasks: {sweep: {x: [1, 2, 3]}}
    merge: [sh, -c, "cat outputs/*/sum-*.txt | sort -n > all.txt; cat all.txt"]
    check: [sh, -c, 'test "$(cat all.txt | xargs)" = "16 26 36"']
    """
ADD = '#!/bin/sh\necho $(($(cat "$1") + $2 * $3)) > "$4"\n'


def test_a_workload_runs_from_its_source_to_its_checked_answer(directory: Directory) -> None:
    directory.write(SUM, add_DOT_sh=ADD, numbers_DOT_txt="6\n")
    out, err = directory.jobs("job.yaml", module="jobs.run")
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[:3] == ["16", "26", "36"]
    assert lines[-1] == "OK"
    assert any(line == "tasks  3 of 3 succeeded" for line in lines)
    assert all(len(line) <= 80 for line in lines)
    assert "add built" in err
    assert "staged: 2 files, 2 sent" in err
    results = next((directory.path / "results").iterdir())
    assert json.loads((results / "report.json").read_text())["succeeded"] == 3
    assert len(list((results / "logs").glob("*/stderr.txt"))) == 3
    _, err = directory.jobs("run", "job.yaml")
    assert "add up to date" in err
    assert "staged: 2 files, 0 sent (0 B)" in err


def test_every_verb_finds_the_job_again(directory: Directory) -> None:
    directory.write(SUM, add_DOT_sh=ADD, numbers_DOT_txt="6\n")
    assert directory.json("validate", ".")["tasks"] == 3
    built = directory.json("build", ".")
    assert (built["output"], built["ran"]) == (str(directory.path / "build" / "add"), True)
    assert directory.json("stage", ".", "--inputs")["files"] == 1
    assert directory.json("stage", ".", "--programs")["files"] == 1
    submitted = directory.json("submit", ".")
    job = submitted["job_id"]
    assert submitted["added"] == 3
    waited = directory.json("wait", "last")
    assert (waited["job_id"], waited["exit_code"]) == (job, 0)
    assert directory.json("status", job[:12])["over"] is True
    doctor = directory.json("doctor")
    assert doctor["ok"], doctor
    assert len(doctor["checks"]) == 9
    assert job in [item["job_id"] for item in directory.json("list")["jobs"]]
    assert job in directory.jobs("list")[0].split()
    assert directory.json("collect", job)["fetched"] == 0
    shutil.rmtree(directory.path / "results" / job / "outputs")
    assert directory.json("collect", job)["fetched"] == 3
    assert directory.json("report", job)["report"]["succeeded"] == 3
    assert directory.json("resume", job)["exit_code"] == 0


def test_a_task_that_fails_is_told_with_its_last_words(directory: Directory) -> None:
    text = "name: bad\npool: cpu\nscript: 'echo no luck >&2; exit {repeat}'\ntasks: 3\ncheck: x\n"
    directory.write(text)
    out, err = directory.jobs("run", "job.yaml", code=1)
    assert "1 of 3 succeeded, 2 failed" in out
    assert "OK" not in out
    assert '1 task: exit code 2 "no luck" - such as 2' in err
    assert "its command: /bin/sh -ec 'echo no luck >&2; exit 2'" in err
    assert re.search(r"its log: results/.*/stderr.txt", err)
    assert "merge and check were not run" in err
    assert directory.json("run", "job.yaml", code=1)["exit_code"] == 1
    directory.jobs("report", code=1)
    # the file is another one by now: what was submitted is reported all the same
    directory.write(text + "nosuch: key\n")
    again, err = directory.jobs("report", code=1)
    assert "1 of 3 succeeded, 2 failed" in again
    assert "such as 2" in err
    _, err = directory.jobs("wait", code=2)
    assert "nosuch" in err
    assert "python -m jobs collect" in err


PRINTING = """\
    name: print
    pool: cpu
    script: |
      echo out {index}
      echo err {index} >&2
      test {index} -ne 2
    tasks: 4
    """


def test_logs_are_shown_by_position_by_outcome_and_by_search(directory: Directory) -> None:
    directory.write(PRINTING)
    directory.jobs("run", "job.yaml", code=1)
    assert directory.jobs("logs", "3")[0] == "out 3\nerr 3\n"
    shown, _ = directory.jobs("logs", "0-3:2", "--source", "stdout")
    assert shown == "0 stdout| out 0\n2 stdout| out 2\n"
    assert directory.jobs("logs", "failed", "--tail", "1")[0].splitlines() == [
        "2 stdout| out 2",
        "2 stderr| err 2",
    ]
    lines = directory.jobs("logs", "--search", "^err [13]$", "--json")[0].splitlines()
    assert [json.loads(line)["line"] for line in lines] == ["err 1", "err 3"]
    assert [json.loads(line)["name"] for line in lines] == ["1", "3"]
    shown, _ = directory.jobs("explain", "failed")
    assert "  exit code 1, of the program's own choosing" in shown
    assert "  stderr: err 2" in shown
    job = directory.json("explain")["explanations"][0]
    assert job["reasons"] == ['1 task: exit code 1 "err 2" - such as 2']
    shutil.rmtree(next(directory.path.glob("results/*/logs")))
    assert directory.jobs("logs", "1")[0] == "out 1\nerr 1\n"
    assert "there is no task 9" in directory.jobs("logs", "9", code=2)[1]
    assert "there is no stage 'x'" in directory.jobs("logs", "x", code=2)[1]
    assert "no regular expression" in directory.jobs("logs", "--search", "(", code=2)[1]


def test_logs_are_followed_while_tasks_run(directory: Directory) -> None:
    directory.write(
        """\
        name: follow
        pool: cpu
        script: 'echo begun; while [ ! -e go ]; do sleep 0.05; done; printf done'
        """
    )
    directory.jobs("submit", "job.yaml")
    with directory.start("logs", "0", "--follow") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert process.poll() is None
        nodes = Path(directory.environment["HPC_LOCAL_DIR"]) / "nodes"
        log = next(p for p in nodes.rglob("stdout.txt") if p.read_text() == "begun\n")
        (log.parent / "wd" / "go").touch()
        assert process.stdout.read() == "done\n"
        assert process.wait(120) == 0


def test_what_failed_runs_again_in_the_same_result_tree(
    directory: Directory, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    text = """\
        name: again
        pool: cpu
        variables: {flag: FLAG}
        script: |
          echo {index} > out-{index}
          test {index} -eq 0 || test -e {flag}-{index} || exit 7{index}
        outputs: ["out-*"]
        tasks: 3
        merge: [sh, -c, "cat outputs/*/out-* > all.txt"]
        check: [sh, -c, 'test "$(cat all.txt | xargs)" = "0 1 2"']
        """
    directory.write(text.replace("FLAG", str(flag)))
    _, err = directory.jobs("run", "job.yaml", "--job-id", "again", code=1)
    assert "run them again: python -m jobs rerun again" in err
    shown = directory.json("rerun", "--exit-code", "71", "--dry-run")
    assert (shown["job"]["id"], shown["tasks"]) == ("again-r2", 1)
    assert [stage["tasks"] for stage in shown["stages"]] == [1]
    assert [task["id"][:7] for task in shown["first_tasks"]] == ["0000001"]
    assert "Nothing was sent (--dry-run)" in directory.jobs("rerun", "-n")[0]
    _, err = directory.jobs("rerun", "--confirm-above", "0", "--no-input", code=2)
    assert "--confirm-above is $0.00" in err
    none = directory.json("rerun", "--exit-code", "99", "--detach")
    assert none == {"version": 1, "job_id": "again", "tasks": 0, "stale": []}
    left = directory.json("rerun", "--exit-code", "99", code=1)
    assert (left["job_id"], left["report"]["failed"]) == ("again", 2), "it is no success"
    Path(f"{flag}-1").touch()
    first = directory.json("rerun", "again", "--exit-code", "71", code=1)
    assert first["job_id"] == "again-r2"
    assert (first["report"]["failed"], first["report"]["reruns"]) == (1, 1)
    assert list(directory.path.glob("results/again/attempts/1/outputs/0000001-*/out-1"))
    Path(f"{flag}-2").touch()
    second = directory.json("rerun", "last", "--detach")
    assert (second["job_id"], second["added"]) == ("again-r3", 1)
    done = directory.json("wait", "again-r3")
    report = done["report"]
    assert (report["tasks"], report["succeeded"], report["reruns"]) == (3, 3, 2)
    assert (directory.path / "results/again/all.txt").read_text().split() == ["0", "1", "2"]
    assert [path.name for path in (directory.path / "results").iterdir()] == ["again"]
    shutil.rmtree(directory.path / "results/again/outputs")
    directory.json("collect", "again")
    assert len(list(directory.path.glob("results/again/outputs/*"))) == 3
    assert "no task is to be run again" in directory.jobs("rerun")[1]


def test_a_rerun_that_has_no_task_to_run_merges_and_checks(directory: Directory) -> None:
    """What failed was the merge or the check: `run || rerun` ends well once these do."""
    directory.write(
        "name: sums\npool: cpu\nscript: echo {index} > o\noutputs: [o]\ntasks: 2\n"
        "merge: [sh, -c, 'test -e good && cat outputs/*/o > all']\ncheck: [grep, '1', all]\n"
    )
    _, err = directory.jobs("run", "job.yaml", "--job-id", "sums", code=1)
    assert "merge ended with exit code 1" in err
    assert "to run merge and check again: python -m jobs wait sums" in err
    out, err = directory.jobs("rerun", "sums", code=1)
    assert "no task is to be run again" in err
    assert "merge ended with exit code 1" in err
    assert "OK" not in out.splitlines()
    assert directory.json("rerun", "sums", "--dry-run")["tasks"] == 0
    (directory.path / "results/sums/good").touch()
    done = directory.json("rerun", "sums")
    assert (done["exit_code"], done["report"]["succeeded"]) == (0, 2)
    assert (directory.path / "results/sums/all").read_text().split() == ["0", "1"]


def test_a_task_that_is_another_by_now_runs_again_only_if_that_is_said(
    directory: Directory,
) -> None:
    text = "name: moved\npool: cpu\nscript: echo {x}; test {x} -gt 2\ntasks: {list: [%s]}\n"
    directory.write(text % "{x: 1}, {x: 2}, {x: 3}")
    directory.jobs("run", "job.yaml", "--job-id", "moved-rows", code=1)
    directory.write(text % "{x: 9}, {x: 1}, {x: 3}")
    for more in ((), ("--dry-run",)):
        _, err = directory.jobs("rerun", "moved-rows", "--tasks", "1", *more, code=2)
        assert "job moved-rows had other tasks: tasks changed (of 0, too, which does not" in err
    assert directory.json("status", "moved-rows")["job_id"] == "moved-rows"
    again = directory.json("rerun", "moved-rows", "--tasks", "0", "--allow-changed", code=1)
    assert again["report"]["succeeded"] == 2
    assert directory.jobs("logs", "0", "--source", "stdout", "--job", "moved-rows")[0] == "9\n"
    directory.write(text % "{x: 9}, {x: 8}, {x: 3}")
    assert directory.json("rerun", "moved-rows", "--dry-run")["again"]["mended"] == ["1"]
    assert "given something else than before: 1\n" in directory.jobs("rerun", "moved-rows")[1]
    assert directory.jobs("logs", "1", "--source", "stdout", "--job", "moved-rows")[0] == "8\n"
    _, err = directory.jobs("rerun", "moved-rows", "--tasks", "2", "--dry-run")
    assert "given something else" not in err, "what ran last is what is noted"


def test_clean_shows_and_asks_before_it_removes(directory: Directory) -> None:
    directory.write("name: c\npool: cpu\nscript: echo {index} > o\noutputs: [o]\ntasks: 2\n")
    directory.jobs("run", "job.yaml", "--job-id", "clean-me")
    shown, _ = directory.jobs("clean", "--dry-run", "--local")
    assert shown.splitlines()[:3] == [
        "job clean-me (completed) with its tasks",
        "2 files (4 B) in container outputs",
        "4 files (0 B) in container logs",
    ]
    assert shown.splitlines()[3].startswith("results/clean-me/ on this machine (")
    assert "say --yes" in directory.jobs("clean", code=2)[1]
    assert directory.json("collect")["files"] == 6
    assert directory.json("clean", "--yes")["removed"] is True
    assert (directory.path / "results/clean-me/outputs").is_dir()
    left = directory.json("clean", "--yes")
    assert (left["jobs"], left["blobs"]["outputs"]) == ([], [0, 0])
    assert "clean-me" not in [job["job_id"] for job in directory.json("list")["jobs"]]
    told = directory.json("status")
    assert (told["state"], told["succeeded"], told["over"]) == ("cleaned", 2, True)
    (row,) = directory.json("status", "all")["jobs"]
    assert {"version": 1, **row} == told
    for verb in ("wait", "rerun", "collect"):
        assert "clean-me was cleaned on" in directory.jobs(verb, code=2)[1]
    assert directory.json("report")["report"]["succeeded"] == 2
    directory.jobs("clean", "--local", "-y")
    assert not (directory.path / "results/clean-me").exists()


def test_several_jobs_are_cleaned_with_one_question_but_for_those_that_run(
    directory: Directory,
) -> None:
    directory.write("name: c\npool: cpu\nscript: echo 1 > o\noutputs: [o]\n")
    for job in ("one", "two"):
        directory.jobs("run", "job.yaml", "--job-id", job)
    directory.write("name: slow\npool: cpu\ncommand: sleep 1000\n")
    directory.jobs("submit", "job.yaml", "--job-id", "runs")
    gone = directory.path / "results" / "gone"
    shutil.copytree(directory.path / "results" / "one", gone)
    manifest = json.loads((gone / "job.json").read_text())
    gone.joinpath("job.json").write_text(json.dumps({**manifest, "job_id": "gone", "stack": "no"}))

    shown, err = directory.jobs("clean", "all", "--dry-run", "--local", code=2)
    assert [line for line in shown.splitlines() if not line.startswith(" ")] == ["one:", "two:"]
    assert "  1 file (2 B) in container outputs" in shown
    assert "runs stays: job runs is active: wait for it, or end it first" in err
    assert "gone stays: stack no:" in err

    done = directory.json("clean", "all", "--local", "--yes", code=2)
    rows = {row["job_id"]: row for row in done["jobs"]}
    assert {name: row.get("removed") for name, row in rows.items()} == {
        "one": True, "two": True, "runs": None, "gone": None
    }  # fmt: skip
    assert {path.name for path in (directory.path / "results").iterdir()} == {"runs", "gone"}
    assert not {"one", "two"} & {job["job_id"] for job in directory.json("list")["jobs"]}
    directory.jobs("cancel", "runs")


def test_a_job_that_runs_is_not_cleaned(directory: Directory) -> None:
    directory.write("name: slow\npool: cpu\ncommand: sleep 1000\n")
    job = directory.json("submit", "job.yaml")["job_id"]
    assert f"python -m jobs cancel {job}" in directory.jobs("clean", "--yes", code=2)[1]
    directory.jobs("cancel")


def test_a_command_that_does_not_exist_is_told(directory: Directory) -> None:
    directory.write("name: bad\npool: cpu\ncommand: ./nothing\n")
    _, err = directory.jobs("run", "job.yaml", code=1)
    assert "CommandProgramNotFound" in err


def test_a_check_that_fails_is_exit_code_1(directory: Directory) -> None:
    directory.write("name: bad\npool: cpu\ncommand: 'true'\ncheck: [sh, -c, 'exit 9']\n")
    _, err = directory.jobs("run", "job.yaml", code=1)
    assert "check ended with exit code 9: the tasks succeeded" in err


HOSTILE = ["-rf x", "quo'te", 'dou"ble', "ünïcode", "a[1]*?", "{brace}", "$HOME", "`id`", "a  b"]


def test_files_with_any_name_go_there_and_come_back(directory: Directory) -> None:
    directory.write(
        """\
        name: hostile
        pool: cpu
        command: ["cp", "--", "{file}", "out/{file_name}"]
        environment: {NAME: "{file_name}"}
        outputs: ["out/**"]
        tasks: {files: "in/*"}
        """.replace('["cp", "--", "{file}", "out/{file_name}"]',
                    "[sh, -c, 'mkdir out && cp -- \"$1\" \"out/$NAME\"', sh, \"{file}\"]")
    )  # fmt: skip
    (directory.path / "in").mkdir()
    for name in HOSTILE:
        (directory.path / "in" / name).write_text(f"<{name}>")
    directory.jobs("run", "job.yaml")
    results = next((directory.path / "results").iterdir())
    found = {path.name: path.read_text() for path in (results / "outputs").glob("*/out/*")}
    assert found == {name: f"<{name}>" for name in HOSTILE}


def test_cancel_tells_of_each_job_whether_it_ended_it(directory: Directory) -> None:
    directory.write("name: short\npool: cpu\ncommand: echo hello\n")
    directory.jobs("run", "job.yaml", "--job-id", f"over-{os.getpid()}")
    out, _ = directory.jobs("cancel")
    assert "was over before (completed)" in out
    directory.write("name: slow\npool: cpu\ncommand: sleep 1000\n")
    directory.jobs("submit", "job.yaml", "--job-id", f"slow-{os.getpid()}")
    value = directory.json("cancel", "1-2")
    slow, over = value["jobs"]
    assert (slow["job_id"], slow["canceled"]) == (f"slow-{os.getpid()}", True)
    assert slow["state"] in {"terminating", "completed"}
    assert over == {"job_id": f"over-{os.getpid()}", "canceled": False, "state": "completed"}
    (again,) = directory.json("cancel", f"over-{os.getpid()}")["jobs"]
    assert again == over, "one job has the shape of several"


def test_an_output_that_no_file_here_can_be_is_told_at_the_end(directory: Directory) -> None:
    directory.write(
        r"""
        name: newline
        pool: cpu
        script: |
          echo x > "$(printf 'new\nline.txt')"
          echo y > 'back\slash.txt'
          echo z > fine.txt
        outputs: ["*.txt"]
        merge: touch merged
        """
    )
    out, err = directory.jobs("run", "job.yaml", "--quiet", code=1)
    assert "OK" not in out
    assert "1 file that tasks left cannot be written" in err
    assert r"new\nline.txt': its name has a control character" in err
    results = next((directory.path / "results").iterdir())
    (task,) = (results / "outputs").iterdir()
    found = {path.relative_to(task).as_posix() for path in task.rglob("*.txt")}
    assert found == {"fine.txt", "back/slash.txt"}, "storage makes a backslash a `/`"
    assert not (results / "merged").exists()
    value = directory.json("collect", code=1)
    assert len(value["refused"]) == 1


def test_a_time_limit_ends_the_waiting_and_not_the_job(directory: Directory) -> None:
    directory.write("name: slow\npool: cpu\ncommand: sleep 1000\n")
    _, err = directory.jobs("run", "job.yaml", "--timeout", "1s", code=4)
    assert "1 of 1 tasks to go after 1 s; it goes on" in err
    assert directory.json("status")["over"] is False
    directory.jobs("cancel")
    assert directory.json("wait", code=1)["report"]["failed"] == 1


def test_ctrl_c_leaves_the_job_and_says_how_to_come_back(directory: Directory) -> None:
    directory.write("name: slow\npool: cpu\ncommand: sleep 1000\n")
    with directory.start("run", "job.yaml") as process:
        assert process.stderr is not None
        said = ""
        while "1 running" not in said and "waiting" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=120)
    assert process.returncode == 130, rest
    commands = re.findall(r"python -m jobs (\w+) (\S+)", rest)
    assert [verb for verb, _ in commands] == ["wait", "cancel"]
    assert "Traceback" not in rest
    job = commands[0][1]
    assert directory.json("status", job)["over"] is False
    directory.jobs("cancel", job)


def test_too_many_failures_end_the_job_and_its_end_is_told(
    directory: Directory, tmp_path: Path
) -> None:
    directory.write(
        """\
        name: fails
        pool: cpu
        script: 'if test {index} -lt 2; then exit 3; else sleep 1000; fi'
        tasks: 6
        """
    )
    told = tmp_path / "told"
    words = "$JOBS_STATE $JOBS_FAILED $JOBS_UNFINISHED $JOBS_ID"
    script = f'echo "{words}" > {told}; cat "$JOBS_REPORT"; exit 5'
    directory.environment["JOBS_MAX_FAILS"] = "2"
    command = ["run", "job.yaml", "--job-id", "too-bad", "--on-finish", script]
    _, err = directory.jobs(*command, code=1)
    assert "2 tasks failed (--max-fails 2): the job was ended with 4 tasks to go" in err
    # What the end of the job finds running has failed, once Batch has ended it.
    state, failed, unfinished, job = told.read_text().split()
    assert (state, job, int(failed) + int(unfinished)) == ("failed", "too-bad", 6)
    assert int(failed) >= 2
    assert '"succeeded": 0' in err
    assert "--on-finish: the command ended with exit code 5" in err
    assert "exit code 3 - such as 0" in err
    explained = directory.json("explain")["explanations"][0]
    assert "it was ended: MaxFails (so many tasks failed: --max-fails)" in explained["reasons"]


@pytest.mark.parametrize(
    "signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]], ids=["ctrl-c", "sigterm"]
)
def test_an_interrupt_ends_the_job_where_that_is_asked_for(
    signals: list[signal.Signals], directory: Directory
) -> None:
    directory.write("name: slow\npool: cpu\ncommand: sleep 1000\n")
    with directory.start("run", "job.yaml", "--cancel-on-interrupt") as process:
        assert process.stderr is not None
        said = ""
        while "0/1 ended" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        for number in signals:  # `timeout` sends it twice
            process.send_signal(number)
        _, rest = process.communicate(timeout=120)
    assert process.returncode == 130, rest
    assert "is being ended (--cancel-on-interrupt)" in rest
    assert directory.json("wait", code=1)["report"]["failed"] == 1


def test_a_pool_that_may_cost_more_than_is_wanted_is_asked_for(directory: Directory) -> None:
    directory.write("name: dear\npool: cpu\ncommand: 'true'\n")
    _, err = directory.jobs("run", "job.yaml", "--confirm-above", "0.1", code=2)
    assert "Pool 'cpu' may cost $0.1920 an hour, --confirm-above is $0.1000." in err
    assert "Nobody is there to ask: say --yes" in err
    assert not (directory.path / "results").exists()
    directory.environment["JOBS_CONFIRM_ABOVE"] = "0.1"
    directory.jobs("submit", "job.yaml", "--yes")
    directory.jobs("submit", "job.yaml", "--confirm-above", "0.2")


BROKEN = """\
name: x
pool: cpu
command: a
program: {build: {command: [sh, -c, "echo x.c:1: bad; exit 1"], sources: [job.yaml], output: y}}
"""


@pytest.mark.parametrize(
    ("text", "arguments", "code", "message"),
    [
        ("nme: x\n", [], 2, "job.yaml:1: nme: is not a known key; did you mean 'name'?"),
        (
            "name: x\npool: cpu\ncommand: a\ninputs: [gone.csv]\n",
            [],
            2,
            "job.yaml:4: inputs[0]: 'gone.csv' does not exist",
        ),
        (
            "name: x\npool: gpu\ncommand: a\n",
            [],
            2,
            "job.yaml:2: pool: stack local has no pool 'gpu', it has: cpu",
        ),
        ("name: x\npool: cpu\ncommand: a\n", ["--stack", "nowhere"], 2, "stack nowhere: "),
        ("name: x\npool: cpu\ncommand: a\n", ["--job-id", "a/b"], 2, "'a/b' is no id"),
        ("name: x\npool: cpu\ncommand: a\n", ["--job-id", "all"], 2, "'all' cannot be an id"),
        (
            "name: last\npool: cpu\ncommand: a\nschedule: 1d\n",
            [],
            2,
            "'last' cannot be an id",
        ),
        (
            BROKEN,
            [],
            2,
            "x.c:1: bad",
        ),
    ],
)
def test_wrong_input_is_exit_code_2_with_one_message(
    directory: Directory, text: str, arguments: list[str], code: int, message: str
) -> None:
    directory.write(text)
    out, err = directory.jobs("run", "job.yaml", *arguments, code=code)
    assert message in err
    assert not out
    assert not (directory.path / "results").exists()
    failed = directory.json("run", "job.yaml", *arguments, code=code)
    assert failed["error"]["exit_code"] == code


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("AZURE_BATCH_ACCESS_KEY", "AuthenticationFailed"),
        ("AZURE_STORAGE_KEY", "storage refuses the credential"),
    ],
)
def test_a_wrong_key_is_exit_code_3_and_leaves_no_job(
    directory: Directory, variable: str, message: str
) -> None:
    directory.write("name: keyless\npool: cpu\ncommand: cat f\ninputs: [f]\n", f="1")
    directory.environment[variable] = "d3Jvbmc="
    _, err = directory.jobs("run", "job.yaml", code=3)
    assert message in err
    assert "d3Jvbmc=" not in err
    del directory.environment[variable]
    assert not [j for j in directory.json("list")["jobs"] if j["workload"] == "keyless"]


def test_an_emulator_that_is_gone_is_exit_code_3(directory: Directory, estate: Path) -> None:
    outputs = json.loads((estate / "stacks" / "local" / "outputs.json").read_text())
    outputs["batch_endpoint"] = "http://127.0.0.1:9"
    (directory.path / "gone.json").write_text(json.dumps(outputs))
    directory.write("name: x\npool: cpu\ncommand: a\n")
    del directory.environment["JOBS_STACK"]
    out, err = directory.jobs("doctor", "--outputs", "gone.json", code=3)
    assert "BAD  batch: " in out
    assert "ok   container outputs" in out
    assert "3 of 9 checks failed" in err
    _, err = directory.jobs("run", "job.yaml", "--outputs", "gone.json", code=3)
    assert "is the emulator running (python -m emulator serve)?" in err
    assert "Connection refused" in err
    assert "python -m emulator stack up" in err
    assert "HTTPConnectionPool" not in err


def test_a_dry_run_asks_nobody(directory: Directory, estate: Path) -> None:
    outputs = json.loads((estate / "stacks" / "local" / "outputs.json").read_text())
    outputs["batch_endpoint"] = outputs["blob_endpoint"] = "http://127.0.0.1:9/x"
    (directory.path / "gone.json").write_text(json.dumps(outputs))
    del directory.environment["JOBS_STACK"]
    directory.write(SUM, add_DOT_sh=ADD, numbers_DOT_txt="6\n")
    out, _ = directory.jobs("run", "job.yaml", "--outputs", "gone.json", "-n")
    assert "./add numbers.txt 3 10 sum-2.txt" in out
    assert "ids are provisional" in out
    shown = directory.json("run", "job.yaml", "--outputs", "gone.json", "-n")
    assert shown["tasks"] == 3
    assert shown["last_task"]["commandLine"].endswith("sum-2.txt")
    assert not (directory.path / "build").exists()


def test_a_job_id_of_ones_own_is_submitted_once(directory: Directory) -> None:
    directory.write("name: x\npool: cpu\ncommand: 'true'\ntasks: 2\n")
    name = f"own-{os.getpid()}"
    directory.jobs("submit", "job.yaml", "--job-id", name)
    _, err = directory.jobs("submit", "job.yaml", "--job-id", name, code=2)
    assert f"python -m jobs resume {name}" in err
    directory.jobs("resume", name)
    directory.write("name: x\npool: cpu\ncommand: 'false'\ntasks: 2\n")
    _, err = directory.jobs("resume", name, code=2)
    assert "made from another workload" in err


def test_no_run_mixes_its_results_with_those_of_another_of_its_id(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when the other was cleaned: its files would be merged with the new ones."""
    text = "name: x\npool: cpu\nscript: echo {say} > o\noutputs: [o]\ntasks: 2\n"
    text += "variables: {say: v1}\nmerge: [sh, -c, 'cat outputs/*/o > all']\n"
    directory.write(text)
    directory.jobs("run", "job.yaml", "--job-id", "same")
    directory.jobs("clean", "same", "--yes")
    tree = directory.path / "results" / "same"
    kept = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    for verb in ("run", "submit"):
        for more in (["--set", "say=v2"], ["--out", "results"]):
            _, err = directory.jobs(verb, "job.yaml", "--job-id", "same", *more, code=2)
            assert "job same was submitted from here already: it was cleaned" in err
            assert "clean same --local removes them" in err
    monkeypatch.setenv("HPC_LOCAL_DIR", directory.environment["HPC_LOCAL_DIR"])
    client = Client(stack="local", out=directory.path / "results")
    with pytest.raises(TakenError, match="submitted from here already: it was cleaned"):
        client.submit(directory.path / "job.yaml", job_id="same", variables={"say": "v2"})
    assert "this is refused" in directory.jobs("run", "job.yaml", "--job-id", "same", "-n")[1]
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == kept
    directory.jobs("clean", "same", "--local", "--yes")
    directory.jobs("run", "job.yaml", "--job-id", "same", "--set", "say=v2")
    assert (tree / "all").read_text().split() == ["v2", "v2"]


def test_a_plan_tells_what_is_new_what_is_there_and_what_changed(directory: Directory) -> None:
    text = "name: plan\npool: cpu\nscript: cat f\ninputs: [f]\ntasks: {list: [{x: 1}, {x: 2}]}\n"
    directory.write(text, f="1")
    name = f"plan-{os.getpid()}"
    first = directory.json("submit", "job.yaml", "--dry-run", "--job-id", name)
    (stage,) = first["by_stage"]
    assert (stage["total"], stage["new"], stage["cached"], stage["changed"]) == (2, 2, 0, None)
    assert [Path(path).name for path in first["new_files"]] == ["f"]
    assert (first["exists"], first["since"]) == (False, None)
    directory.jobs("submit", "job.yaml", "--job-id", name)

    _, err = directory.jobs("submit", "job.yaml", "--job-id", name, "--dry-run")
    assert f"job {name} was submitted from here already: this is refused" in err
    (there,) = directory.json("resume", name, "--dry-run")["by_stage"]
    assert (there["total"], there["new"], there["cached"]) == (2, 0, 2)

    directory.write(text.replace("cat f", "cat f >&2"), f="2")
    out, _ = directory.jobs("run", "job.yaml", "--dry-run")
    lines = [line for line in out.splitlines() if line.startswith(("plan", "files"))]
    assert lines[:3] == [
        "plan     2 tasks: 2 new, 2 changed",
        f"plan       script changed since {name}",
        f"plan       file f changed since {name}",
    ]
    assert lines[3].endswith(f"1 new since {name}")
    assert "made from another workload" in directory.jobs("resume", name, "-n", code=2)[1]


@pytest.mark.parametrize("moment", ["before the first request is answered", "after the last"])
def test_a_submitter_that_is_killed_is_resumed(directory: Directory, moment: str) -> None:
    text = "name: kill\npool: cpu\ncommand: 'true'\ninputs: [f]\ntasks: 250\n"
    directory.write(text, f=moment)
    with directory.start("run", "job.yaml") as process:
        assert process.stderr is not None
        if moment == "after the last":
            while "submitted" not in process.stderr.readline():
                assert process.poll() is None
        else:
            while not list(directory.path.glob("results/*/job.json")):
                assert process.poll() is None
        process.kill()
        process.communicate()
    done = directory.json("resume")
    assert done["report"]["succeeded"] == 250
    assert done["report"]["tasks"] == 250
