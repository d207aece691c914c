"""Trials, limits, reports, reasons and programs, against the real emulator."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs import Client, InputError, TaskFailureError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")


def test_a_trial_goes_on_only_if_its_tasks_succeed_and_somebody_agrees(directory: Any) -> None:
    directory.write(
        "name: trial\npool: cpu\nscript: 'test {index} -ne 4'\ntasks: 6\nvariables: {bad: 9}\n"
    )
    _, err = directory.jobs("run", "job.yaml", "--job-id", "t1", "--first", "2", code=4)
    assert "the first 2 tasks succeeded" in err
    assert re.search(r"Submit the other 4 tasks, (about|less than) \$0\.\d+\?", err)
    assert "Nobody is there to ask: say --yes" in err
    assert "go on: python -m jobs resume t1" in err
    assert directory.json("status", "t1")["succeeded"] == 2
    report = directory.json("resume", "t1", code=1)["report"]
    assert (report["succeeded"], report["failed"]) == (5, 1)
    report = directory.json("run", "job.yaml", "--job-id", "t2", "--first", "2", "--yes", code=1)
    assert report["report"]["tasks"] == 6
    _, err = directory.jobs("run", "job.yaml", "--job-id", "t3", "--first", "5", "--yes", code=1)
    assert "1 of the first 5 tasks failed, such as 4" in err
    assert "The other 1 was not submitted" in err
    assert directory.json("status", "t3")["waiting"] == 0
    directory.jobs("cancel", "t3")


def test_a_job_that_was_not_all_submitted_is_not_waited_for_in_vain(directory: Any) -> None:
    directory.write("name: half\npool: cpu\ncommand: 'true'\ntasks: 9\n")
    directory.jobs("run", "job.yaml", "--job-id", "half", "--first", "3", code=4)
    unfinished = "its submission was not finished: 3 of 9 tasks are in"
    while "it is being submitted: 3 of 9 tasks are in" in (told := directory.jobs("status"))[0]:
        assert "python -m jobs resume" not in told[0], "somebody may be at it: for ten seconds"
    status, _ = directory.jobs("status", "half")
    assert "9: 6 not submitted, 0 waiting, 0 running, 3 succeeded, 0 failed" in status
    assert f"why    {unfinished}" in status
    assert "no nodes" not in status
    _, err = directory.jobs("explain", "7", "--job", "half", code=2)
    assert f"there is no task 7 in job half; {unfinished}" in err
    _, err = directory.jobs("wait", "half", code=4)
    assert "6 of 9 tasks that were not submitted" in err
    assert "go on: python -m jobs resume half" in err
    assert directory.json("resume", "half")["report"]["succeeded"] == 9


def test_a_job_that_a_task_has_paused_ends_the_waiting_and_goes_on_when_it_is_resumed(
    directory: Any,
) -> None:
    directory.write(
        "name: held\npool: cpu\nscript: 'test {index} -ne 0 || exit 12'\ntasks: 40\n"
        "resources: {slots: 2}\non_failure: {10..20: pause}\n"
    )
    _, err = directory.jobs("run", "job.yaml", "--job-id", "held", code=4)
    assert "job held is disabled, with" in err
    assert "go on: python -m jobs resume held" in err
    told = directory.json("status", "held")
    assert (told["state"], told["over"], told["failed"]) == ("disabled", False, 1)
    assert "resume held does so" in directory.jobs("explain", "--job", "held")[0]
    _, err = directory.jobs("resume", "held", "--dry-run")
    assert "job held was disabled, and would be enabled" in err
    assert directory.json("status", "held")["state"] == "disabled"
    report = directory.json("resume", "held", code=1)["report"]
    assert (report["succeeded"], report["failed"]) == (39, 1)


def test_a_job_that_was_canceled_is_not_resumed_but_run_again(directory: Any) -> None:
    directory.write("name: ended\npool: cpu\ncommand: sleep 1000\ntasks: 3\n")
    directory.jobs("submit", "job.yaml", "--job-id", "ended")
    directory.jobs("cancel", "ended")
    while directory.json("status", "ended")["state"] != "completed":
        pass
    for more in ([], ["--detach"]):
        out, err = directory.jobs("resume", "ended", *more, code=2)
        assert "job ended is over, it was ended: CanceledByUser (it was canceled)" in err
        assert "python -m jobs rerun ended --canceled" in err
        assert not out


def test_who_stops_waiting_is_told_where_the_job_stands_and_what_it_cost(directory: Any) -> None:
    directory.write("name: slow\npool: cpu\ncommand: sleep 1000\ntasks: 3\n")
    _, err = directory.jobs("run", "job.yaml", "-d", "--max-cost", "1", "--timeout", "3s", code=2)
    assert "--timeout: is for a job that is watched" in err
    assert "--max-cost: is for a job that is watched" in err
    assert not (directory.path / "results").exists()
    directory.jobs("run", "job.yaml", "--job-id", "slow", "--max-cost", "inf", code=2)
    error = directory.json("run", "job.yaml", "--job-id", "slow", "--timeout", "4s", code=4)
    error = error["error"]
    assert error["commands"]["cancel"] == "python -m jobs cancel slow"
    assert (error["job"]["total"], error["job"]["job_id"]) == (3, "slow")
    _, err = directory.jobs("wait", "slow", "--timeout", "1s", code=4)
    assert "tasks: 3: " in err
    assert "watch it again: python -m jobs wait slow" in err
    while not (told := directory.json("status", "slow"))["running"]:
        assert not told["over"]
    assert told["cost"] > 0
    assert told["currency"] == "USD"
    assert "so far" in directory.jobs("status", "slow")[0]
    directory.jobs("cancel", "slow")
    told = directory.json("status", "slow")
    assert told["end_reason"] == "CanceledByUser"
    assert "CanceledByUser (it was canceled)" in directory.jobs("status", "slow")[0]


def test_a_limit_on_the_cost_ends_the_job(directory: Any) -> None:
    directory.write("name: dear\npool: cpu\ncommand: sleep 1000\ntasks: 4\n")
    page = directory.path / "dear.html"
    _, err = directory.jobs(
        "run", "job.yaml", "--job-id", "dear", "--max-cost", "0.0001", "--report", str(page),
        code=1,
    )  # fmt: skip
    assert "estimated from the time of nodes that ran its tasks (--max-cost $0.0001)" in err
    assert "it was ended: MaxCost" in directory.jobs("explain", "--job", "dear")[0]
    assert "4 of 4 failed" in page.read_text()
    assert ".txt: its ending" in directory.jobs("run", "job.yaml", "--report", "x.txt", code=2)[1]
    again = directory.json("rerun", "dear", "--exit-code", "7", "--detach")
    assert again["tasks"] == 0
    assert "again: 4 tasks of 4" in directory.jobs("rerun", "dear", "--canceled", "-d")[1]
    directory.jobs("cancel", "dear")


def test_a_job_is_watched_and_reported_in_the_pool_that_it_is_in(directory: Any) -> None:
    text = "name: moved\npool: cpu\ncommand: 'true'\ntasks: 2\n"
    directory.write(text)
    directory.jobs("submit", "job.yaml", "--job-id", "moved")
    directory.write(text.replace("pool: cpu", "pool: mpi"))
    assert directory.json("wait", "moved")["report"]["pool"] == "cpu"
    assert directory.json("report", "moved")["report"]["pool"] == "cpu"


REASON = """\
    name: why
    pool: cpu
    script: |
      test {index} -ne 1 || { echo "cell 7 is inverted" > "$JOBS_REASON"; exit 3; }
    tasks: 3
    """


def test_a_task_says_why_it_failed_and_a_report_is_a_page_and_a_table(directory: Any) -> None:
    directory.write(REASON)
    _, err = directory.jobs("run", "job.yaml", "--job-id", "why", code=1)
    assert '1 task: exit code 3 "cell 7 is inverted" - such as 1' in err
    tree = directory.path / "results" / "why"
    page = (tree / "report.html").read_text()
    assert "cell 7 is inverted" in page
    assert 'href="tasks.csv"' in page
    assert "echo &quot;cell" in page
    html, table = directory.path / "a" / "r.html", directory.path / "t.csv"
    made = directory.json("report", "why", "--html", str(html), "--csv", str(table), code=1)
    assert made["page"] == str(html)
    assert made["report"]["slot_efficiency"] > 0
    assert 'href="../t.csv"' in html.read_text()
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert [row["outcome"] for row in rows] == ["succeeded", "failed", "succeeded"]
    assert rows[1]["reason"] == "cell 7 is inverted"
    assert sum(float(row["cost"]) for row in rows) == pytest.approx(
        made["report"]["cost"], abs=1e-8
    )
    shown, _ = directory.jobs("explain", "failed", "--job", "why")
    assert "its reason: cell 7 is inverted" in shown
    history = json.loads((tree / "history.json").read_text())
    assert history["samples"][-1]["ended"] == 3
    listed, _ = directory.jobs(
        "list", "--fields", "job_id,tasks", "--filter", "job_id=why", "--csv"
    )
    assert listed.splitlines() == ["job_id,tasks", "why,3"]
    (row,) = directory.json("list", "--filter", "job_id=why")["jobs"]
    assert (row["outcome"], row["pool"], row["succeeded"]) == ("1 failed", "cpu", 2)
    assert row["cost"] == made["report"]["cost"]
    shown, _ = directory.jobs("list", "--filter", "outcome=failed", "--filter", "job_id=why")
    assert shown.splitlines()[0].split()[:3] == ["job", "outcome", "tasks"]
    assert shown.splitlines()[1].split()[:4] == ["why", "1", "failed", "3"]
    assert directory.json("list", "--since", "1h", "--filter", "workload=nothing")["jobs"] == []
    assert "no field" in directory.jobs("list", "--fields", "x", code=2)[1]
    directory.jobs("submit", "job.yaml", "--job-id", "why2")
    both = directory.json("status", "1-2")["jobs"]
    assert [job["job_id"] for job in both] == ["why2", "why"]
    assert len(directory.json("status", "all")["jobs"]) == 2
    assert "selects no job" in directory.jobs("status", "7-9", code=2)[1]
    directory.json("wait", "1", code=1)


def test_progress_for_programs_is_an_object_a_change(directory: Any) -> None:
    directory.write("name: p\npool: cpu\ncommand: 'true'\ntasks: 3\n")
    _, err = directory.jobs("run", "job.yaml", "--progress", "json")
    looks = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert looks[-1]["succeeded"] == 3
    assert looks[-1]["over"] is True
    assert len({json.dumps(look) for look in looks}) == len(looks)


def test_on_a_terminal_of_80_columns_the_job_is_redrawn_and_nothing_is_left(
    directory: Any,
) -> None:
    directory.write(
        "name: live\npool: cpu\nscript: 'sleep 0.{index}; test {index} -ne 5'\ntasks: 8\n"
    )
    main, side = pty.openpty()
    environment = {**directory.environment, "TERM": "xterm-256color", "COLUMNS": "80"}
    with subprocess.Popen(
        [sys.executable, "-m", "jobs", "run", "job.yaml", "--job-id", "live"],
        cwd=directory.path, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=side,
    ) as process:  # fmt: skip
        os.close(side)
        written = b""
        while select.select([main], [], [], 120)[0]:
            try:
                piece = os.read(main, 65536)
            except OSError:
                break
            if not piece:
                break
            written += piece
        assert process.wait(120) == 1
    os.close(main)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    assert "live @local" in text
    assert re.search(r"tasks  [█░]+ \d/8 run \d wait \d ok \d", text)
    assert re.search(r"nodes  (run|idle) \d", text)
    assert re.search(r"cost   (less than )?\$", text)
    assert "✘ 5 " in text
    assert all(len(line) <= 80 for line in re.split(r"[\r\n]+", text) if "█" in line)
    redraws = written.count(b"live\x1b")
    assert redraws <= 5 * 60
    assert written.decode().count("\x1b[?25l") == written.decode().count("\x1b[?25h")


def test_the_examples_of_the_python_page_run_one_after_the_other(directory: Any) -> None:
    directory.write(
        """\
        name: api
        pool: cpu
        variables: {scale: 2}
        script: 'echo task {index} {scale}; echo {scale} > out-{index}'
        outputs: ["out-*"]
        tasks: 3
        """,
        nightly_DOT_yaml="name: nightly\npool: cpu\nschedule: 1d\ncommand: echo night\n",
    )
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 7
    (directory.path / "program.py").write_text("\n".join(examples), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=directory.path, env=directory.environment,
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 tasks, the first one: 0000000-")
    assert "3/3 ended, 0 running" in done.stdout
    assert "3 of 3 succeeded" in done.stdout
    assert re.search(r"^0000001-\w+ task 1 5$", done.stdout, re.MULTILINE)
    assert "3 tasks succeeded, merged and checked" in done.stdout
    assert re.fullmatch(r"api-\S+ succeeded\n", (directory.path / "finished.txt").read_text())
    assert (directory.path / "finished.html").read_text().startswith("<!doctype html>")
    assert "nothing failed" in done.stdout
    assert "0 programs built anew\n0 files sent\n" in done.stdout
    assert re.search(
        r"^job api-\S+ \(completed\) with its tasks\n3 files .* in container outputs\n6 files ",
        done.stdout,
        re.MULTILINE,
    )
    assert re.search(r"^3 files of nightly:job-1$", done.stdout, re.MULTILINE)
    assert "scale is a whole number in the file, 'ten' is not" in done.stdout
    assert not done.stderr


FINISHES = """\
import logging
import sys
from pathlib import Path

