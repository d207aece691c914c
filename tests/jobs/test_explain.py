from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.checking import check
from jobs.errors import NotFoundError
from jobs.explain import exit_code_text, explain_job, explain_task
from jobs.loading import LoadedWorkload
from jobs.logs import LogReader
from jobs.plan import plan
from jobs.preparation import said_on_node
from jobs.results import ResultTree
from jobs.service import BatchService
from jobs.stack import Stack
from jobs.submit import submit
from jobs.watch import Watcher

MakeWorkload = Callable[..., LoadedWorkload]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "of the program's own choosing"),
        (127, "did not find a command"),
        (137, "ended by SIGKILL, likely for want of memory"),
        (-9, "ended by SIGKILL"),
        (139, "ended by SIGSEGV"),
        (255, "of the program's own choosing"),
    ],
)
def test_exit_codes_that_mean_something_are_said_in_words(code: int, words: str) -> None:
    assert words in exit_code_text(code)
    assert f"exit code {code}" in exit_code_text(code)


def test_success_is_no_code_of_a_programs_own_choosing() -> None:
    assert exit_code_text(0) == "exit code 0"


class Nothing:
    """A container without blobs."""

    def get(self, name: str, _path: Path) -> int:
        raise NotFoundError(name)


@pytest.fixture
def job(
    workload: MakeWorkload, stack: Stack, service: BatchService, tmp_path: Path
) -> tuple[Watcher, LogReader, list[str]]:
    loaded = workload("name: n\npool: cpu\ncommand: a {index}\ntasks: 3\n")
    planned = plan(check(loaded, stack), {}, job_id="job")
    submit(planned, service)
    reader = LogReader(
        service=service, job_id="job", tree=ResultTree(tmp_path / "r"), container=Nothing(),  # type: ignore[arg-type] # never asked
    )  # fmt: skip
    watcher = Watcher(service=service, job_id="job")
    return watcher, reader, [task.id for task in planned.tasks()]


def test_a_failed_task_is_explained_with_its_last_words(
    job: tuple[Watcher, LogReader, list[str]], batch: Any
) -> None:
    watcher, reader, ids = job
    batch.complete("job", ids[1], exit_code=137)
    log = reader.tree.logs / ids[1] / "stderr.txt"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {n}\n" for n in range(9)))
    made = explain_task(ids[1], watcher, watcher.look(), reader)
    assert made.state == "failed"
    assert "SIGKILL" in made.reasons[0]
    assert "its command: a 1" in made.reasons
    assert made.printed == tuple(f"line {n}" for n in range(4, 9))
    assert made.name == "1"
    assert made.commands == ("python -m jobs logs 1 --job job",)
    batch.tasks["job"][ids[1]]["commandLine"] = "/bin/sh -ec 'set -u\n./solve\n'"
    made = explain_task(ids[1], watcher, watcher.look(), reader)
    assert "its command: set -u … (2 lines)" in made.reasons


def test_a_waiting_task_is_explained_by_its_pool(
    job: tuple[Watcher, LogReader, list[str]], batch: Any
) -> None:
    watcher, reader, ids = job
    made = explain_task(ids[0], watcher, watcher.look(), reader)
    assert made.state == "active"
    assert "the pool has no nodes" in made.reasons[0]
    batch.complete("job", ids[2])
    assert explain_task(ids[2], watcher, watcher.look(), reader).state == "succeeded"


