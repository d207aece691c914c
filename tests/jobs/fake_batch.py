# ruff: noqa: C901, PLR0911 - a route table branches and returns once for each route
"""A Batch account in a page, for what the emulator cannot do on command: answers that are
lost after the work was done, refusals in a row, items that fail. It runs no tasks."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        status: Answered in place of the work, unless `after_work`.
        headers: Of that answer.
        code: Error code of that answer.
        after_work: Whether the work is done nevertheless.
        drop: Whether the connection breaks in place of an answer.
        cut: Whether the answer breaks off in its middle.
    """

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    code: str = "ServerBusy"
    after_work: bool = False
    drop: bool = False
    cut: bool = False


@dataclass
class FakeBatch:
    """State of the account; `fault` is asked for each request (method, path, number)."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)
    pools: set[str] = field(default_factory=lambda: {"pool-cpu"})
    added: Counter[str] = field(default_factory=Counter)
    requests: list[str] = field(default_factory=list)
    fault: Callable[[str, str, int], Fault | None] = lambda _method, _path, _number: None
    item_fault: Callable[[str], dict[str, Any] | None] = lambda _task_id: None
    page: int = 1000
    max_body: int = 1_048_576
    url: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def complete(
        self, job_id: str, task_id: str, *, exit_code: int = 0, node: str = "n_d"
    ) -> None:
        """Lets a task end."""
        now = _now()
        with self._lock:
            self.tasks[job_id][task_id] |= {
                "state": "completed",
                "stateTransitionTime": now,
                "executionInfo": {
                    "startTime": now,
                    "endTime": now,
                    "exitCode": exit_code,
                    "result": "success" if exit_code == 0 else "failure",
                    "retryCount": 0,
                    "requeueCount": 0,
                },
                "nodeInfo": {"nodeId": node},
            }

    def age(self, job_id: str) -> None:
        """Makes a job, and its tasks, older than anybody takes to submit the next ones."""
        for one in (self.jobs[job_id], *self.tasks[job_id].values()):
            one["creationTime"] = "2026-01-01T00:00:00.000000Z"

    def answer(self, method: str, raw: str, body: bytes) -> tuple[int, Any]:
        """Carries a request out."""
        parts = urlsplit(raw)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = [unquote(part) for part in parts.path.strip("/").split("/")]
        with self._lock:
            match method, path:
                case "GET", ["pools", pool]:
                    return (200, self._pool(pool)) if pool in self.pools else _no("Pool")
                case "GET", ["pools"]:
                    return 200, {"value": [self._pool(pool) for pool in sorted(self.pools)]}
                case "GET", ["nodecounts"]:
                    return 200, {"value": []}
                case _, ["jobschedules", *rest]:
                    return self._schedule(method, rest, body)
                case "POST", ["jobs"]:
                    return self._add_job(json.loads(body))
                case "GET", ["jobs"]:
                    return 200, {"value": list(self.jobs.values())}
                case _, ["jobs", job, *rest] if job in self.jobs:
                    return self._in_job(method, job, rest, query, body)
                case _, ["jobs", *_]:
                    return _no("Job")
        return 501, _error("NotImplemented", raw)

    def _in_job(
        self, method: str, job: str, rest: list[str], query: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        match method, rest:
            case "GET", []:
                return 200, self.jobs[job]
            case "PATCH", []:
                self.jobs[job] |= json.loads(body)
                return 200, None
            case "DELETE", []:
                del self.jobs[job]
                return 202, None
            case "POST", ["enable"]:
                if self.jobs[job]["state"] not in {"disabled", "disabling"}:
                    return 409, _error("JobNotDisabled", "The job is not disabled.")
                self.jobs[job]["state"] = "active"
                return 202, None
            case "GET", ["taskcounts"]:
                states = Counter(task["state"] for task in self.tasks[job].values())
                results = Counter(
                    task["executionInfo"]["result"]
                    for task in self.tasks[job].values()
                    if task["state"] == "completed"
                )
                counts = {state: states[state] for state in ("active", "running", "completed")}
                counts |= {"succeeded": results["success"], "failed": results["failure"]}
                return 200, {"taskCounts": counts, "taskSlotCounts": counts}
            case "POST", ["addtaskcollection"]:
                if len(body) > self.max_body:
                    return 413, _error("RequestBodyTooLarge", "too large")
                return 200, {"value": [self._add(job, t) for t in json.loads(body)["value"]]}
            case "GET", ["tasks"]:
                return 200, self._list(job, query)
            case "GET", ["tasks", task] if task in self.tasks[job]:
                return 200, self.tasks[job][task]
        return _no("Task")

    def _pool(self, pool: str) -> dict[str, Any]:
        return {"id": pool, "state": "active", "allocationState": "steady"}

    def _add_job(self, job: dict[str, Any]) -> tuple[int, Any]:
        if job["id"] in self.jobs:
            return 409, _error("JobExists", "The specified job already exists.")
        self.jobs[job["id"]] = job | {"state": "active", "creationTime": _now()}
        self.tasks[job["id"]] = {}
        return 201, None

    def _schedule(self, method: str, rest: list[str], body: bytes) -> tuple[int, Any]:
        match method, rest:
            case "POST", []:
                new = json.loads(body)
                if new["id"] in self.schedules:
                    return 409, _error("JobScheduleExists", "The schedule already exists.")
                self.schedules[new["id"]] = new | {"state": "active", "creationTime": _now()}
                return 201, None
            case "GET", []:
                return 200, {"value": list(self.schedules.values())}
            case ("PATCH", [schedule]) | ("POST", [schedule, "disable" | "enable"]) if (
                self.schedules.get(schedule, {}).get("state") == "completed"
            ):
                return 409, _error("JobScheduleCompleted", "The schedule is completed.")
            case "GET", [schedule] if schedule in self.schedules:
                return 200, self.schedules[schedule]
            case "PATCH", [schedule] if schedule in self.schedules:
                self.schedules[schedule] |= json.loads(body)
                return 200, None
        return _no("JobSchedule")

    def _add(self, job: str, task: dict[str, Any]) -> dict[str, Any]:
        if fault := self.item_fault(task["id"]):
            return {"taskId": task["id"], **fault}
        if task["id"] in self.tasks[job]:
            error = _error("TaskExists", "The specified task already exists.")
            return {"taskId": task["id"], "status": "ClientError", "error": error}
        now = _now()
        self.added[task["id"]] += 1
        self.tasks[job][task["id"]] = task | {
            "state": "active",
            "creationTime": now,
            "stateTransitionTime": now,
            "executionInfo": {},
        }
        return {"taskId": task["id"], "status": "Success"}

    def _list(self, job: str, query: dict[str, str]) -> dict[str, Any]:
        tasks = sorted(self.tasks[job].values(), key=lambda task: task["id"])
        wanted = query.get("$filter", "")
        if state := re.search(r"state eq '(\w+)'", wanted):
            tasks = [task for task in tasks if task["state"] == state[1]]
        if since := re.search(r"stateTransitionTime ge DateTime'([^']+)'", wanted):
            tasks = [task for task in tasks if task["stateTransitionTime"] >= since[1]]
        if created := re.search(r"creationTime ge DateTime'([^']+)'", wanted):
            tasks = [task for task in tasks if task["creationTime"] >= created[1]]
        if ids := re.search(r"id ge '([^']+)' and id le '([^']+)'", wanted):
            tasks = [task for task in tasks if ids[1] <= task["id"] <= ids[2]]
        start = int(query.get("$skiptoken", 0))
        answer: dict[str, Any] = {"value": tasks[start : start + self.page]}
        if start + self.page < len(tasks):
            answer["odata.nextLink"] = (
                f"{self.url}/jobs/{job}/tasks?api-version=2025-06-01"
                f"&$filter={wanted.replace(' ', '%20')}&$skiptoken={start + self.page}"
            )
        return answer


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _error(code: str, text: str) -> dict[str, Any]:
    return {"code": code, "message": {"lang": "en-US", "value": f"{text}\nRequestId:0\nTime:0"}}


def _no(kind: str) -> tuple[int, Any]:
    return 404, _error(f"{kind}NotFound", f"The specified {kind.lower()} does not exist.")


@contextmanager
def serving(batch: FakeBatch) -> Iterator[FakeBatch]:
    """Serves an account on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle(self) -> None:
            with suppress(ConnectionError):  # of who hung up no other test's output is to tell
                super().handle()

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with batch._lock:
                batch.requests.append(f"{self.command} {self.path}")
                number = len(batch.requests)
            fault = batch.fault(self.command, urlsplit(self.path).path, number)
            status, value = 0, None
            if fault is None or fault.after_work:
                status, value = batch.answer(self.command, self.path, body)
            if fault is not None and fault.drop:
                self.close_connection = True
                return
            headers = {}
            if fault is not None and not fault.cut:
                status, value, headers = fault.status, _error(fault.code, "busy"), fault.headers
            data = b"" if value is None else json.dumps(value).encode()
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            if data:
                self.send_header("Content-Type", "application/json;odata=minimalmetadata")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if fault is not None and fault.cut:
                data = data[: len(data) // 2]
                self.close_connection = True
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    batch.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield batch
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
