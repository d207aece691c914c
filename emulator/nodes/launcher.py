"""The emulator's end of the node agent: starts programs and says how they ended.

It knows nothing of tasks; see `emulator.nodes.agent` for what is behind it and why.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from emulator.processes import Program, SpawnError

_logger = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parents[2]
_LINE_LIMIT = 1 << 20
_T = TypeVar("_T")
CLOSE_TIMEOUT_S = 10.0


class AgentLostError(Exception):
    """The node agent ended, and with it every task: somebody killed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a program ended, with everything that it had started.

    Attributes:
        code: Its exit status; 128 and the number when a signal ended it.
        time: When the program itself ended (UTC).
        user_s, kernel_s: Time of the processors for it and its descendants, seconds.
        peak_bytes: Largest resident set of any of them.
        reads, writes: Calls of the system that read or wrote.
        bytes_read, bytes_written: From and to disks.
    """

    code: int
    time: datetime
    user_s: float
    kernel_s: float
    peak_bytes: int
    reads: int
    writes: int
    bytes_read: int
    bytes_written: int

    @property
    def cpu_s(self) -> float:
        """User and system time, seconds."""
        return self.user_s + self.kernel_s


_FIGURES = tuple(field.name for field in fields(Exit) if field.name not in {"code", "time"})


class Running:
    """A program that runs."""

    def __init__(self, launcher: Launcher, launch: _Launch, pid: int, time: datetime) -> None:
        self._launcher = launcher
        self._launch = launch
        self.pid = pid
        self.time = time

    async def wait(self) -> Exit:
        """Waits until it and everything it started has ended.

        Raises:
            AgentLostError: The agent ended first; the program has ended, too.
        """
        return _value(await asyncio.shield(self._launch.over))

    async def returned(self) -> int:
        """Waits until a program that was launched with `keep` has returned.

        Returns:
            Its exit status; what it started may still run.

        Raises:
            AgentLostError: The agent ended first.
        """
        return _value(await asyncio.shield(self._launch.returned))

    def stop(self, grace_s: float) -> None:
        """Asks all of it to stop (SIGTERM) and kills what still runs after the grace."""
        self._launcher.stop(self._launch.number, grace_s)

    async def end(self, grace_s: float) -> None:
        """`stop`, and returns when nothing of it is left; cancelling does not hurry it."""
        self.stop(grace_s)
        await _surely(self._launch.over)


@dataclass(frozen=True, slots=True)
class _Launch:
    """A program that was asked for; errors are values here, raised where somebody waits."""

    number: int
    begun: asyncio.Future[tuple[int, datetime] | SpawnError | AgentLostError]
    returned: asyncio.Future[int | SpawnError | AgentLostError]
    over: asyncio.Future[Exit | SpawnError | AgentLostError]


class Launcher:
    """Owns the agent; starts it with the first program, and again if it was killed.

    Args:
        end_orphans: Called, in a thread, when the agent has ended: ends what goes on of its
            programs, before anybody hears that they are lost.
    """

    def __init__(self, end_orphans: Callable[[], None] = lambda: None) -> None:
        self._end_orphans = end_orphans
        self._count = 0
        self._launches: dict[int, _Launch] = {}
        self._agent: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._unsent: list[bytes] = []
        self._reading: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def agent_pid(self) -> int | None:
        """The agent's process id while it runs."""
        return self._agent.pid if self._agent else None

    async def launch(self, program: Program, *, keep: bool = False) -> Running:
        """Starts a program.

        Args:
            program: What to start.
            keep: Whether what it leaves running when it returns runs on, until it is ended.

        Raises:
            SpawnError: It cannot be started.
            AgentLostError: The agent ended meanwhile.
        """
        await self._start()
        loop = asyncio.get_running_loop()
        self._count += 1
        launch = _Launch(
            self._count, loop.create_future(), loop.create_future(), loop.create_future()
        )
        self._launches[launch.number] = launch
        self._send({"op": "spawn", "id": launch.number, "keep": keep, **_fields(program)})
        try:
            pid, time = _value(await asyncio.shield(launch.begun))
        except asyncio.CancelledError:
            self.stop(launch.number, 0.0)
            await _surely(launch.over)
            raise
        return Running(self, launch, pid, time)

    def stop(self, number: int, grace_s: float) -> None:
        """Asks a program to stop; nothing happens if it has ended."""
        self._send({"op": "end", "id": number, "grace_s": grace_s})

    async def close(self) -> None:
        """Ends every program that runs, and the agent; starts none any more."""
        self._closed = True
        if self._starting is not None:
            await asyncio.wait([self._starting])
        if self._agent is None or self._writer is None or self._reading is None:
            return
        self._writer.close()
        try:
            await asyncio.wait_for(self._agent.wait(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            _logger.error("the node agent does not end; killing it")  # noqa: TRY400 - no trace
            self._agent.kill()
            await self._agent.wait()
        await self._reading

    async def _start(self) -> None:
        if self._closed:
            raise AgentLostError("the emulator stops")
        if self._agent is None:
            if self._starting is None or self._starting.done():
                self._starting = asyncio.create_task(self._start_agent())
            # Whoever is cancelled while he waits leaves no half of an agent to the others.
            await asyncio.shield(self._starting)

    async def _start_agent(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                agent = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-S", "-P", "-m", "emulator.nodes.agent"),
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    cwd="/",
                    env={"PYTHONPATH": str(_ROOT)},
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise SpawnError("fork", error.errno or errno.EAGAIN) from error
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LINE_LIMIT)
        self._agent, self._writer = agent, writer
        self._reading = asyncio.create_task(self._read(reader, agent, writer))

    async def _read(
        self,
        reader: asyncio.StreamReader,
        agent: asyncio.subprocess.Process,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                while line := await reader.readline():
                    self._hear(json.loads(line))
        finally:  # also where the agent spoke nonsense: nobody waits for what is lost
            writer.close()
            await agent.wait()
            try:
                await asyncio.to_thread(self._end_orphans)
            finally:
                self._lose_all()

    def _lose_all(self) -> None:
        if self._launches:
            _logger.error("the node agent ended; %d tasks ended with it", len(self._launches))
        lost = AgentLostError("the process that runs the tasks was ended")
        for launch in self._launches.values():
            _settle(launch.begun, lost)
            _settle(launch.returned, lost)
            _settle(launch.over, lost)
        self._launches.clear()
        self._agent = None

    def _hear(self, message: Mapping[str, Any]) -> None:
        launch = self._launches[message["id"]]
        if "pid" in message:
            _settle(launch.begun, (message["pid"], _moment(message)))
            return
        if "returned" in message:
            _settle(launch.returned, message["returned"])
            return
        del self._launches[launch.number]
        if "errno" in message:
            error = SpawnError(message["stage"], message["errno"])
            _settle(launch.begun, error)
            _settle(launch.returned, error)
            _settle(launch.over, error)
            return
        # Where the supervisor was killed before it told of a beginning.
        _settle(launch.begun, SpawnError("fork", errno.EAGAIN))
        ended = Exit(
            code=message["exit"],
            time=_moment(message),
            **{name: message[name] for name in _FIGURES},
        )
        _settle(launch.returned, ended.code)
        _settle(launch.over, ended)

    def _send(self, request: Mapping[str, Any]) -> None:
        """Sends what one round of the event loop asks for at once: it wakes the agent."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._send_all)
        self._unsent.append(json.dumps(request).encode() + b"\n")

    def _send_all(self) -> None:
        lines, self._unsent = self._unsent, []
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(b"".join(lines))


def _fields(program: Program) -> dict[str, Any]:
    given = {name: getattr(program, name) for name in Program.__slots__}
    lists = {"argv": list(program.argv), "directories": list(program.directories)}
    return {**given, **lists, "env": dict(program.env)}


def _settle(future: asyncio.Future[_T], value: _T) -> None:
    if not future.done():
        future.set_result(value)


def _value(value: _T | SpawnError | AgentLostError) -> _T:
    if isinstance(value, SpawnError | AgentLostError):
        raise value
    return value


async def _surely(future: asyncio.Future[Any]) -> None:
    """Waits to the end, however often the waiting is cancelled."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


def _moment(message: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(message["time"], UTC)