def test_a_job_is_explained_by_its_nodes_its_submission_and_its_failures(
    job: tuple[Watcher, LogReader, list[str]], batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, reader, ids = job
    plain = batch.answer

    def answer(method: str, raw: str, body: bytes) -> tuple[int, Any]:
        if "/nodes?" in raw:
            info = {"exitCode": 127, "state": "completed"}
            node = {"id": "n1", "state": "starttaskfailed", "startTaskInfo": info}
            return 200, {
                "value": [node, *({"id": f"u{n}", "state": "unusable"} for n in range(4))]
            }
        if "/nodes/n1/files/" in raw:
            return 200, "mpi: not found"
        status, value = plain(method, raw, body)
        return int(status), value

    monkeypatch.setattr(batch, "answer", answer)
    batch.jobs["job"]["metadata"] = [
        {"name": "jobs.tasks", "value": "3"},
        {"name": "jobs.submission", "value": "unfinished"},
    ]
    batch.complete("job", ids[0], exit_code=3)
    made = explain_job(watcher, reader)
    text = "\n".join(made.reasons)
    assert "it is being submitted: 3 of 3 tasks are in" in text
    assert "python -m jobs wait job" in made.commands
    batch.age("job")
    made = explain_job(Watcher(service=watcher.service, job_id="job"), reader)
    text = "\n".join(made.reasons)
    assert "its submission was not finished: 3 of 3 tasks are in" in text
    assert "node n1 cannot run tasks: its start task ended with exit code 127" in text
    assert "start task: " in text
    assert "mpi: not found" in text
    assert "and 2 more nodes like these" in text
    assert "1 task: exit code 3" in text
    assert "python -m jobs resume job" in made.commands


@pytest.mark.parametrize(
    ("stderr", "stdout", "told"),
    [("", "v1\n", ["v1"]), ("\n", "v1\nv2\n", ["v1", "v2"]), ("why\n", "v1\n", ["why"])],
)
def test_a_start_task_that_says_nothing_on_stderr_is_told_by_what_it_printed(
    job: tuple[Watcher, LogReader, list[str]],
    batch: Any,
    monkeypatch: pytest.MonkeyPatch,
    stderr: str,
    stdout: str,
    told: list[str],
) -> None:
    watcher, reader, _ = job
    plain = batch.answer

    def answer(method: str, raw: str, body: bytes) -> tuple[int, Any]:
        if "/nodes?" in raw:
            info = {"exitCode": 4, "state": "completed"}
            return 200, {
                "value": [{"id": "n1", "state": "starttaskfailed", "startTaskInfo": info}]
            }
        status, value = plain(method, raw, body)
        return int(status), value

    def content(path: str, _doing: str, **_range: int) -> bytes:
        return {"stderr.txt": stderr, "stdout.txt": stdout}[path.rpartition("%2F")[2]].encode()

    monkeypatch.setattr(batch, "answer", answer)
    monkeypatch.setattr(type(watcher.service), "content", staticmethod(content))
    reasons = explain_job(watcher, reader).reasons
    assert [text for text in reasons if "start task: " in text] == [
        f"  start task: {line}" for line in told
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AccountCoreQuotaReached", "ask for more quota"),
        ("AccountSpotCoreQuotaReached", "ask for more quota"),
        ("AllocationFailed", "the region has no such machines now"),
        ("AllocationTimedOut", "the pool tries again by itself"),
        ("SubnetHasInsufficientPrivateIPAddresses", "the subnet has no free addresses"),
    ],
)
def test_each_cause_of_missing_nodes_has_its_remedy(
    job: tuple[Watcher, LogReader, list[str]],
    batch: Any,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    words: str,
) -> None:
    watcher, reader, ids = job
    pool = {
        "id": "pool-cpu", "state": "active", "targetDedicatedNodes": 4, "taskSlotsPerNode": 1,
        "resizeErrors": [{"code": code, "message": "said so"}],
    }  # fmt: skip
    monkeypatch.setattr(batch, "_pool", lambda _pool: pool)
    plain = batch.answer

    def answer(method: str, raw: str, body: bytes) -> tuple[int, Any]:
        status, value = (200, {"value": []}) if "/nodes?" in raw else plain(method, raw, body)
        return status, value

    monkeypatch.setattr(batch, "answer", answer)
    for made in (
        explain_job(watcher, reader),
        explain_task(ids[0], watcher, watcher.look(), reader),
    ):
        text = "\n".join(made.reasons)
        assert f"resize: {code}: said so" in text
        assert words in text


