"""Schedules through the real command line, the emulator and Azurite, on a clock that is moved."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs import Client, InputError

Directory = Any  # the fixtures of command_line.py, which importlib mode cannot name
Faults = Any
pytestmark = pytest.mark.slow

HOUR_S = 3_600
NUMBERS = itertools.count(1)
FAN = """\
    name: {name}
    pool: cpu
    schedule: {{every: 1h}}
    stages:
      square:
        script: test ! -e '{gate}' && echo $(({{x}} * {{x}})) > n.txt
        outputs: [n.txt]
        tasks: {{sweep: {{x: [1, 2, 3]}}}}
      total:
        after: square
        inputs: [{{from: square}}]
        script: cat {{square}}/*/n.txt | awk '{{{{ s += $1 }}}} END {{{{ print s }}}}' > total.txt
        outputs: [total.txt]
    check: [sh, -c, 'test "$(cat outputs/*/total.txt)" = 14']
    """


@pytest.fixture(autouse=True)
def passing(timed_faults: Faults) -> Iterator[None]:
    """Lets time pass as the machine's does; what takes an hour is a step of the test."""
    over = threading.Event()

    def pump() -> None:
        while not over.wait(0.02):
            timed_faults.ask("POST", "clock/advance", {"seconds": 0.02})

    thread = threading.Thread(target=pump)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.fixture
def an_hour_passes(timed_faults: Faults) -> Callable[[], None]:
    return lambda: timed_faults.ask("POST", "clock/advance", {"seconds": HOUR_S})


@pytest.fixture
def fan(timed_directory: Directory) -> Directory:
    """A directory with the workload, under a name of the test's own."""
    name = f"fan-{next(NUMBERS)}"
    timed_directory.environment["NAME"] = name
    gate = timed_directory.path.parent / "gate"
    timed_directory.environment["GATE"] = str(gate)
    timed_directory.write(FAN.format(name=name, gate=gate))
    return timed_directory


def job_ids(directory: Directory, schedule: str) -> list[str]:
    return [job["job_id"] for job in directory.json("schedule", "show", schedule)["jobs"]]


def test_each_recurrence_is_a_job_with_results_of_its_own(
    fan: Directory, an_hour_passes: Callable[[], None]
) -> None:
    name = fan.environment["NAME"]
    out, err = fan.jobs("job.yaml", module="jobs.run")
    assert out.split() == [name]
    assert "4 tasks a job, every 1h00m" in err
    again = fan.json("run", "job.yaml")
    assert again["added"] is False
    assert [s["schedule_id"] for s in fan.json("schedule", "list")["schedules"]].count(name) == 1

    first = fan.json("wait", name)
    assert first["job_id"] == f"{name}:job-1"
    assert first["report"]["succeeded"] == first["report"]["tasks"] == 4
    an_hour_passes()
    second = fan.json("wait", name)
    assert second["job_id"] == f"{name}:job-2"
    assert second["exit_code"] == 0

    for number in (1, 2):
        tree = fan.path / "results" / f"{name}.job-{number}"
        assert [p.read_text() for p in tree.glob("outputs/11*/total.txt")] == ["14\n"]
        assert len(list(tree.glob("outputs/*"))) == 4
    assert job_ids(fan, name) == [f"{name}:job-1", f"{name}:job-2"]
    rows = {row["job_id"]: row for row in fan.json("list")["jobs"]}
    assert rows[f"{name}:job-2"]["submission"] == "complete"
    assert rows[f"{name}:job-2"]["tasks"] == 4
    assert rows[f"{name}:job-2"]["outcome"] == "succeeded"
    assert rows[f"{name}:job-2"]["succeeded"] == 4, "the job manager task is none of them"
    status = fan.json("status", f"{name}:job-1,{name}.job-2")["jobs"]
    assert [row["job_id"] for row in status] == [f"{name}:job-1", f"{name}:job-2"]
    assert fan.json("collect", f"{name}:job-2")["fetched"] == 0
    fan.jobs("clean", f"{name}:job-1", "--yes", "--local")
    assert job_ids(fan, name) == [f"{name}:job-2"]
    assert (fan.path / "results" / f"{name}.job-2").is_dir()
    fan.jobs("schedule", "delete", name, "--yes")

    deadline = time.monotonic() + 120
    while (gone := fan.json("status", f"{name}:job-2"))["state"] != "deleted":
        assert time.monotonic() < deadline, gone
    assert (gone["succeeded"], gone["over"], gone["cleaned"]) == (4, True, None)
    out, err = fan.jobs("report", f"{name}:job-2")
    assert "4 of 4 succeeded" in out
    assert f"job {name}:job-2 is no longer in Batch: it was deleted there; its results" in err
    assert "it was deleted there, or never was" in fan.jobs("wait", f"{name}:job-2", code=3)[1]
    assert fan.json("collect", f"{name}:job-2")["files"] > 0, "storage has what it left"


