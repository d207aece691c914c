"""Adds the tasks of the job that it runs in: the job manager task of a scheduled job.

Runs on a node, with nothing but its Python's standard library (3.8 or later), beside the
files that `jobs.task_files` wrote: `tasks/*.jsonl.gz`, a task a line. Files are sent one
after the other, so that a task is in after all that it waits for; within a file, several
collections of 100 tasks at most are on their way at once.

It signs with the token that Batch gives the task for its own job, and no other way.
Whatever happens to a request, a task is counted only when the service said so: `success`,
or `TaskExists`, for only this task writes to the job. So a manager task that was cut short
and runs again adds what is missing and nothing twice.

    python3 job_manager.py PLACEHOLDER

PLACEHOLDER is what the tasks have where the job's folder belongs.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import random
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

API_VERSION = "2025-06-01"
SUBMISSION = "jobs.submission"
COMPLETE = "complete"
FOLDER = "tasks"
IN_FLIGHT = 8
MOST_TASKS = 100
MOST_BYTES = 1_000_000
ATTEMPTS = 12
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
TIMEOUT_S = 120
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_CLOSED = frozenset({"JobCompleted", "JobBeingTerminated", "JobBeingDeleted"})
_HEAD, _TAIL = b'{"value":[', b"]}"
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}(?::job-[0-9]{1,10})?")


class ManagerError(Exception):
    """The tasks cannot be added; the text says why."""


class RefusedError(ManagerError):
    """The service refused a request. `code` is its own, `closed` whether the job is over."""

    def __init__(self, code: str, message: str) -> None:
        """Takes the service's code and words."""
        self.code = code
        self.closed = code in _CLOSED
        super().__init__(f"{code}: {message}")


class Job:
    """The job, as its own task may reach it. Threads may share it."""

    def __init__(
        self, url: str, job_id: str, token: str, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Takes the account's URL, the job's id and the task's token."""
        self._path = f"{url.rstrip('/')}/jobs/{urllib.parse.quote(job_id, safe='')}"
        self._token = token
        self._pause = pause
        own = urllib.parse.urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
        proxies = urllib.request.ProxyHandler({} if own else None)
        self._open = urllib.request.build_opener(proxies).open

    def call(self, method: str, what: str, body: bytes | None = None) -> Any:
        """Sends a request until it is answered for good; the JSON of the answer.

        Raises:
            RefusedError: The service refuses.
            ManagerError: It does not answer within the attempts.
        """
        for attempt in range(1, ATTEMPTS + 1):
            asked: str | None = None
            try:
                return self._once(method, what, body)
            except urllib.error.HTTPError as error:
                refused = _said(error)
                if error.code not in _BUSY:
                    raise refused from None
                problem, asked = str(refused), error.headers.get("Retry-After")
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem = f"{type(error).__name__}: {error}"
            if attempt < ATTEMPTS:
                self.pause(attempt, asked)
        raise ManagerError(f"the service gave no answer in {ATTEMPTS} attempts: {problem}")

    def _once(self, method: str, what: str, body: bytes | None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the account's own URL, from Batch
            f"{self._path}{what}?api-version={API_VERSION}", data=body, method=method
        )
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Accept", "application/json")
        request.add_header("Content-Type", "application/json; odata=minimalmetadata")
        with self._open(request, timeout=TIMEOUT_S) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def pause(self, attempt: int, asked: str | None = None) -> None:
        """Waits before another attempt: full jitter, and what the service asks for at least."""
        bound = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempt - 1))
        draw = random.random()  # noqa: S311 - jitter
        try:
            least = max(0.0, float(asked or 0))
        except ValueError:
            least = 0.0
        self._pause(min(LONGEST_WAIT_S, least + draw * bound))


def add(job: Job, tasks: list[bytes]) -> int:
    """Adds one collection, until each of its tasks is known to be in; how many.

    Raises:
        ManagerError: A task is refused, or fails again and again.
    """
    pending = tasks
    attempt = 0
    while pending:
        attempt += 1
        try:
            body = _HEAD + b",".join(pending) + _TAIL
            answer = job.call("POST", "/addtaskcollection", body)
        except RefusedError as error:
            if error.code != "RequestBodyTooLarge" or len(pending) == 1:
                raise
            middle = len(pending) // 2
            add(job, pending[:middle])
            add(job, pending[middle:])
            break
        pending = _left(pending, answer["value"])
        if pending and attempt >= ATTEMPTS:
            raise ManagerError(f"the service failed {len(pending)} tasks {attempt} times")
        if pending:
            job.pause(attempt)
    return len(tasks)


