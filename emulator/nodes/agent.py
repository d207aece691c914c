"""The node agent: the one small process that starts the tasks of all nodes.

`emulator.nodes.launcher` starts it and talks to it over a socket, in lines of JSON:

    → {"op": "spawn", "id": 7, "argv": […], "env": {…}, "cwd": …, …}
    ← {"id": 7, "pid": 4711, "time": 1767614400.25}              the program runs
    ← {"id": 7, "stage": "program", "errno": 2}                  or it could not be started
    → {"op": "end", "id": 7, "grace_s": 2.0}
    ← {"id": 7, "exit": 0, "time": …, "user_s": …, "peak_bytes": …}  all of it has ended

A program that is spawned with `"keep": true` may leave others running when it returns:

    ← {"id": 7, "returned": 0, "time": …}                            the program has ended

and they run on until they are to end.

Why a process of its own: forking it is cheap whatever the emulator's size, nothing runs
in it that a fork could harm, and it outlives the emulator by exactly the time that it
takes to kill every task. Its socket's end is the signal; that works for SIGKILL, too.

Each task has a supervisor, a fork of the agent, which is the parent of the task's
program and the subreaper of all that the program starts. The task has ended when the
supervisor has no children: until then whatever the program left is killed. If the agent
dies, each supervisor ends its task; if a supervisor dies, the agent does.

A supervisor whose task has ended has nothing left of it and takes the next: a fork costs
more than a short task. It hears what to do, and of the agent's death, by a pipe of its
own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from emulator.processes import (
    SECOND_TRY_S,
    Inbox,
    Program,
    SpawnError,
    Usage,
    become_subreaper,
    descendants,
    exit_code,
    kill_descendants,
    reap,
    signal_all,
    signal_on_parent_death,
    spawn,
)

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_AT_ONCE = signal.SIGUSR1
"""What a supervisor gets when the agent dies, beside the end of its pipe."""

IDLE_SUPERVISORS = 32
"""So many wait for their next task; more end with theirs."""


@dataclass(slots=True)
class Agent:
    """The agent's own state, and its loop."""

    control: socket.socket
    report: int
    answer: int
    inbox: Inbox
    supervisors: dict[int, _Supervised] = field(default_factory=dict)
    """By launch; a launch leaves when its end was told."""
    idle: list[_Supervised] = field(default_factory=list)
    deadlines: dict[int, float] = field(default_factory=dict)
    """When a launch that was asked to end is killed (monotonic)."""
    buffer: bytes = b""
    told: bytes = b""

    def run(self) -> None:
        """Serves until the socket ends, then kills everything."""
        while self._step():
            pass
        kill_descendants(self.inbox)

    def _step(self) -> bool:
        now = time.monotonic()
        due = min(self.deadlines.values(), default=None)
        numbers, ready = self.inbox.wait(None if due is None else max(0.0, due - now))
        if self.report in ready:
            self._forward()
        if signal.SIGCHLD in numbers:
            self._bury()
        for launch in [at for at, when in self.deadlines.items() if when <= time.monotonic()]:
            del self.deadlines[launch]
            self._order(launch, "kill")
        return self.control.fileno() not in ready or self._read()

    def _read(self) -> bool:
        received = self.control.recv(1 << 16)
        *lines, self.buffer = (self.buffer + received).split(b"\n")
        for line in lines:
            self._obey(json.loads(line), line)
        return bool(received)

    def _obey(self, request: dict[str, Any], line: bytes) -> None:
        launch = request["id"]
        if request["op"] == "end":
            if launch in self.supervisors:
                self.deadlines[launch] = time.monotonic() + request["grace_s"]
                self._order(launch, "end")
            return
        try:
            supervisor = self.idle.pop() if self.idle else self._fork()
        except OSError as error:
            self._tell(_line(launch, stage="fork", errno=error.errno))
            return
        self.supervisors[launch] = supervisor
        supervisor.send(line)

    def _fork(self) -> _Supervised:
        parent = os.getpid()
        orders, own_end = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(orders)
            os.close(own_end)
            raise
        if pid == 0:
            try:
                self.inbox.close()
                self.control.close()
                # What others wait on for the agent's end must be the agent's alone.
                others = (*self.supervisors.values(), *self.idle)
                for descriptor in (self.report, own_end, *(one.orders for one in others)):
                    os.close(descriptor)
                _Supervisor(self.answer, orders, parent).run()
            finally:
                os._exit(0)
        os.close(orders)
        return _Supervised(pid, own_end)

    def _order(self, launch: int, op: str) -> None:
        if launch in self.supervisors:
            self.supervisors[launch].send(_line(launch, op=op))

    def _forward(self) -> None:
        """Passes on what supervisors said; whole lines, because a short write is atomic."""
        with contextlib.suppress(BlockingIOError):
            while said := os.read(self.report, 1 << 16):
                *lines, self.told = (self.told + said).split(b"\n")
                for message in map(json.loads, lines):
                    if "pid" not in message and "returned" not in message:
                        self._rest(message["id"])
                self._tell(*lines)

    def _rest(self, launch: int) -> None:
        """A launch is over; its supervisor may have the next."""
        self.deadlines.pop(launch, None)
        supervisor = self.supervisors.pop(launch, None)
        if supervisor is None:
            return
        if len(self.idle) < IDLE_SUPERVISORS:
            self.idle.append(supervisor)
        else:
            os.close(supervisor.orders)

    def _tell(self, *lines: bytes) -> None:
        with contextlib.suppress(OSError):  # nobody listens: the next read says so
            self.control.sendall(b"".join(line + b"\n" for line in lines))

    def _bury(self) -> None:
        ended = {pid for pid, _ in reap()[0]}
        # In this order: whoever has ended has told by now what he had to tell.
        self._forward()
        for one in [one for one in self.idle if one.pid in ended]:
            self.idle.remove(one)
            os.close(one.orders)
        killed = [launch for launch, one in self.supervisors.items() if one.pid in ended]
        if not killed:
            return
        # Somebody killed a supervisor: what it left became the agent's, beside the others.
        others = {one.pid for one in (*self.supervisors.values(), *self.idle)}
        spared = {pid for other in others for pid in (other, *descendants(other))}
        signal_all(set(descendants(os.getpid())) - spared, signal.SIGKILL)
        for launch in killed:
            os.close(self.supervisors.pop(launch).orders)
            self.deadlines.pop(launch, None)
            code = 128 + signal.SIGKILL
            self._tell(_line(launch, exit=code, time=time.time(), **_figures(Usage())))