def test_what_failed_in_a_scheduled_job_runs_again(fan: Directory) -> None:
    name, gate = fan.environment["NAME"], Path(fan.environment["GATE"])
    gate.touch()
    fan.jobs("run", "job.yaml")
    failed = fan.json("wait", name, code=1)
    assert failed["report"]["failed"] == 3
    assert "exit code 1" in fan.jobs("explain", "failed", "--job", name)[0]
    assert fan.jobs("logs", "square/0", "--job", f"{name}:job-1")[0] == ""
    _, err = fan.jobs("resume", f"{name}:job-1", code=2)
    assert f"python -m jobs rerun {name}.job-1" in err
    gate.unlink()
    again = fan.json("rerun", f"{name}:job-1")
    assert again["job_id"] == f"{name}-job-1-r2"
    assert again["report"]["succeeded"] == 4
    assert fan.json("status", f"{name}-job-1-r2")["job_id"] == f"{name}-job-1-r2"
    tree = fan.path / "results" / f"{name}.job-1"
    assert [p.read_text() for p in tree.glob("outputs/11*/total.txt")] == ["14\n"]
    assert "4 of 4 succeeded" in fan.jobs("report", f"{name}:job-1")[0]
    fan.jobs("schedule", "delete", name, "--yes")


def test_a_schedule_is_paused_resumed_updated_and_deleted(
    fan: Directory, an_hour_passes: Callable[[], None]
) -> None:
    name = fan.environment["NAME"]
    fan.jobs("run", "job.yaml")
    fan.jobs("wait", name)
    paused = fan.json("schedule", "pause", name)
    assert (paused["changed"], paused["state"], paused["next_run"]) == (True, "disabled", "")
    assert fan.json("schedule", "pause", name)["changed"] is False
    an_hour_passes()
    assert job_ids(fan, name) == [f"{name}:job-1"]
    assert fan.json("schedule", "resume", name)["changed"] is True
    assert fan.json("schedule", "resume", name)["changed"] is False
    fan.jobs("wait", name)

    text = (fan.path / "job.yaml").read_text()
    fan.write(text.replace("[1, 2, 3]", "[1, 2]").replace("= 14", "= 5"))
    _, err = fan.jobs("run", "job.yaml", code=2)
    said = " ".join(err.split())
    assert "exists and does something else (square.tasks changed)" in said
    assert "python -m jobs schedule update job.yaml" in said
    assert fan.json("schedule", "update", "job.yaml", "--dry-run")["tasks"] == 3
    updated = fan.json("schedule", "update", "job.yaml")
    assert (updated["updated"], updated["tasks"]) == (True, 3)
    before = len(job_ids(fan, name))
    an_hour_passes()
    report = fan.json("wait", name)["report"]
    assert report["tasks"] == report["succeeded"] == 3
    assert len(job_ids(fan, name)) == before + 1

    out, err = fan.jobs("schedule", "delete", name, code=2)
    assert f"schedule {name} (active)" in out
    assert f"{before + 1} jobs of it with their tasks" in out
    assert "say --yes" in err
    assert fan.json("schedule", "delete", name, "--dry-run")["removed"] is False
    assert fan.json("schedule", "delete", name, "--yes")["removed"] is True
    assert name not in [s["schedule_id"] for s in fan.json("schedule", "list")["schedules"]]
    assert fan.json("collect", f"{name}:job-1")["files"] > 0, "storage still has it"
    _, err = fan.jobs("schedule", "show", name, "--stack", "local", code=3)
    assert f"there is no schedule {name}" in err


