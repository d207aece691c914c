"""Adds the tasks of the job that it runs in: the job manager task of a scheduled job.

Runs on a node, with nothing but its Python's standard library (3.8 or later), beside the
files that `jobs.task_files` wrote: `tasks/*.jsonl.gz`, a task a line. Files are sent one
after the other, so that a task is in after all that it waits for; within a file, several
collections of 100 tasks at most are on their way at once.

It is the nodes' identity that adds them: a token for Batch from the machine's metadata
service. Where keys are used instead, which is the emulator on a laptop, it is the task's own
token for its job, `AZ_BATCH_AUTHENTICATION_TOKEN`, which accounts in Azure no longer give.
Whatever happens to a request, a task is counted only when the service said so: `success`,
or `TaskExists`, for only this task writes to the job. So a manager task that was cut short
and runs again adds what is missing and nothing twice.

    python3 job_manager.py PLACEHOLDER [IDENTITY]

PLACEHOLDER is what the tasks have where the job's folder belongs, IDENTITY the resource id
of the identity. What it says is also in `log/FOLDER/manager/`: a job's specification names one
place in storage for all runs, so that the way below it must tell them apart.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import random
import re
import sys
import threading
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
LOG = "log"
TASK = "manager"
IN_FLIGHT = 8
MOST_TASKS = 100
MOST_BYTES = 1_000_000
ATTEMPTS = 12
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
TIMEOUT_S = 120
METADATA_URL = "http://169.254.169.254"
METADATA_PATH = "/metadata/identity/oauth2/token"
METADATA_VERSION = "2018-02-01"
AUDIENCE = "https://batch.core.windows.net/"
RENEWED_S = 300
_UNREADY = frozenset({404, 410})
"""What the metadata service says while it is not there yet."""
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


class Client:
    """Asks again where that may help. Threads may share it."""

    def __init__(self, *, direct: bool, pause: Callable[[float], None]) -> None:
        """`direct`: past any proxy."""
        self._pause = pause
        proxies = urllib.request.ProxyHandler({} if direct else None)
        self._open = urllib.request.build_opener(proxies).open

    def ask(
        self, request: Callable[[], urllib.request.Request], busy: frozenset[int] = _BUSY
    ) -> Any:
        """Sends a request, made anew each time, until it is answered for good; its JSON.

        Raises:
            RefusedError: The service refuses.
            ManagerError: It does not answer within the attempts.
        """
        for attempt in range(1, ATTEMPTS + 1):
            asked: str | None = None
            try:
                with self._open(request(), timeout=TIMEOUT_S) as answer:
                    content = answer.read()
                return json.loads(content) if content else None
            except urllib.error.HTTPError as error:
                refused = _said(error)
                if error.code not in busy:
                    raise refused from None
                problem, asked = str(refused), error.headers.get("Retry-After")
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem = f"{type(error).__name__}: {error}"
            if attempt < ATTEMPTS:
                self.pause(attempt, asked)
        raise ManagerError(f"the service gave no answer in {ATTEMPTS} attempts: {problem}")

    def pause(self, attempt: int, asked: str | None = None) -> None:
        """Waits before another attempt: full jitter, and what the service asks for at least."""
        bound = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempt - 1))
        draw = random.random()  # noqa: S311 - jitter
        try:
            least = max(0.0, float(asked or 0))
        except ValueError:
            least = 0.0
        self._pause(min(LONGEST_WAIT_S, least + draw * bound))


class Tokens:
    """The token of a request: the task's own, or the identity's, renewed before it ends."""

    def __init__(self, given: str, identity: str, client: Client) -> None:
        """Takes the task's own token, else empty, and the identity's resource id, else empty."""
        self._given = given
        self._identity = identity
        self._client = client
        self._token = ""
        self._ends = 0.0
        self._lock = threading.Lock()

    def get(self) -> str:
        """A token that is good for minutes yet.

        Raises:
            ManagerError: There is none to be had.
        """
        if self._given:
            return self._given
        with self._lock:
            if time.time() > self._ends - RENEWED_S:
                found = self._client.ask(self._request, _BUSY | _UNREADY)
                self._token = str(found["access_token"])
                self._ends = float(found["expires_on"])
            return self._token

    def _request(self) -> urllib.request.Request:
        # azure-identity takes the host from this variable, too; in Azure it is not set.
        host = os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", METADATA_URL)
        query = urllib.parse.urlencode(
            {
                "api-version": METADATA_VERSION,
                "resource": AUDIENCE,
                "msi_res_id": self._identity,
            }
        )
        return urllib.request.Request(  # noqa: S310 - the machine's own metadata service
            f"{host.rstrip('/')}{METADATA_PATH}?{query}", headers={"Metadata": "true"}
        )


class Job:
    """The job that the task is in. Threads may share it."""

    def __init__(self, url: str, job_id: str, token: Callable[[], str], client: Client) -> None:
        """Takes the account's URL, the job's id, and what gives a token for it."""
        self._path = f"{url.rstrip('/')}/jobs/{urllib.parse.quote(job_id, safe='')}"
        self._token = token
        self._client = client
        self.pause = client.pause

    def call(self, method: str, what: str, body: bytes | None = None) -> Any:
        """As `Client.ask`, of the job."""

        def request() -> urllib.request.Request:
            made = urllib.request.Request(  # noqa: S310 - the account's own URL, from Batch
                f"{self._path}{what}?api-version={API_VERSION}", data=body, method=method
            )
            made.add_header("Authorization", f"Bearer {self._token()}")
            made.add_header("Accept", "application/json")
            made.add_header("Content-Type", "application/json; odata=minimalmetadata")
            return made

        return self._client.ask(request)


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


class Log:
    """What is said, to the task's own streams and to files of the job's own."""

    def __init__(self, folder: str) -> None:
        """Takes the name of the job's folder."""
        self._place = Path(LOG) / folder / TASK
        self._place.mkdir(parents=True, exist_ok=True)

    def note(self, text: str) -> None:
        """What was done."""
        print(text, flush=True)
        self._keep("stdout.txt", text)

    def complain(self, text: object) -> None:
        """What went wrong."""
        print(text, file=sys.stderr)
        self._keep("stderr.txt", str(text))

    def _keep(self, name: str, text: str) -> None:
        # a disk that is full is bad enough without another error
        with contextlib.suppress(OSError), (self._place / name).open("a", encoding="utf-8") as to:
            to.write(f"{text}\n")