@dataclass(frozen=True, slots=True)
class _Supervised:
    """A supervisor as the agent has it: its process, and the pipe that it reads."""

    pid: int
    orders: int

    def send(self, line: bytes) -> None:
        rest = memoryview(line + b"\n")
        with contextlib.suppress(BrokenPipeError):  # it was killed, and is buried next
            while rest:
                rest = rest[os.write(self.orders, rest) :]


class _Supervisor:
    """The process over one task at a time.

    Args:
        answer: Descriptor by which it tells the agent.
        orders: Descriptor by which the agent tells it.
        agent: The agent's process id.
    """

    def __init__(self, answer: int, orders: int, agent: int) -> None:
        self._answer = answer
        self._orders = orders
        self._inbox = Inbox((signal.SIGCHLD, _AT_ONCE), (orders,))
        self._buffer = b""
        self._queue: list[dict[str, Any]] = []
        self._alive = True
        become_subreaper()
        signal_on_parent_death(_AT_ONCE, agent)

    def run(self) -> None:
        """Runs what it is told to, one after the other, until the agent has ended."""
        while self._alive:
            if not self._queue:
                self._listen()
                continue
            order = self._queue.pop(0)
            if order["op"] == "spawn":  # the end of a task that has ended is nothing to do
                self._run(order)

    def _listen(self) -> None:
        """Waits until something happened; takes up what the agent wants."""
        numbers, ready = self._inbox.wait(None if self._alive else SECOND_TRY_S)
        received = b""
        if self._orders in ready:
            received = os.read(self._orders, 1 << 16)
            *lines, self._buffer = (self._buffer + received).split(b"\n")
            self._queue += [json.loads(line) for line in lines]
        if self._alive and (_AT_ONCE in numbers or (self._orders in ready and not received)):
            self._alive = False
            self._inbox.forget(self._orders)

    def _run(self, order: dict[str, Any]) -> None:
        """Runs a task to its end, and to that of all that it started."""
        launch, usage = order["id"], Usage()
        try:
            pid = spawn(Program(**{name: order[name] for name in Program.__slots__}))
        except SpawnError as error:
            self._tell(launch, stage=error.stage, errno=error.errno)
            return
        self._tell(launch, pid=pid, time=time.time())
        status, told = self._until_it_ends(pid, usage)
        ended_at = time.time()
        if order.get("keep") and not status and not told:
            self._tell(launch, returned=exit_code(status), time=ended_at)
            self._until_told_to_end(usage)
        kill_descendants(self._inbox, usage)
        os.chdir("/")  # holds no directory that somebody wants to remove
        self._tell(
            launch,
            exit=exit_code(status),
            time=ended_at,
            **_figures(usage),
        )

    def _until_it_ends(self, pid: int, usage: Usage) -> tuple[int, bool]:
        """Its wait status, and whether it was told to end."""
        told = False
        while True:
            # First: the task may have ended before anything was heard of it.
            statuses = dict(reap(usage)[0])
            if pid in statuses:
                return statuses[pid], told
            if not self._queue:
                self._listen()
            # While it runs, whatever the agent wants is about it.
            orders, self._queue = self._queue, []
            at_once = not self._alive or any(order["op"] == "kill" for order in orders)
            if at_once or orders:
                told = True
                how = signal.SIGKILL if at_once else signal.SIGTERM
                signal_all(descendants(os.getpid()), how)

    def _until_told_to_end(self, usage: Usage) -> None:
        """Lets what a program left running run on; a first wish is to stop, a second to die."""
        while self._alive and not self._queue:
            self._listen()
            reap(usage)
        orders, self._queue = self._queue, []
        if not self._alive or any(order["op"] == "kill" for order in orders):
            return
        signal_all(descendants(os.getpid()), signal.SIGTERM)
        while reap(usage)[1]:
            self._listen()
            if self._queue or not self._alive:
                break
        self._queue.clear()

    def _tell(self, launch: int, **message: object) -> None:
        with contextlib.suppress(OSError):  # the agent died, and with it who would know
            os.write(self._answer, _line(launch, **message) + b"\n")


def _line(launch: int, **message: object) -> bytes:
    return json.dumps({"id": launch, **message}).encode()


def _figures(usage: Usage) -> dict[str, float]:
    """What a task used, as the agent tells it."""
    return {
        "user_s": round(usage.user_s, 6),
        "kernel_s": round(usage.kernel_s, 6),
        "peak_bytes": usage.peak * _MAXRSS_UNIT,
        "reads": usage.reads,
        "writes": usage.writes,
        "bytes_read": usage.bytes_read,
        "bytes_written": usage.bytes_written,
    }


def main() -> None:
    """Serves the socket whose descriptor is the one argument."""
    become_subreaper()
    control = socket.socket(fileno=int(sys.argv[1]))
    report, answer = os.pipe()
    os.set_blocking(report, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    inbox = Inbox((signal.SIGCHLD,), (control.fileno(), report))
    Agent(control=control, report=report, answer=answer, inbox=inbox).run()


if __name__ == "__main__":
    main()