from jobs import Client, TaskFailureError

logging.basicConfig(stream=sys.stdout, format="%(name)s: %(message)s", level=logging.WARNING)
client = Client(stack="local")
ask = {
    "on_finish": 'echo "$JOBS_ID $JOBS_STATE $JOBS_FAILED" >> told; test -s "$JOBS_REPORT"',
    "notify": "http://127.0.0.1:9/secret",
}
try:
    client.submit("job.yaml", variables={"bad": 1}, job_id="tell-bad").finish(timeout_s=300, **ask)
except TaskFailureError as error:
    print(error)
try:
    client.submit("job.yaml", variables={"lines": 9}, job_id="tell-sum").finish(**ask)
except TaskFailureError as error:
    print(error)
done = client.submit("job.yaml", job_id="tell-good").finish(**ask)
print(done.report.succeeded, Path("results/tell-good/all.txt").read_text().split())
print([done.answer, client.job("tell-good").answer(), client.job("tell-good")])
"""


def test_a_program_finishes_jobs_and_who_asked_is_told_of_each(directory: Any) -> None:
    directory.write(
        """\
        name: tell
        pool: cpu
        variables: {bad: 7, lines: 3}
        script: 'test {index} != {bad}; echo {index} > out'
        outputs: [out]
        tasks: 3
        merge: [sh, -c, "cat outputs/*/out > all.txt; echo merged; echo loud >&2"]
        check: [sh, -c, "test $(wc -l < all.txt) = {lines}"]
        """
    )
    (directory.path / "program.py").write_text(FINISHES, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=directory.path, env=directory.environment,
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = (directory.path / "told").read_text().splitlines()
    assert told == ["tell-bad failed 1", "tell-sum failed 0", "tell-good succeeded 0"]
    assert done.stdout.count("jobs.job: --notify: 127.0.0.1 was not reached") == 3
    assert "secret" not in done.stdout
    assert "1 of 3 tasks failed:" in done.stdout
    assert "check ended with exit code 1" in done.stdout
    assert done.stdout.splitlines()[-2:] == [
        "3 ['0', '1', '2']",
        "['merged\\n', 'merged\\n', <Job tell-good of stack local, results in results/tell-good>]",
    ]
    assert not done.stderr


def test_a_program_tries_first_tasks_and_sends_no_others_after_one_that_failed(
    directory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPC_LOCAL_DIR", directory.environment["HPC_LOCAL_DIR"])
    monkeypatch.delenv("AZURE_BATCH_ACCESS_KEY", raising=False)
    monkeypatch.chdir(directory.path)
    directory.write("name: t\npool: cpu\nvariables: {bad: 0}\nscript: exit {bad}\ntasks: 3\n")
    client = Client(stack="local")
    with pytest.raises(InputError, match="first 0 is not 1 or more"):
        client.submit("job.yaml", first=0)
    with pytest.raises(TaskFailureError, match=r"1 of the first 1 tasks failed.* other 2 were"):
        client.submit("job.yaml", variables={"bad": 1}, job_id="tried", first=1, timeout_s=600)
    job = client.job("tried")
    assert job.has_task("0")
    assert not job.has_task("1")
    with pytest.raises(InputError, match="job tried is active: wait for it, or end it"):
        job.leftovers()
    assert job.cancel()
    other = client.submit("job.yaml", job_id="good", first=1, timeout_s=600)
    assert other.wait(timeout_s=600).succeeded == 3
    with pytest.raises(InputError, match="leftovers of job good, and not of tried"):
        job.clean(other.leftovers())
    other.clean(other.leftovers(local=True))
    assert not other.tree.root.exists()
    assert "good" not in [row.job_id for row in client.list()]


def test_a_job_whose_stack_is_called_otherwise_is_followed_and_rerun(directory: Any) -> None:
    directory.write("name: renamed\npool: cpu\nscript: test {index} -ne 1\ntasks: 2\n")
    directory.jobs("submit", "job.yaml", "--job-id", "renamed")
    note = directory.path / "results" / "renamed" / "job.json"
    manifest = json.loads(note.read_text())
    note.write_text(json.dumps(manifest | {"stack": "gone"}))
    outputs = str(Path(directory.environment["HPC_LOCAL_DIR"]) / "stacks/local/outputs.json")
    assert "stack gone" in directory.jobs("wait", code=2)[1]
    directory.jobs("wait", "--outputs", outputs, code=1)
    assert directory.jobs("explain", "1", "--outputs", outputs)[0].startswith("1 (")
    directory.write("name: renamed\npool: cpu\nscript: test {index} -ne 2\ntasks: 2\n")
    directory.jobs("rerun", "--outputs", outputs)
    noted = json.loads(note.read_text())
    assert (noted["stack"], noted["outputs"]) == (None, outputs)
    assert directory.json("status")["succeeded"] == 1