def say_complete(job: Job) -> None:
    """Notes in the job that all its tasks are in."""
    metadata: list[dict[str, str]] = job.call("GET", "").get("metadata") or []
    others = [item for item in metadata if item["name"] != SUBMISSION]
    members = {"metadata": [*others, {"name": SUBMISSION, "value": COMPLETE}]}
    job.call("PATCH", "", json.dumps(members).encode())


def main(arguments: list[str], pause: Callable[[float], None] = time.sleep) -> int:
    """Adds all tasks; the exit code."""
    try:
        placeholder, identity = (*arguments, "")[:2]
        job_id, url = (os.environ[f"AZ_BATCH_{name}"] for name in ("JOB_ID", "ACCOUNT_URL"))
        given = "" if identity else os.environ["AZ_BATCH_AUTHENTICATION_TOKEN"]
    except (KeyError, ValueError) as error:
        print(f"this is for a job manager task alone: {error!r}", file=sys.stderr)
        return 2
    if _JOB_ID.fullmatch(job_id) is None:
        print(f"{job_id!r} is no job's id", file=sys.stderr)
        return 2
    tokens = Tokens(given, identity, Client(direct=True, pause=pause))
    own = urllib.parse.urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
    job = Job(url, job_id, tokens.get, Client(direct=own, pause=pause))
    folder = job_id.replace(":", ".")
    log = Log(folder)
    added = 0
    try:
        for path in sorted(Path(FOLDER).iterdir()):
            added += add_all(job, tasks_of(path, placeholder.encode(), folder.encode()))
            log.note(f"{added} tasks are in")
        say_complete(job)
    except RefusedError as error:
        log.complain(error)
        if error.closed:
            log.note("the job takes no more tasks: it is over")
            return 0
        return 1
    except (ManagerError, OSError, EOFError) as error:
        log.complain(error)
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
        if "error_description" in content:  # the metadata service's form
            return RefusedError(str(content["error"]), str(content["error_description"]))
        text = str((content.get("message") or {}).get("value", "")).splitlines()
        return RefusedError(str(content["code"]), text[0] if text else "")
    except (OSError, http.client.HTTPException, ValueError, KeyError, AttributeError):
        return RefusedError(f"HTTP {error.code}", str(error.reason))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
