"""What the coordination command of a task on several nodes did, and what is left of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from jobs.checking import check
from jobs.coordination import instances, on_several_nodes
from jobs.errors import NotFoundError
from jobs.explain import explain_task
from jobs.loading import LoadedWorkload
from jobs.logs import LogReader, TaskState, read_logs
from jobs.node_logs import collect_node_logs
from jobs.plan import plan
from jobs.report import last_lines
from jobs.results import ResultTree
from jobs.selection import parse_selection
from jobs.service import BatchService
from jobs.stack import Stack
from jobs.submit import submit
from jobs.watch import Watcher

MakeWorkload = Callable[..., LoadedWorkload]
ROOT = "workitems/job/job-1/task"


class Nothing:
    """A container without blobs."""

    def get(self, name: str, _path: Path) -> int:
        raise NotFoundError(name)

    def list(self, _prefix: str) -> Iterator[Any]:
        return iter(())


class Nodes:
    """What the nodes of one task have: subtasks, files by node and path, how reads fail."""

    def __init__(self) -> None:
        self.subtasks: list[dict[str, Any]] = []
        self.files: dict[tuple[str, str], bytes] = {}
        self.there = {"n0", "n1", "n2"}
        self.busy = False
        self.reads = 0

    def has(self, number: int, **info: Any) -> None:
        node = {"poolId": "pool-cpu", "nodeId": f"n{number}", "taskRootDirectory": ROOT}
        self.subtasks.append({"id": number, "nodeInfo": node, **info})

    def printed(self, number: int, text: str, *, own: bool = True) -> None:
        directory = f"{ROOT}/coordination" if own else ROOT
        self.files[f"n{number}", f"{directory}/stderr.txt"] = text.encode()

    def answer(self, path: str) -> tuple[int, Any] | None:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[-1] == "subtasksinfo":
            return 200, {"value": self.subtasks}
        if parts[0] != "pools" or len(parts) < 4:
            return None
        if parts[3] not in self.there:
            return 404, {"code": "NodeNotFound", "message": {"value": "gone"}}
        if len(parts) == 4:
            return 200, {"id": parts[3], "state": "idle"}
        return self._file(parts[3], parts[5])

    def _file(self, node: str, path: str) -> tuple[int, Any]:
        self.reads += 1
        if self.busy:
            return 409, {"code": "NodeNotReady", "message": {"value": "rebooting"}}
        if (node, path) not in self.files:
            return 404, {"code": "FileNotFound", "message": {"value": "no file"}}
        return 200, self.files[node, path].decode()


@pytest.fixture
def nodes(batch: Any, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    made = Nodes()
    plain = batch.answer

    def answer(method: str, raw: str, body: bytes) -> tuple[int, Any]:
        told = made.answer(urlsplit(raw).path) if method == "GET" else None
        return plain(method, raw, body) if told is None else told

    # the fake answers JSON alone: what a node says is a JSON text there
    monkeypatch.setattr(batch, "answer", answer)
    monkeypatch.setattr("jobs.service._bytes", lambda response: response.json().encode())
    return made


@pytest.fixture
def reader(
    workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any, tmp_path: Path
) -> LogReader:
    loaded = workload("name: n\npool: cpu\ncommand: a {index}\ntasks: 2\n")
    submit(plan(check(loaded, stack), {}, job_id="job"), service)
    for task in batch.tasks["job"].values():
        task["multiInstanceSettings"] = {
            "numberOfInstances": 3,
            "coordinationCommandLine": """/bin/sh -ec 'cd x; exec "$@"' sh first me""",
        }
    return LogReader(
        service=service, job_id="job", tree=ResultTree(tmp_path / "r"), container=Nothing(),  # type: ignore[arg-type] # has what is asked
    )  # fmt: skip


def fail(batch: Any, at: int = 0) -> str:
    task_id = str(sorted(batch.tasks["job"])[at])
    batch.complete("job", task_id, exit_code=5)
    task = batch.tasks["job"][task_id]
    task["nodeInfo"] = {"poolId": "pool-cpu", "nodeId": "n0", "taskRootDirectory": ROOT}
    return task_id


def explained(reader: LogReader, task_id: str) -> tuple[str, ...]:
    watcher = Watcher(service=reader.service, job_id="job")
    return explain_task(task_id, watcher, watcher.look(), reader).reasons


def test_a_coordination_command_that_failed_beside_the_primary_is_told_with_its_words(
    reader: LogReader, batch: Any, nodes: Nodes
) -> None:
    task_id = fail(batch)
    nodes.has(1, exitCode=0, result="success")
    nodes.has(2, exitCode=5, result="failure")
    nodes.printed(2, "no licence\n")
    reasons = explained(reader, task_id)
    assert "its coordination command: first me" in reasons
    told = next(i for i, text in enumerate(reasons) if text.startswith("on node 2 of 3 (n2)"))
    assert "exit code 5" in reasons[told]
    assert reasons[told + 1] == "  coordination: no licence"


def test_a_primary_that_left_no_log_is_suspected_and_one_that_did_is_not(
    reader: LogReader, batch: Any, nodes: Nodes
) -> None:
    task_id = fail(batch)
    nodes.has(1, exitCode=0, result="success")
    nodes.printed(0, "no such module\n")
    reasons = explained(reader, task_id)
    assert any("its command left no log" in text for text in reasons)
    assert reasons[-1] == "  coordination: no such module"
    own = reader.tree.logs / task_id / "stdout.txt"
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert not any("coordination" in text for text in explained(reader, task_id))


def test_logs_tell_the_node_of_each_line_and_windows_writes_where_the_service_lets_it(
    reader: LogReader, batch: Any, nodes: Nodes
) -> None:
    fail(batch)
    nodes.has(1)
    nodes.has(2)
    nodes.printed(0, "a\nb\n")
    nodes.printed(1, "c\n", own=False)
    lines = read_logs(reader, parse_selection("failed"), ["coordination"])
    assert [(line.instance, line.source, line.text) for line in lines] == [
        (0, "stderr", "a"),
        (0, "stderr", "b"),
        (1, "stderr", "c"),
    ]


def test_the_last_lines_are_counted_on_each_node_and_of_each_stream(
    reader: LogReader, batch: Any, nodes: Nodes
) -> None:
    fail(batch)
    nodes.has(1)
    for node in (0, 1):
        nodes.printed(node, "".join(f"e{node}{line}\n" for line in range(3)))
        out = "".join(f"o{node}{line}\n" for line in range(3))
        nodes.files[f"n{node}", f"{ROOT}/coordination/stdout.txt"] = out.encode()

    def shown(tail: int) -> list[str]:
        lines = read_logs(reader, parse_selection("failed"), ["coordination"], tail=tail)
        return [line.text for line in lines]

    assert shown(2) == ["o01", "o02", "e01", "e02", "o11", "o12", "e11", "e12"]
    assert shown(0) == []


def test_a_job_is_asked_once_whether_its_tasks_run_on_several_nodes(
    reader: LogReader, batch: Any
) -> None:
    for task in batch.tasks["job"].values():
        del task["multiInstanceSettings"]
    ids = [fail(batch, 0), fail(batch, 1)]
    batch.requests.clear()
    for task_id in ids:
        state = TaskState(id=task_id, state="completed", failed=True)
        assert not list(reader.lines(state, "coordination"))
    assert len(batch.requests) == 1


def test_what_nodes_printed_comes_home_once(reader: LogReader, batch: Any, nodes: Nodes) -> None:
    task_id = fail(batch)
    nodes.has(1)
    nodes.printed(0, "p\n")
    nodes.printed(1, "s\n")
    made = collect_node_logs("job", reader.tree, reader.service, {})
    assert (made.files, made.fetched, made.bytes_fetched, made.gone) == (2, 2, 4, 0)
    home = reader.tree.logs / task_id / "coordination"
    assert {p.parent.name: p.read_text() for p in home.glob("*/*")} == {"0": "p\n", "1": "s\n"}
    reads = nodes.reads
    again = collect_node_logs("job", reader.tree, reader.service, {})
    assert (again.files, again.fetched, nodes.reads) == (2, 0, reads)
    # from here on they are read at home
    nodes.files.clear()
    assert len(list(read_logs(reader, parse_selection("failed"), ["coordination"]))) == 2


def test_a_node_that_is_gone_is_counted_and_one_that_is_busy_is_asked_again(
    reader: LogReader, batch: Any, nodes: Nodes
) -> None:
    task_id = fail(batch)
    nodes.has(1)
    nodes.has(2)
    nodes.printed(1, "s\n")
    nodes.there.discard("n2")
    nodes.busy = True
    assert collect_node_logs("job", reader.tree, reader.service, {}).fetched == 0
    nodes.busy = False
    made = collect_node_logs("job", reader.tree, reader.service, {})
    assert (made.fetched, made.gone) == (1, 1)
    watcher = Watcher(service=reader.service, job_id="job")
    watcher.look()
    assert last_lines(reader.tree, watcher.ends.values()) == {task_id: "s"}


def test_tasks_that_do_not_count_are_left_where_they_are(
    reader: LogReader, batch: Any, nodes: Nodes
) -> None:
    fail(batch)
    nodes.printed(0, "p\n")
    made = collect_node_logs("job", reader.tree, reader.service, {}, skip={0})
    assert made.files == 0
    assert not nodes.reads


def test_of_stages_only_those_on_several_nodes_are_asked_about() -> None:
    listed: list[str] = []

    class Service:
        def pages(self, _path: str, _doing: str, **query: str) -> Iterator[dict[str, Any]]:
            listed.append(query["$filter"])
            several = {"multiInstanceSettings": {"numberOfInstances": 4}}
            yield {"id": "x", **(several if "'11'" in query["$filter"] else {})}
            raise AssertionError("one task of a stage is enough")

    found = on_several_nodes(Service(), "job", {"mesh": 3, "solve": 2})  # type: ignore[arg-type] # lists alone
    assert found == {"11": 4}
    assert listed == ["startswith(id,'10')", "startswith(id,'11')"]


@pytest.mark.usefixtures("nodes")
def test_a_task_that_never_had_nodes_has_none(reader: LogReader, batch: Any) -> None:
    task_id = min(batch.tasks["job"])
    assert instances(reader.service, "job", {"id": task_id}) == []