def add_all(job: Job, tasks: Iterable[bytes]) -> int:
    """Adds tasks, a bounded number of collections at a time; how many.

    Raises:
        ManagerError: As `add`; the first one ends it.
    """
    added = 0
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        flying: set[Future[int]] = set()
        try:
            for batch in collections(tasks):
                if len(flying) >= IN_FLIGHT:
                    done, flying = wait(flying, return_when=FIRST_COMPLETED)
                    added += sum(future.result() for future in done)
                flying.add(pool.submit(add, job, batch))
            added += sum(future.result() for future in flying)
        finally:
            for future in flying:
                future.cancel()
    return added


def collections(tasks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cuts tasks, in order, into collections within the service's limits."""
    batch: list[bytes] = []
    size = len(_HEAD) + len(_TAIL)
    for task in tasks:
        if batch and (len(batch) >= MOST_TASKS or size + len(task) + 1 > MOST_BYTES):
            yield batch
            batch, size = [], len(_HEAD) + len(_TAIL)
        batch.append(task)
        size += len(task) + 1
    if batch:
        yield batch


def tasks_of(path: Path, placeholder: bytes, folder: bytes) -> Iterator[bytes]:
    """The tasks of a file, with the job's folder in its place."""
    with gzip.open(path, "rb") as stream:
        for line in stream:
            yield line.rstrip(b"\n").replace(placeholder, folder)


def say_complete(job: Job) -> None:
    """Notes in the job that all its tasks are in."""
    metadata: list[dict[str, str]] = job.call("GET", "").get("metadata") or []
    others = [item for item in metadata if item["name"] != SUBMISSION]
    members = {"metadata": [*others, {"name": SUBMISSION, "value": COMPLETE}]}
    job.call("PATCH", "", json.dumps(members).encode())


def main(arguments: list[str], pause: Callable[[float], None] = time.sleep) -> int:
    """Adds all tasks; the exit code."""
    try:
        (placeholder,) = arguments
        job_id, url, token = (
            os.environ[f"AZ_BATCH_{name}"]
            for name in ("JOB_ID", "ACCOUNT_URL", "AUTHENTICATION_TOKEN")
        )
    except (KeyError, ValueError) as error:
        print(f"this is for a job manager task alone: {error!r}", file=sys.stderr)
        return 2
    if _JOB_ID.fullmatch(job_id) is None:
        print(f"{job_id!r} is no job's id", file=sys.stderr)
        return 2
    job = Job(url, job_id, token, pause)
    folder = job_id.replace(":", ".").encode()
    added = 0
    try:
        for path in sorted(Path(FOLDER).iterdir()):
            added += add_all(job, tasks_of(path, placeholder.encode(), folder))
            print(f"{added} tasks are in", flush=True)
        say_complete(job)
    except RefusedError as error:
        print(error, file=sys.stderr)
        if error.closed:
            print("the job takes no more tasks: it is over", flush=True)
            return 0
        return 1
    except (ManagerError, OSError, EOFError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _left(sent: list[bytes], results: list[dict[str, Any]]) -> list[bytes]:
    """The tasks that must be sent again.

    Raises:
        ManagerError: One is refused.
    """
    by_id = {result["taskId"]: result for result in results}
    left = []
    for task in sent:
        result = by_id.get(json.loads(task)["id"], {})
        status = str(result.get("status", "")).lower()
        error = result.get("error") or {}
        if status == "success" or error.get("code") == "TaskExists":
            continue
        if status == "clienterror":
            text = str((error.get("message") or {}).get("value", "")).splitlines()
            raise ManagerError(
                f"task {result['taskId']}: {error.get('code')}: {text[0] if text else ''}"
            )
        left.append(task)
    return left


def _said(error: urllib.error.HTTPError) -> RefusedError:
    """The service's own error."""
    try:
        content = json.loads(error.read())
        text = str((content.get("message") or {}).get("value", "")).splitlines()
        return RefusedError(str(content["code"]), text[0] if text else "")
    except (OSError, http.client.HTTPException, ValueError, KeyError, AttributeError):
        return RefusedError(f"HTTP {error.code}", str(error.reason))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