def test_what_the_pool_cannot_give_is_told_beside_what_runs_with_its_remedy(
    job: tuple[Watcher, LogReader, list[str]], batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, reader, ids = job
    pool = {
        "id": "pool-cpu", "state": "active", "targetDedicatedNodes": 4, "taskSlotsPerNode": 1,
        "resizeErrors": [{"code": "AllocationFailed", "message": "no room"}],
    }  # fmt: skip
    monkeypatch.setattr(batch, "_pool", lambda _pool: pool)
    plain = batch.answer
    running = {"poolId": "pool-cpu", "dedicated": {"running": 1, "total": 1}}
    answers = {"/nodes?": {"value": []}, "/nodecounts?": {"value": [running]}}

    def answer(method: str, raw: str, body: bytes) -> tuple[int, Any]:
        for part, value in answers.items():
            if part in raw:
                return 200, value
        status, value = plain(method, raw, body)
        return int(status), value

    monkeypatch.setattr(batch, "answer", answer)
    batch.tasks["job"][ids[0]]["state"] = "running"
    look = watcher.look()
    assert look.reasons == (), "something moves"
    cause = "resize: AllocationFailed: no room"
    assert look.obstacles == (cause,)
    standing, *rest = explain_job(watcher, reader).reasons
    assert standing == "1 task runs, 2 wait for a free slot, 0 of 3 have ended"
    assert rest[0] == cause
    assert "the region has no such machines now" in rest[1]
    made = explain_task(ids[1], watcher, watcher.look(), reader).reasons
    assert made[0] == cause
    assert "the region has no such machines now" in made[1]
    assert made[2].startswith("it waits for 1 free slot: 1 tasks of the job run")
    pool["resizeErrors"] = []
    (only,) = explain_job(Watcher(service=watcher.service, job_id="job"), reader).reasons
    assert only.startswith("nothing holds it up: ")


def test_a_job_that_was_ended_has_no_reasons_of_a_pool_that_it_no_longer_needs(
    job: tuple[Watcher, LogReader, list[str]], batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, reader, ids = job
    pool = {
        "id": "pool-cpu", "state": "active", "enableAutoScale": True,
        "resizeErrors": [{"code": "AccountCoreQuotaReached", "message": "said so"}],
    }  # fmt: skip
    monkeypatch.setattr(batch, "_pool", lambda _pool: pool)
    batch.complete("job", ids[0])
    batch.jobs["job"] |= {"state": "completed", "executionInfo": {"terminateReason": "Canceled"}}
    assert explain_job(watcher, reader).reasons == ("it was ended: Canceled",)
    made = explain_task(ids[1], watcher, watcher.look(), reader)
    assert made.reasons == ("it has not run, and never will: its job is over",)
    assert made.commands == ("python -m jobs rerun job --tasks 1",)


def test_a_task_that_no_node_has_room_for_is_told(
    job: tuple[Watcher, LogReader, list[str]], batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, reader, ids = job
    pool = {"id": "pool-cpu", "state": "active", "taskSlotsPerNode": 2, "targetDedicatedNodes": 1}
    monkeypatch.setattr(batch, "_pool", lambda _pool: pool)
    batch.tasks["job"][ids[0]]["requiredSlots"] = 4
    made = explain_task(ids[0], watcher, watcher.look(), reader)
    assert made.reasons[0].startswith("it takes 4 slots and a node of its pool has 2")


def test_a_task_whose_parent_failed_is_told_which(
    job: tuple[Watcher, LogReader, list[str]], batch: Any
) -> None:
    watcher, reader, ids = job
    batch.complete("job", ids[1], exit_code=1)
    batch.tasks["job"][ids[2]]["dependsOn"] = {"taskIds": ids[:2]}
    made = explain_task(ids[2], watcher, watcher.look(), reader)
    assert made.reasons[0].startswith("1 of the 2 tasks that it waits for failed, such as 1:")
    assert made.reasons[1] == "it waits for 1 of 2 tasks to end"
    batch.tasks["job"]["100000007"] = {
        **batch.tasks["job"][ids[0]], "id": "100000007",
        "dependsOn": {"taskIdRanges": [{"start": 100000000, "end": 100000003}]},
    }  # fmt: skip
    made = explain_task("100000007", watcher, watcher.look(), reader)
    assert made.reasons[0] == "it waits for 4 of 4 tasks to end"


@pytest.mark.parametrize(
    ("code", "failure", "told"),
    [
        (
            0,
            "FileUploadMiscError",
            ("FileUploadMiscError: no", "its program ended with exit code 0"),
        ),
        (
            143,
            "TaskEnded",
            ("TaskEnded: no", "its program ended with exit code 143: ended by SIGTERM"),
        ),
        (3, "FailureExitCode", ("exit code 3, of the program's own choosing", "it ran for")),
        (None, "CommandProgramNotFound", ("CommandProgramNotFound: no", "it ran for")),
    ],
)
def test_what_failed_comes_first_where_it_was_not_the_program(
    job: tuple[Watcher, LogReader, list[str]],
    batch: Any,
    code: int | None,
    failure: str,
    told: tuple[str, str],
) -> None:
    watcher, reader, ids = job
    batch.complete("job", ids[1], exit_code=1)
    info = batch.tasks["job"][ids[1]]["executionInfo"]
    info |= {"failureInfo": {"code": failure, "message": "no"}, "exitCode": code}
    (reader.tree.logs / ids[1]).mkdir(parents=True)
    (reader.tree.logs / ids[1] / "stderr.txt").write_text("x\n")
    made = explain_task(ids[1], watcher, watcher.look(), reader)
    for reason, words in zip(made.reasons, told, strict=False):
        assert reason.startswith(words)


def test_a_reason_that_a_task_wrote_is_told_first(
    job: tuple[Watcher, LogReader, list[str]], batch: Any
) -> None:
    watcher, reader, ids = job
    batch.complete("job", ids[1], exit_code=3)
    log = reader.tree.logs / ids[1] / "reason.txt"
    log.parent.mkdir(parents=True)
    log.write_text("no licence\nfor mesh\n")
    (log.parent / "stderr.txt").write_text("x\n")
    made = explain_task(ids[1], watcher, watcher.look(), reader)
    assert made.reasons[0] == "its reason: no licence for mesh"


STEERS = "\x1b]0;pwned\x07\x1b[31mred\x1b[0m\tat 7\u202e"


def test_what_a_task_printed_steers_no_terminal(
    job: tuple[Watcher, LogReader, list[str]], batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, reader, ids = job
    batch.complete("job", ids[1], exit_code=1)
    log = reader.tree.logs / ids[1] / "stderr.txt"
    log.parent.mkdir(parents=True)
    log.write_text(f"{STEERS}\n", encoding="utf-8")
    made = explain_task(ids[1], watcher, watcher.look(), reader)
    assert made.printed == ("]0;pwned[31mred[0m\tat 7",)
    assert all(c.isprintable() for reason in made.reasons for c in reason)
    monkeypatch.setattr(
        type(watcher.service), "content", lambda *_args, **_range: f"{STEERS}\n".encode()
    )
    assert said_on_node(watcher.service, "p", "n1", "startup") == [made.printed[0]]