def test_a_schedule_that_is_over_is_submitted_again_as_it_is_told(
    timed_directory: Directory,
) -> None:
    text = "name: single\npool: cpu\nschedule: {start: 2020-01-01}\ncommand: [echo, hi]\n"
    timed_directory.write(text)
    timed_directory.jobs("run", "job.yaml")
    timed_directory.jobs("wait", "single")
    until(lambda: timed_directory.json("schedule", "show", "single")["state"] == "completed")
    timed_directory.write(text.replace("hi", "ho"))
    told = "schedule single is completed: it makes no more jobs"
    for arguments in (
        ("run", "job.yaml"),
        ("schedule", "update", "job.yaml"),
        ("schedule", "pause", "single"),
        ("schedule", "resume", "single"),
    ):
        _, err = timed_directory.jobs(*arguments, code=2)
        assert told in " ".join(err.split())
        assert "python -m jobs schedule delete single" in " ".join(err.split())
    timed_directory.jobs("schedule", "delete", "single", "--yes")

    def refused() -> str:
        _, err = timed_directory.jobs("run", "job.yaml", code=2)
        return "" if "is being deleted" in err else " ".join(err.split())

    mixed = until(refused)
    for place in ("results/single.job-1", "single.job-1 in container logs"):
        assert place in mixed
    assert "python -m jobs clean single:job-1 --local" in mixed
    timed_directory.jobs("clean", "single:job-1", "--local", "--yes")

    def added() -> bool:
        with timed_directory.start("run", "job.yaml") as process:
            _, err = process.communicate()
        assert process.returncode == 0 or "is being deleted" in err, err
        return bool(process.returncode == 0)

    until(added)
    timed_directory.jobs("schedule", "delete", "single", "--yes")


def test_a_job_is_what_it_was_made_from_whatever_its_schedule_is_by_now(
    timed_directory: Directory,
) -> None:
    timed_directory.write(
        "name: kept\npool: cpu\nschedule: 1d\nvariables: {n: 1}\ncommand: [echo, '{n}', '{x}']\n"
        "tasks: {sweep: {x: [1, 2]}}\n"
    )
    timed_directory.jobs("run", "job.yaml", "--set", "n=3")
    timed_directory.jobs("schedule", "update", "job.yaml", "--set", "n=5")
    assert timed_directory.json("wait", "kept:job-1")["report"]["succeeded"] == 2
    tree = timed_directory.path / "results" / "kept.job-1"
    assert json.loads((tree / "job.json").read_text())["overrides"] == ["n=3"]
    (explained,) = timed_directory.json("explain", "--job", "kept", "x=1")["explanations"]
    assert explained["parameters"] == {"x": 1}
    assert "parameter.x" in (tree / "tasks.csv").read_text().splitlines()[0]
    assert timed_directory.jobs("logs", "--job", "kept", "x=2")[0] == "3 2\n"
    timed_directory.jobs("schedule", "delete", "kept", "--yes")


def test_a_mended_row_of_a_scheduled_job_runs_again_and_no_other_account_is_asked(
    timed_directory: Directory,
) -> None:
    timed_directory.write(
        "name: mended\npool: cpu\nschedule: 1d\ncommand: [test, '{word}', '!=', bad]\n"
        "tasks: {csv: words.csv}\n",
        words_DOT_csv="word\ngood\nbad\nfine\n",
    )
    timed_directory.jobs("run", "job.yaml")
    assert timed_directory.json("wait", "mended", code=1)["report"]["failed"] == 1
    (timed_directory.path / "words.csv").write_text("word\ngood\nbetter\nfine\n")
    dry = timed_directory.json("rerun", "mended:job-1", "--dry-run")
    assert dry["again"]["mended"] == ["1"]
    assert timed_directory.json("rerun", "mended:job-1")["report"]["succeeded"] == 3
    (timed_directory.path / "words.csv").write_text("word\nother\nbetter\nfine\n")
    _, err = timed_directory.jobs("rerun", "mended:job-1", "--tasks", "1", code=2)
    assert "of 0, too, which does not run" in " ".join(err.split())

    local = Path(timed_directory.environment["HPC_LOCAL_DIR"])
    outputs = json.loads((local / "stacks/local/outputs.json").read_text())
    account = outputs["batch_account_id"]
    other = timed_directory.path / "other.json"
    other.write_text(json.dumps(outputs | {"batch_account_id": f"{account}2"}))
    tree = timed_directory.path / "results" / "mended.job-1"
    assert json.loads((tree / "job.json").read_text())["account"] == account
    for arguments in (
        ("cancel", "mended:job-1"),
        ("clean", "mended:job-1", "--yes"),
        ("schedule", "show", "mended"),
        ("schedule", "delete", "mended", "--yes"),
    ):
        _, err = timed_directory.jobs(*arguments, "--outputs", str(other), code=2)
        assert "is in Batch account" in " ".join(err.split())
    _, err = timed_directory.jobs("run", "job.yaml", "-n", "--outputs", str(other), code=2)
    assert "was submitted from here to another Batch account" in " ".join(err.split())
    del timed_directory.environment["JOBS_STACK"]
    timed_directory.environment["JOBS_OUTPUTS"] = str(other)
    assert timed_directory.json("schedule", "show", "mended")["last_job"] == "mended:job-1"
    timed_directory.jobs("schedule", "delete", "mended", "--yes")


