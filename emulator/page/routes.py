"""What the page asks for: three files, the overview, and the things that one can click on.

GET /_emulator/                                       the page; `/_emulator` leads there
GET /_emulator/page.css, /_emulator/page.js           its parts
GET /_emulator/overview                               every account (`summary.account`)
GET /_emulator/accounts/A/jobs/J/tasks?group=G        the newest tasks of a job
GET /_emulator/accounts/A/jobs/J/tasks/T              a task
GET /_emulator/accounts/A/jobs/J/tasks/T/output/F     what it wrote to stdout or stderr
GET /_emulator/accounts/A/pools/P/nodes/N             a node

An overview that did not change is answered by 304, so a page that is left open costs
next to nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from emulator.admin_answers import Handler, Wrong, answering, known_account
from emulator.engine import jobs, nodes, pools, tasks
from emulator.engine.task_specs import spec_of
from emulator.engine.world import Job, Task
from emulator.page import summary
from emulator.service.call import Host
from emulator.service.files import open_regular, task_file

PATH = "/_emulator/"
OUTPUT_BYTES = 65_536
"""Of a task's output that one answer holds."""

_HERE = Path(__file__).parent
_FILES = {"": "index.html", "page.css": "page.css", "page.js": "page.js"}
"""By their paths below `PATH`."""
_OUTPUTS = frozenset({"stdout.txt", "stderr.txt"})
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Accounts(Protocol):
    """The accounts behind the page."""

    def accounts(self) -> Mapping[str, bytes]:
        """Account name → key."""
        ...

    def host(self, account: str) -> Host:
        """The driver of an account that there is."""
        ...


class Page:
    """The handlers over the accounts."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def routes(self) -> list[Route]:
        """What the module's docstring lists."""
        job = "accounts/{account}/jobs/{job}"
        handlers: tuple[tuple[str, Handler], ...] = (
            ("overview", self._overview),
            (f"{job}/tasks", self._tasks),
            (f"{job}/tasks/{{task}}", self._task),
            (f"{job}/tasks/{{task}}/output/{{file}}", self._output),
            ("accounts/{account}/pools/{pool}/nodes/{node}", self._node),
        )
        return [
            Route(PATH.rstrip("/"), _to_page),
            *(_file(path, name) for path, name in _FILES.items()),
            *(Route(f"{PATH}{path}", answering(handler, _HEADERS)) for path, handler in handlers),
        ]

    async def _overview(self, request: Request) -> Response:
        names = sorted(self._accounts.accounts())
        content = orjson.dumps(
            [summary.account(self._accounts.host(name).world) for name in names]
        )
        tag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
        headers = {**_HEADERS, "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type="application/json")

    async def _tasks(self, request: Request) -> Response:
        asked = request.query_params.get("group", "all")
        group = next((known for known in summary.TASK_GROUPS if known == asked), None)
        if group is None:
            raise Wrong(400, f"group: not {asked[:40]!r} but one of {summary.TASK_GROUPS}")
        return _json(summary.tasks(self._find_job(request), group))

    async def _task(self, request: Request) -> Response:
        task = self._find_task(request)
        return _json(summary.task(task, spec_of(task)))

    async def _output(self, request: Request) -> Response:
        """From byte `from` on, which counts from the end when it is negative.

        `X-Start` and `X-Size` tell where the answer begins and how much there is by now.
        """
        task, name = self._find_task(request), request.path_params["file"]
        if name not in _OUTPUTS:
            raise Wrong(404, f"there is no output {name[:40]!r}: {sorted(_OUTPUTS)}")
        try:
            start = int(request.query_params.get("from", "0"))
        except ValueError:
            raise Wrong(400, "from: a number of bytes") from None
        path = task_file(self._host(request), task, name)
        size, start, content = await run_in_threadpool(_part, path, start)
        headers = {**_HEADERS, "X-Start": str(start), "X-Size": str(size)}
        return Response(content, headers=headers, media_type="text/plain; charset=utf-8")

    async def _node(self, request: Request) -> Response:
        host, path = self._host(request), request.path_params
        return _json(summary.node(nodes.get(host.run(pools.get, path["pool"]), path["node"])))

    def _host(self, request: Request) -> Host:
        name = known_account(self._accounts.accounts(), request.path_params["account"])
        return self._accounts.host(name)

    def _find_job(self, request: Request) -> Job:
        return self._host(request).run(jobs.get, request.path_params["job"])

    def _find_task(self, request: Request) -> Task:
        return tasks.get(self._find_job(request), request.path_params["task"])


def _part(path: Path, start: int) -> tuple[int, int, bytes]:
    """The size of a file, where its part begins, and the part.

    Raises:
        Refused: `FileNotFound`: it is no regular file; a task may make anything of its output.
    """
    with open_regular(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        start = max(0, size + start) if start < 0 else min(start, size)
        stream.seek(start)
        return size, start, stream.read(OUTPUT_BYTES)


async def _to_page(_request: Request) -> Response:
    return RedirectResponse(PATH)


def _file(path: str, name: str) -> Route:
    async def answer(_request: Request) -> Response:
        return FileResponse(_HERE / name, headers=_HEADERS)

    return Route(f"{PATH}{path}", answer)


def _json(body: object) -> Response:
    return Response(orjson.dumps(body), headers=_HEADERS, media_type="application/json")
