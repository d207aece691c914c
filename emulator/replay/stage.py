"""An emulator in this process, without a port, whose time only the player moves.

Requests go through the whole application, authentication included. Tasks run without a
process: `exit N` in the command line is their exit code, else 0.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from emulator.clock import ManualClock, seconds, to_datetime
from emulator.nodes.directories import make_node, node_root, task_root
from emulator.nodes.failures import failure
from emulator.nodes.interface import (
    FailureInfo,
    NodeFacts,
    PackageFacts,
    TaskLaunch,
    TaskOutcome,
)
from emulator.server import Server
from emulator.service.auth import sign, string_to_sign

ACCOUNT = "replay"
HOST = "batch.emulator"
_KEY = b"signs requests within this process only"
_ROUNDS = 25
"""Of the event loop: more than a simulated task needs to start, to end and to be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """The JSON body, or the text, or None."""
        if not self.content:
            return None
        if "json" in self.headers.get("content-type", ""):
            return orjson.loads(self.content)
        return self.content.decode("utf-8", "replace")


class InstantRunner:
    """A node runner whose tasks take no longer than their command says: `sleep N`."""

    def __init__(self, root: Path, clock: ManualClock) -> None:
        self._root = root
        self._clock = clock

    def node_directory(self, node: NodeFacts) -> Path:
        """The node's root."""
        return node_root(self._root, node)

    def task_directory(self, launch: TaskLaunch) -> Path:
        """Of a task on its node."""
        return task_root(self._root, launch)

    async def add_node(self, node: NodeFacts) -> None:
        """Makes the node's directories."""
        make_node(self.node_directory(node))

    async def deploy(
        self, node: NodeFacts, packages: Sequence[PackageFacts]
    ) -> FailureInfo | None:
        """Brings nothing."""
        del node, packages
        return None

    async def remove_node(self, node: NodeFacts) -> None:
        """Removes them."""
        shutil.rmtree(self.node_directory(node), ignore_errors=True)

    async def run_task(
        self, launch: TaskLaunch, started: Callable[[datetime], None]
    ) -> TaskOutcome:
        """Runs nothing."""
        directory = self.task_directory(launch)
        (directory / "wd").mkdir(parents=True, exist_ok=True)
        command = str(launch.task.get("commandLine", ""))
        said = re.search(r"echo (.*?)\"?$", command)
        (directory / "stdout.txt").write_text(f"{said[1]}\r\n" if said else "")
        (directory / "stderr.txt").write_text("")
        begin = to_datetime(self._clock.now())
        started(begin)
        await self._pass(command)
        found = re.search(r"\bexit (?:/b )?(\d+)", command)
        code = int(found[1]) if found else 0
        return TaskOutcome(
            start_time=begin,
            end_time=to_datetime(self._clock.now()),
            exit_code=code,
            failure=failure("FailureExitCode") if code else None,
        )

    async def _pass(self, command: str) -> None:
        """Waits as long as a command says that it waits."""
        lasting = re.search(r"\b(?:sleep |timeout /t |ping .*-n )(\d+)", command)
        if lasting:
            over = asyncio.Event()
            self._clock.call_at(self._clock.now() + seconds(int(lasting[1])), over.set)
            await over.wait()

    async def remove_task(self, launch: TaskLaunch) -> None:
        """Removes its directory."""
        shutil.rmtree(self.task_directory(launch), ignore_errors=True)

    async def upload(
        self,
        node: NodeFacts,
        files: Mapping[str, Path],
        container_url: str,
        identity: Mapping[str, Any] | None,
    ) -> None:
        """Uploads nothing."""

    async def close(self) -> None:
        """Has nothing to end."""


class Stage:
    """One emulator with one empty account."""

    def __init__(self, server: Server, clock: ManualClock) -> None:
        self.server = server
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path) -> AsyncIterator[Stage]:
        """An emulator for as long as the block takes.

        Args:
            directory: For the nodes' files.
        """
        clock = ManualClock()
        server = Server(data=None, clock=clock, runner=InstantRunner(directory, clock))
        server.base_url = f"https://{HOST}"
        server.add_account(ACCOUNT, _KEY)
        await server.start()
        try:
            yield cls(server, clock)
        finally:
            await server.close()

    async def advance(self, wait_s: float) -> None:
        """Lets time pass, and whatever falls due be done."""
        self._clock.advance(wait_s)
        await self.settle()

    async def settle(self) -> None:
        """Lets be done what is due now."""
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    def write_file(self, path: str, content: Any) -> None:
        """Makes the file of a node or a task that a path names, if it is not there yet.

        Args:
            path: Of the request.
            content: The file's; what is no text counts as empty.
        """
        owner, _, name = urlsplit(path).path.partition("/files/")
        steps = owner.strip("/").split("/")
        host = self.server.host(ACCOUNT)
        try:
            if steps[0] == "jobs":
                job = host.world.jobs[steps[1].lower()]
                root = host.task_directory(job.tasks[steps[3].lower()])
            else:
                root = host.node_directory(host.world.pools[steps[1].lower()].nodes[steps[3]])
        except LookupError:
            return
        file = root / unquote(name)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content if isinstance(content, str) else "", newline="")

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str = "2025-06-01",
        headers: Mapping[str, str] | None = None,
        account: str = ACCOUNT,
    ) -> Answer:
        """Sends a signed request through the application.

        Args:
            method: Upper case.
            path: Still percent-encoded, with the query.
            body: Becomes JSON; None for none.
            version: The api-version.
            headers: Further ones, names in lower case.
            account: Who claims to sign.
        """
        content = b"" if body is None else orjson.dumps(body)
        sent = {"host": HOST, "ocp-date": "Mon, 05 Jan 2026 12:00:00 GMT", **(headers or {})}
        if content:
            sent["content-type"] = "application/json; odata=minimalmetadata"
            sent["content-length"] = str(len(content))
        raw_path, _, query = path.partition("?")
        query = f"{query}&api-version={version}".lstrip("&")
        text = string_to_sign(
            method=method,
            account=account,
            raw_path=raw_path,
            query=parse_qsl(query),
            headers=sent,
        )
        sent["authorization"] = f"SharedKey {account}:{sign(_KEY, text)}"
        answer = await self._call(method, raw_path, query, sent, content)
        await self.settle()
        return answer

    async def _call(
        self, method: str, path: str, query: str, headers: Mapping[str, str], content: bytes
    ) -> Answer:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(n.encode(), v.encode("latin-1")) for n, v in headers.items()],
            "server": (HOST, 443),
            "client": ("127.0.0.1", 0),
        }
        status, found, chunks = 0, {}, []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal status, found
            if message["type"] == "http.response.start":
                status = message["status"]
                found = {n.decode().lower(): v.decode("latin-1") for n, v in message["headers"]}
            else:
                chunks.append(message.get("body", b""))

        await self.server.app(scope, receive, send)
        return Answer(status=status, headers=found, content=b"".join(chunks))