def managers(estate: Path) -> list[int]:
    """Job manager tasks that run in an emulator, by process."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"job_manager.py" in command and (process / "cwd").readlink().is_relative_to(
                estate
            ):
                found.append(int(process.name))
    return found


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_a_manager_task_that_is_killed_in_the_middle_doubles_nothing(
    timed_directory: Directory, timed_estate: Path, timed_faults: Faults
) -> None:
    runs = timed_directory.path.parent / "runs"
    text = f"""\
    name: killed
    pool: cpu
    schedule: 1d
    command: [sh, -c, 'echo "$1" >> "$0"', {json.dumps(str(runs))}, "{{index}}"]
    tasks: 150
    """
    timed_directory.write(text)
    timed_faults.add(operation="create_task_collection", delay_s=120, count=1)
    timed_directory.jobs("run", "job.yaml")
    assert timed_directory.json("schedule", "show", "killed")["last_job"] == "killed:job-1"
    until(runs.exists)
    (manager,) = managers(timed_estate)
    assert runs.read_text().count("\n") <= 100, "the other collection is held back"
    os.kill(manager, signal.SIGKILL)
    report = timed_directory.json("wait", "killed")["report"]
    assert report["tasks"] == report["succeeded"] == 150
    times = Counter(runs.read_text().split())
    assert set(times) == {str(number) for number in range(150)}
    assert set(times.values()) == {1}
    timed_directory.jobs("schedule", "delete", "killed", "--yes")


def test_a_manager_task_that_fails_for_good_is_named_and_made_good(
    timed_directory: Directory, timed_estate: Path, timed_faults: Faults
) -> None:
    timed_directory.write(
        "name: broken\npool: cpu\nschedule: 1d\ncommand: [echo, '{index}']\ntasks: 3\n"
    )
    timed_faults.add(operation="create_task_collection", delay_s=15, share=1.0)
    timed_directory.jobs("run", "job.yaml")

    def over() -> bool:
        for process in managers(timed_estate):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        (account,) = timed_faults.ask("GET", "world")["accounts"].values()
        (job,) = (job for job in account["jobs"] if job["id"] == "broken:job-1")
        return bool(job["state"] == "completed")

    until(over)
    look = timed_directory.json("status", "broken")
    assert (look["total"], look["succeeded"], look["failed"]) == (3, 0, 0)
    assert "its job manager task, which adds its tasks, failed" in look["reasons"]
    timed_directory.jobs("wait", "broken", code=1)
    out, _ = timed_directory.jobs("explain", "--job", "broken")
    assert "its submission was not finished: 0 of 3 tasks are in" in out
    assert "its job manager task, which adds its tasks, failed" in out
    assert "its job manager task: exit code" in out
    assert "python -m jobs rerun broken:job-1" in out
    timed_faults.ask("DELETE", "faults")
    assert timed_directory.json("rerun", "broken:job-1")["report"]["succeeded"] == 3
    timed_directory.jobs("schedule", "delete", "broken", "--yes")


def test_a_preparation_that_fails_ends_a_scheduled_job_too(timed_directory: Directory) -> None:
    timed_directory.write(
        "name: unready\npool: cpu\nschedule: 1d\ncommand: x\n"
        "preparation: {script: 'echo no licence >&2; exit 3'}\n"
    )
    timed_directory.jobs("run", "job.yaml")
    _, err = timed_directory.jobs("wait", "unready", code=1)
    assert "preparation failed" in err
    assert "no licence" in err
    timed_directory.jobs("schedule", "delete", "unready", "--yes")


def test_a_submitter_that_is_killed_in_the_middle_leaves_one_schedule(
    timed_directory: Directory, timed_faults: Faults
) -> None:
    timed_directory.write("name: cut\npool: cpu\nschedule: 1d\ncommand: [echo, hi]\n")
    timed_faults.add(operation="create_job_schedule", delay_s=3, count=1)
    with timed_directory.start("run", "job.yaml") as process:
        until(lambda: not timed_faults.rules())
        process.kill()
    assert timed_directory.json("run", "job.yaml")["schedule_id"] == "cut"
    assert timed_directory.json("run", "job.yaml")["added"] is False
    found = timed_directory.json("schedule", "list")["schedules"]
    assert [row["schedule_id"] for row in found].count("cut") == 1
    assert timed_directory.json("wait", "cut")["report"]["succeeded"] == 1
    timed_directory.jobs("schedule", "delete", "cut", "--yes")


def test_a_dry_run_says_when_and_asks_nobody(timed_directory: Directory) -> None:
    outputs = json.loads(
        (Path(timed_directory.environment["HPC_LOCAL_DIR"]) / "stacks/local/outputs.json")
        .read_text()
    )  # fmt: skip
    nowhere = timed_directory.path / "outputs.json"
    endpoints = ("batch_endpoint", "blob_endpoint", "management_endpoint")
    nowhere.write_text(json.dumps(outputs | dict.fromkeys(endpoints, "http://127.0.0.1:9")))
    timed_directory.write(
        "name: dry\npool: cpu\nschedule: {every: 12h, start: 2999-12-31T06:00+01:00}\n"
        "command: [echo, '{index}']\ntasks: 3\n"
    )
    del timed_directory.environment["JOBS_STACK"]
    out, _ = timed_directory.jobs("run", "job.yaml", "--dry-run", "--outputs", str(nowhere))
    assert "when     every 12h00m from 2999-12-31 05:00 UTC" in out
    assert "a job    2999-12-31 17:00 UTC" in out
    dry = timed_directory.json("run", "job.yaml", "--dry-run", "--outputs", str(nowhere))
    assert dry["first_runs"][:2] == ["2999-12-31T05:00:00Z", "2999-12-31T17:00:00Z"]
    assert dry["schedule"]["jobSpecification"]["jobManagerTask"]["id"] == "manager"
    assert not (timed_directory.path / "results").exists()


def test_a_start_that_has_passed_sets_the_turns(
    timed_directory: Directory, timed_faults: Faults
) -> None:
    now = datetime.fromisoformat(timed_faults.ask("GET", "clock")["now"])
    turn = f"{now + timedelta(hours=12):%H:%M}"  # none comes while the test goes on
    timed_directory.write(
        f"name: turns\npool: cpu\nschedule: {{every: 1d, start: 2020-01-01T{turn}Z}}\ncommand: x\n"
    )
    out, _ = timed_directory.jobs("run", "job.yaml", "--dry-run")
    assert out.count(f" {turn} UTC") == 4, "when, and the first three jobs"
    submitted = timed_directory.json("run", "job.yaml")
    assert submitted["next_run"][11:16] == turn
    assert timed_directory.json("run", "job.yaml")["added"] is False
    updated = timed_directory.json("schedule", "update", "job.yaml")
    assert updated["next_run"] == submitted["next_run"]
    assert timed_directory.json("schedule", "show", "turns")["jobs"] == []
    timed_directory.jobs("schedule", "delete", "turns", "--yes")


def test_a_file_with_a_schedule_is_run_as_one_job_now(fan: Directory) -> None:
    name = fan.environment["NAME"]
    report = fan.json("run", "job.yaml", "--once", "--job-id", "tried", "--first", "1", "--yes")
    assert (report["job_id"], report["report"]["succeeded"]) == ("tried", 4)
    dry = fan.json("run", "job.yaml", "--once", "-n")
    assert (dry["schedule"], dry["first_runs"]) == (None, [])
    assert dry["plan"] == fan.json("run", "job.yaml", "-n")["plan"]
    assert name not in [s["schedule_id"] for s in fan.json("schedule", "list")["schedules"]]
    out, _ = fan.jobs("submit", "job.yaml", "--once", "--job-id", "again")
    assert out.split() == ["again"]
    fan.jobs("resume", "again")
    fan.jobs("clean", "tried,again", "--yes", "--local")
    text = (fan.path / "job.yaml").read_text()
    fan.write(text.replace("schedule: {every: 1h}\n", ""))
    for more in ((), ("-n",)):
        _, err = fan.jobs("run", "job.yaml", "--once", *more, code=2)
        assert "--once: job.yaml has no `schedule`" in " ".join(err.split())


def test_a_schedule_that_is_not_there_is_not_changed_and_one_that_is_over_not_valid(
    timed_directory: Directory,
) -> None:
    text = "name: never\npool: cpu\nschedule: {every: 1d, until: 2020-01-01}\ncommand: x\n"
    timed_directory.write(text)
    _, err = timed_directory.jobs("validate", "job.yaml", code=2)
    assert "schedule.until: has passed" in err
    timed_directory.write(text.replace("2020", "2999"))
    timed_directory.jobs("validate", "job.yaml")
    _, err = timed_directory.jobs("schedule", "update", "job.yaml", code=3)
    assert "there is no schedule never: add it with python -m jobs run" in err
    assert "the tasks in" not in err, "which were not staged"
    assert not (timed_directory.path / "results").exists()


def test_what_needs_somebody_who_watches_is_refused_together(timed_directory: Directory) -> None:
    timed_directory.write("name: w\npool: cpu\nschedule: 1d\ncommand: x\n")
    _, err = timed_directory.jobs(
        "run", "job.yaml", "--first", "1", "--max-fails", "2", "--timeout", "1m", code=2
    )
    assert "3 findings" in err
    said = " ".join(err.split())
    for option in ("--first", "--max-fails", "--timeout"):
        assert f"{option}: is for a job that is watched" in said
    assert said.count("give it to `wait SCHEDULE`") == 2, "which has no --first"
    assert (
        "--first: is for a job that is watched from here, and Batch makes the jobs of a "
        "schedule whole: try the tasks in a job of their own, with --once" in said
    )


def test_a_schedule_that_made_no_job_yet_says_when(timed_directory: Directory) -> None:
    timed_directory.write("name: later\npool: cpu\nschedule: {start: 2999-01-01}\ncommand: x\n")
    timed_directory.jobs("submit", "job.yaml")
    _, err = timed_directory.jobs("wait", "later", code=2)
    assert "has made no job yet: its first comes at 2999-01-01" in err
    _, err = timed_directory.jobs("status", "later:job-1", code=3)
    assert "schedule later has no job later:job-1" in err
    timed_directory.jobs("schedule", "delete", "later", "--yes")


def test_programs_have_schedules_too(fan: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    name = fan.environment["NAME"]
    monkeypatch.setenv("HPC_LOCAL_DIR", fan.environment["HPC_LOCAL_DIR"])
    for variable in ("AZURE_BATCH_ACCESS_KEY", "AZURE_STORAGE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    client = Client(stack="local", out=fan.path / "results")
    with pytest.raises(InputError, match="use submit_schedule"):
        client.submit(fan.path / "job.yaml")
    schedule = client.submit_schedule(fan.path / "job.yaml")
    assert schedule.id == name
    job = client.job(f"{name}:job-1")
    assert job.wait(timeout_s=120).succeeded == 4
    assert job.collect().files >= 4
    assert [row.job_id for row in schedule.jobs()] == [f"{name}:job-1"]
    assert schedule.pause()
    assert client.schedule(name).status().state == "disabled"
    assert name in [row.schedule_id for row in client.schedules()]
    schedule.delete()
    with pytest.raises(InputError, match="has a schedule"):
        client.submit(fan.path / "job.yaml")
