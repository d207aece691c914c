"""A preparation that fails holds its job back without a word from the service: who says so."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checking import check
from jobs.errors import NotFoundError
from jobs.explain import explain_job, explain_task
from jobs.loading import LoadedWorkload
from jobs.logs import LogReader
from jobs.looks import Look
from jobs.plan import plan
from jobs.preparation import ending, keep_logs, printed_on_node
from jobs.results import ResultTree
from jobs.service import BatchService
from jobs.stack import Stack
from jobs.submit import submit
from jobs.watch import POOL_EVERY_S, Watcher

MakeWorkload = Callable[..., LoadedWorkload]


class Nothing:
    """A container without blobs."""

    def get(self, name: str, _path: Path) -> int:
        raise NotFoundError(name)


def failed_on(node: str, **info: Any) -> dict[str, Any]:
    root = "workitems/job/job-1/jobpreparation"
    return {
        "poolId": "pool-cpu",
        "nodeId": node,
        "jobPreparationTaskExecutionInfo": {
            "state": "completed", "result": "failure", "taskRootDirectory": root, **info,
        },
    }  # fmt: skip


@pytest.fixture
def prepared(
    workload: MakeWorkload,
    stack: Stack,
    service: BatchService,
    batch: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[list[str], list[dict[str, Any]], dict[str, int]]:
    """A submitted job; its tasks, what the service says of its preparation, and its nodes."""
    text = "name: n\npool: cpu\npreparation: exit 9\ncommand: a {index}\ntasks: 3\n"
    planned = plan(check(workload(text), stack), {}, job_id="job")
    submit(planned, service)
    statuses: list[dict[str, Any]] = []
    nodes: dict[str, int] = {}
    plain = batch.answer

    def answer(method: str, raw: str, body: bytes) -> tuple[int, Any]:
        if "/jobpreparationandreleasetaskstatus" in raw:
            return 200, {"value": statuses}
        if "/files/" in raw:
            ours = "/pools/pool-cpu/nodes/n1/files/workitems%2Fjob%2Fjob-1%2Fjobpreparation%2F"
            return (200, "nope") if f"{ours}stderr.txt" in raw else (404, {"code": "FileNotFound"})
        if "/nodes/" in raw:
            name = raw.split("/nodes/")[1].split("?", maxsplit=1)[0]
            return nodes.get(name, 404), {"id": name, "state": "idle", "code": "NodeNotFound"}
        if "/nodes?" in raw:
            return 200, {"value": [{"id": name, "state": "idle"} for name in nodes]}
        if "/nodecounts" in raw:
            dedicated = {"idle": len(nodes), "total": len(nodes)}
            return 200, {"value": [{"poolId": "pool-cpu", "dedicated": dedicated}]}
        status, value = plain(method, raw, body)
        return int(status), value

    monkeypatch.setattr(batch, "answer", answer)
    return [task.id for task in planned.tasks()], statuses, nodes


def reader_of(service: BatchService, tmp_path: Path) -> LogReader:
    return LogReader(
        service=service, job_id="job", tree=ResultTree(tmp_path / "r"), container=Nothing(),  # type: ignore[arg-type] # never asked
    )  # fmt: skip


Prepared = tuple[list[str], list[dict[str, Any]], dict[str, int]]


def test_who_watches_is_told_that_the_preparation_failed_and_what_it_said(
    prepared: Prepared, service: BatchService
) -> None:
    clock = [0.0]
    watcher = Watcher(service=service, job_id="job", now=lambda: clock[0])
    assert not [reason for reason in watcher.look().reasons if "preparation" in reason]
    prepared[1][:] = [failed_on("n1", exitCode=9), failed_on("n2", exitCode=9)]
    clock[0] += POOL_EVERY_S
    (told,) = [reason for reason in watcher.look().reasons if "preparation" in reason]
    assert told.startswith("the preparation failed on 2 nodes, exit code 9")
    assert "nope" in told
    assert "n1" in told


def test_a_preparation_is_asked_for_as_seldom_as_the_pool(
    prepared: Prepared, service: BatchService, batch: Any
) -> None:
    prepared[1][:] = [failed_on("n1", exitCode=9)]
    watcher = Watcher(service=service, job_id="job", now=lambda: 0.0)
    assert watcher.look().reasons == watcher.look().reasons
    assert sum("jobpreparation" in request for request in batch.requests) == 2  # list, one log


def looks_of(service: BatchService, number: int) -> list[Look]:
    clock = [0.0]
    watcher = Watcher(service=service, job_id="job", now=lambda: clock[0])
    seen = []
    for _ in range(number):
        seen.append(watcher.look())
        clock[0] += POOL_EVERY_S
    return seen


def test_a_job_that_no_node_can_run_is_over_once_that_was_seen_twice(
    prepared: Prepared, service: BatchService
) -> None:
    prepared[1][:] = [failed_on("n1", exitCode=9), failed_on("n2", exitCode=9)]
    prepared[2].update(n1=200, n2=200)
    first, second = looks_of(service, 2)
    assert (first.over, first.unprepared) == (False, 0)
    assert (second.over, second.unprepared, second.waiting) == (True, 2, 3)
    assert "the preparation failed on 2 nodes" in second.reasons[0]


@pytest.mark.parametrize(
    "pool",
    [
        {"targetDedicatedNodes": 3},
        {"allocationState": "resizing"},
        {"idle": "creating"},
        {"more": "n3"},
    ],
    ids=["wanted", "resizing", "booting", "another"],
)
def test_a_job_waits_while_another_node_may_still_run_it(
    prepared: Prepared,
    service: BatchService,
    batch: Any,
    monkeypatch: pytest.MonkeyPatch,
    pool: dict[str, str],
) -> None:
    prepared[1][:] = [failed_on("n1", exitCode=9), failed_on("n2", exitCode=9)]
    prepared[2].update(n1=200, n2=200)
    if name := pool.pop("more", ""):
        prepared[2][name] = 200
    plain, state = batch.answer, pool.pop("idle", "")

    def answer(method: str, raw: str, body: bytes) -> tuple[int, Any]:
        status, value = plain(method, raw, body)
        if raw.startswith("/pools/pool-cpu?"):
            value |= pool
        if "/nodecounts" in raw and state:
            value["value"][0]["dedicated"][state] = 1
        return int(status), value

    monkeypatch.setattr(batch, "answer", answer)
    assert not any(look.over for look in looks_of(service, 4))


def test_what_the_preparation_printed_is_kept(
    prepared: Prepared, service: BatchService, batch: Any, tmp_path: Path
) -> None:
    prepared[1][:] = [failed_on(f"n{n}", exitCode=9) for n in range(1, 6)]
    assert keep_logs(service, batch.jobs["job"], tmp_path) == ['"nope"']
    assert (tmp_path / "preparation" / "n1" / "stderr.txt").read_text() == '"nope"\n'
    assert len(list((tmp_path / "preparation").iterdir())) == 3


@pytest.mark.parametrize(
    "info",
    [
        {"exitCode": 0, "result": "success"},
        {"state": "running"},
    ],
)
def test_one_that_succeeded_or_still_runs_is_no_reason(
    prepared: Prepared, service: BatchService, info: dict[str, Any]
) -> None:
    prepared[1][:] = [failed_on("n1", **info)]
    look = Watcher(service=service, job_id="job").look()
    assert not [reason for reason in look.reasons if "preparation" in reason]


def test_explain_tells_each_node_with_its_exit_code_and_log(
    prepared: Prepared, service: BatchService, tmp_path: Path
) -> None:
    never_ran = {"failureInfo": {"code": "ResourceFileMissing", "message": "no blob"}}
    prepared[1][:] = [
        failed_on("n1", exitCode=9),
        failed_on("n2", **never_ran),
        failed_on("n3"),
        failed_on("n4"),
    ]
    watcher = Watcher(service=service, job_id="job")
    text = "\n".join(explain_job(watcher, reader_of(service, tmp_path)).reasons)
    assert "on node n1 the preparation failed: exit code 9" in text
    assert "preparation: " in text
    assert "on node n2 the preparation failed: ResourceFileMissing: no blob" in text
    assert "and so it did on 1 more" in text
    assert "nothing holds it up" not in text


def test_a_task_that_was_put_back_is_not_said_to_wait_for_a_slot(
    prepared: Prepared, service: BatchService, batch: Any, tmp_path: Path
) -> None:
    ids, statuses, nodes = prepared
    statuses[:] = [failed_on("n1", exitCode=9)]
    nodes["n1"] = 200
    batch.tasks["job"][ids[0]] |= {
        "executionInfo": {"requeueCount": 1},
        "nodeInfo": {"poolId": "pool-cpu", "nodeId": "n1"},
    }
    watcher = Watcher(service=service, job_id="job")
    look, reader = watcher.look(), reader_of(service, tmp_path)
    made = explain_task(ids[0], watcher, look, reader)
    assert made.reasons[0] == "it was put back once"
    assert "the preparation failed" in "\n".join(made.reasons)
    assert "free slot" not in "\n".join(made.reasons)
    del nodes["n1"]
    made = explain_task(ids[0], watcher, look, reader)
    assert made.reasons[0] == "it was put back once: its node went away"


@given(st.binary(min_size=1), st.integers(1, 1 << 40))
def test_what_is_left_out_and_what_is_told_are_the_whole_log(data: bytes, start: int) -> None:
    told, *lines = ending(data, start)
    left = int(re.sub(r"\D", "", told)) - start
    assert lines == data[left:].decode("utf-8", "replace").splitlines()
    assert left == 0 or data[:left].count(b"\n") == 1


class Node:
    """A node with one file, which may be written to while it is read."""

    def __init__(self, data: bytes, *, more: bytes = b"") -> None:
        self.data, self.more, self.asked = data, more, [0, 0]

    def content(self, _path: str, _doing: str, *, start: int, length: int) -> bytes:
        self.asked[0] += 1
        return self.data[start : start + length]

    def size(self, _path: str, _doing: str) -> int:
        self.asked[1] += 1
        self.data += self.more
        return len(self.data)


@pytest.mark.parametrize(
    ("data", "more", "told", "asked"),
    [
        (b"", b"", [], [1, 0]),
        (b"a\nb\n", b"", ["a", "b"], [1, 0]),
        (b"x" * 65_535 + b"\n", b"", ["x" * 65_535], [1, 1]),
        (b"x" * 65_535 + b"\n", b"y\n", ["… the first 65,536 bytes are left out", "y"], [2, 1]),
    ],
)
def test_the_end_of_a_long_log_is_asked_for_and_a_short_one_once(
    data: bytes, more: bytes, told: list[str], asked: list[int]
) -> None:
    node = Node(data, more=more)
    assert printed_on_node(cast("BatchService", node), "p", "n", "startup/stderr.txt") == told
    assert node.asked == asked


@pytest.mark.slow
def test_a_run_whose_preparation_fails_on_every_node_says_so(directory: Any) -> None:
    directory.write(
        """\
        name: unprepared
        pool: cpu
        preparation: {script: "seq 30000 >&2; echo nope >&2; exit 9"}
        command: echo hi
        tasks: 3
        """
    )
    directory.jobs("run", "job.yaml", "--detach")
    deadline = time.monotonic() + 120
    while True:
        said, _ = directory.jobs("explain")
        if said.count("the preparation failed: exit code 9") == 2:
            break
        assert time.monotonic() < deadline, said
    assert "preparation: 30000\n    preparation: nope\n" in said
    assert "preparation: 1\n" not in said
    _, err = directory.jobs("wait", "--timeout", "1s", code=4)
    assert 'the preparation failed on 2 nodes, exit code 9: "nope"' in err
    directory.jobs("cancel", "last")
