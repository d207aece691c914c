"""The script that a node runs: each task once, whatever becomes of requests and of itself."""

from __future__ import annotations

import ast
import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import job_manager
from jobs.job_ids import folder_of
from jobs.job_manager import collections, main, tasks_of
from jobs.managed import MANAGER_ID
from jobs.plan import META_SUBMISSION, SUBMITTED, SUBMITTING
from jobs.service import API_VERSION
from jobs.task_files import FOLDER

JOB = "nightly:job-7"
SCRIPT = Path(job_manager.__file__)
Run = Callable[[], int]


@pytest.fixture
def job(batch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job without tasks, and a task's environment and files."""
    metadata = [
        {"name": "jobs.workload", "value": "nightly"},
        {"name": META_SUBMISSION, "value": SUBMITTING},
    ]
    batch.jobs[JOB] = {"id": JOB, "state": "active", "metadata": metadata}
    batch.tasks[JOB] = {}
    monkeypatch.setenv("AZ_BATCH_JOB_ID", JOB)
    monkeypatch.setenv("AZ_BATCH_ACCOUNT_URL", f"{batch.url}/")
    monkeypatch.setenv("AZ_BATCH_AUTHENTICATION_TOKEN", "a token")
    monkeypatch.chdir(tmp_path)
    (tmp_path / FOLDER).mkdir()
    return batch


@pytest.fixture
def run(job: Any, pauses: list[float]) -> Run:
    del job
    return lambda: main(["JOB-7f3a"], pauses.append)


def write(name: str, ids: Iterable[object], **members: Any) -> None:
    lines = [json.dumps({"id": str(one), "commandLine": "x", **members}) for one in ids]
    with gzip.open(Path(FOLDER) / name, "wt", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def submission(batch: Any) -> str:
    values = {item["name"]: item["value"] for item in batch.jobs[JOB]["metadata"]}
    assert values.pop("jobs.workload") == "nightly"
    return str(values[META_SUBMISSION])


def test_all_tasks_are_added_file_after_file(job: Any, run: Run) -> None:
    write("00000.jsonl.gz", range(250))
    write("00001.jsonl.gz", range(250, 260))
    assert run() == 0
    assert set(job.added) == {str(number) for number in range(260)}
    assert set(job.added.values()) == {1}
    assert submission(job) == SUBMITTED
    posts = [line for line in job.requests if "addtaskcollection" in line]
    assert len(posts) == 4
    assert list(job.tasks[JOB])[-10:] == [str(number) for number in range(250, 260)]


def test_tasks_name_the_job_that_they_run_in(job: Any, run: Run) -> None:
    path = {"container": {"path": "JOB-7f3a/1/out"}}
    write("0.gz", [1], outputFiles=[{"destination": path}], commandLine="cat .stages/JOB-7f3a/*")
    assert run() == 0
    task = job.tasks[JOB]["1"]
    assert task["outputFiles"][0]["destination"]["container"]["path"] == "nightly.job-7/1/out"
    assert task["commandLine"] == "cat .stages/nightly.job-7/*"


def test_a_manager_that_runs_again_adds_nothing_twice(job: Any, run: Run) -> None:
    write("0.gz", range(120))
    assert [run(), run()] == [0, 0]
    assert set(job.added.values()) == {1}
    assert len(job.added) == 120


@pytest.mark.parametrize("survives", [1, 2, 5, 11])
def test_one_that_was_cut_short_is_finished_by_the_next(
    job: Any, run: Run, fault: Any, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    write("0.gz", range(700))
    write("1.gz", range(700, 1_300))
    monkeypatch.setattr(job_manager, "ATTEMPTS", 2)
    job.fault = lambda _m, _p, number: fault(drop=True) if number > survives else None
    assert run() == 1
    assert len(job.added) < 1_300
    assert submission(job) == SUBMITTING
    job.fault = lambda *_: None
    assert run() == 0
    assert len(job.added) == 1_300
    assert set(job.added.values()) == {1}
    assert submission(job) == SUBMITTED


@pytest.mark.parametrize("kind", ["drop", "cut"])
def test_an_answer_that_is_lost_after_the_work_doubles_nothing(
    job: Any, run: Run, fault: Any, kind: str
) -> None:
    write("0.gz", range(350))
    seen: set[str] = set()

    def lose_first(method: str, path: str, number: int) -> Any:
        del number
        new = (key := f"{method} {path} {len(seen)}") not in seen and len(seen) < 6
        seen.add(key)
        return fault(after_work=True, **{kind: True}) if new else None

    job.fault = lose_first
    assert run() == 0
    assert len(job.added) == 350
    assert set(job.added.values()) == {1}
    assert submission(job) == SUBMITTED


def test_a_busy_service_is_waited_for_as_long_as_it_asks(
    job: Any, run: Run, fault: Any, pauses: list[float]
) -> None:
    write("0.gz", range(3))
    answers = [fault(status=429, headers={"Retry-After": "7"}), fault(status=503)]
    job.fault = lambda *_: answers.pop(0) if answers else None
    assert run() == 0
    assert 7 <= pauses[0] <= 60
    assert 0 <= pauses[1] <= 60
    assert len(pauses) == 2


def test_a_service_that_never_answers_is_given_up(
    job: Any, run: Run, fault: Any, pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    write("0.gz", range(3))
    job.fault = lambda *_: fault(status=503)
    assert run() == 1
    assert len(pauses) == job_manager.ATTEMPTS - 1
    assert max(pauses) <= job_manager.LONGEST_WAIT_S
    assert "gave no answer in 12 attempts: ServerBusy" in capsys.readouterr().err


def test_items_that_the_service_failed_are_sent_again(job: Any, run: Run) -> None:
    write("0.gz", range(5))
    failing = {"2": 3}

    def item(task_id: str) -> Any:
        if failing.get(task_id, 0) > 0:
            failing[task_id] -= 1
            return {"status": "ServerError", "error": {"code": "ServerBusy"}}
        return None

    job.item_fault = item
    assert run() == 0
    assert set(job.added.values()) == {1}
    assert len(job.added) == 5


def test_a_task_that_is_refused_ends_it_by_name(
    job: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    write("0.gz", range(5))
    error = {"code": "InvalidPropertyValue", "message": {"value": "No.\nRequestId:0"}}
    job.item_fault = lambda task_id: (
        {"status": "ClientError", "error": error} if task_id == "3" else None
    )
    assert run() == 1
    said = capsys.readouterr().err
    assert "task 3: InvalidPropertyValue: No." in said
    assert Path("log/nightly.job-7/manager/stderr.txt").read_text() == said
    assert submission(job) == SUBMITTING


def test_a_collection_that_is_too_large_is_halved(job: Any, run: Run) -> None:
    write("0.gz", range(64), commandLine="x" * 1_000)
    job.max_body = 20_000
    assert run() == 0
    assert len(job.added) == 64


def test_a_job_that_is_over_takes_no_more_and_that_is_no_failure(
    job: Any, run: Run, fault: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write("0.gz", range(3))
    job.fault = lambda *_: fault(status=409, code="JobBeingTerminated")
    assert run() == 0
    assert submission(job) == SUBMITTING
    assert "the job takes no more tasks" in capsys.readouterr().out


def test_a_damaged_file_is_a_failure_with_words(
    job: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(FOLDER) / "0.gz").write_bytes(b"no gzip at all")
    assert run() == 1
    assert capsys.readouterr().err
    assert not job.added


@pytest.mark.parametrize("job_id", ["../x", "a b", "a:job-1/../../b", "", "a" * 65, "a:b"])
def test_no_other_job_than_one_of_batch_is_named(
    run: Run, job: Any, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    monkeypatch.setenv("AZ_BATCH_JOB_ID", job_id)
    assert run() == 2
    assert not job.requests


def test_it_is_for_a_task_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZ_BATCH_AUTHENTICATION_TOKEN", raising=False)
    assert main(["JOB-1"]) == 2
    assert main([]) == 2


def test_a_bare_python_runs_it_and_the_token_stays_unsaid(job: Any) -> None:
    write("0.gz", range(30))
    done = subprocess.run(
        [sys.executable, "-I", "-S", SCRIPT, "JOB-7f3a"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "30 tasks are in\n"
    assert "a token" not in done.stdout + done.stderr
    assert len(job.added) == 30


def test_it_needs_nothing_but_an_old_python() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))
    names = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names <= set(sys.stdlib_module_names)


def test_it_and_the_rest_of_the_program_mean_the_same() -> None:
    assert job_manager.SUBMISSION == META_SUBMISSION
    assert job_manager.COMPLETE == SUBMITTED
    assert job_manager.API_VERSION == API_VERSION
    assert job_manager.FOLDER == FOLDER
    assert job_manager.TASK == MANAGER_ID
    assert JOB.replace(":", ".") == folder_of(JOB)


@given(st.lists(st.integers(1, 1_000_000), max_size=300))
def test_collections_keep_all_tasks_in_order_within_the_limits(sizes: list[int]) -> None:
    tasks = [bytes(min(size, 900_000)) for size in sizes]
    batches = list(collections(tasks))
    assert [task for batch in batches for task in batch] == tasks
    for batch in batches:
        assert 1 <= len(batch) <= job_manager.MOST_TASKS
        assert sum(len(task) + 1 for task in batch) + 11 <= job_manager.MOST_BYTES + 11


def test_a_large_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "0.gz"
    path.write_bytes(gzip.compress(b'{"id":"1"}\n' * 3) + b"cut")
    lines = tasks_of(path, b"JOB", b"x")
    assert next(lines) == b'{"id":"1"}', "what is whole is sent before the rest is read"


# The identity of the nodes


@dataclass
class Metadata:
    """A machine's metadata service; tokens end after `life_s`."""

    url: str = ""
    life_s: int = 86_400
    busy: int = 0
    asked: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    found = Metadata()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            found.asked.append({**query, "path": parts.path, "is": self.headers["Metadata"]})
            if found.busy:
                found.busy -= 1
                self.answer(404, {"error": "not_found", "error_description": "not yet"})
                return
            if query["msi_res_id"] != "/nodes":
                said = "Identity not found"
                self.answer(400, {"error": "invalid_request", "error_description": said})
                return
            token = f"token-{len(found.asked)}"
            ends = str(int(time.time()) + found.life_s)
            self.answer(200, {"access_token": token, "expires_on": ends})

        def answer(self, status: int, value: dict[str, str]) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", found.url)
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_nodes_identity_is_asked_for_once_for_many_collections(
    job: Any, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZ_BATCH_AUTHENTICATION_TOKEN")
    write("0.gz", range(1_000))
    assert main(["JOB-7f3a", "/nodes"], lambda _s: None) == 0
    assert len(job.added) == 1_000
    assert metadata.asked == [
        {
            "api-version": "2018-02-01",
            "resource": "https://batch.core.windows.net/",
            "msi_res_id": "/nodes",
            "path": "/metadata/identity/oauth2/token",
            "is": "true",
        }
    ]


def test_a_token_is_renewed_before_it_ends(metadata: Metadata) -> None:
    metadata.life_s = job_manager.RENEWED_S - 1
    client = job_manager.Client(direct=True, pause=lambda _s: None)
    tokens = job_manager.Tokens("", "/nodes", client)
    assert [tokens.get(), tokens.get()] == ["token-1", "token-2"]
    metadata.life_s = 3_600
    assert [tokens.get(), tokens.get()] == ["token-3", "token-3"]


def test_a_metadata_service_that_is_not_there_yet_is_waited_for(
    job: Any, metadata: Metadata, pauses: list[float]
) -> None:
    metadata.busy = 2
    write("0.gz", range(3))
    assert main(["JOB-7f3a", "/nodes"], pauses.append) == 0
    assert len(pauses) == 2
    assert len(job.added) == 3


def test_an_identity_that_the_node_does_not_have_is_named(
    job: Any, metadata: Metadata, capsys: pytest.CaptureFixture[str]
) -> None:
    write("0.gz", range(3))
    assert main(["JOB-7f3a", "/other"], lambda _s: None) == 1
    assert "invalid_request: Identity not found" in capsys.readouterr().err
    assert metadata.asked
    assert not job.added
