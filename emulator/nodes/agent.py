"""The node agent: the one small process that starts the tasks of all nodes.

`emulator.nodes.launcher` starts it and talks to it over a socket, in lines of JSON:

    → {"op": "spawn", "id": 7, "argv": […], "env": {…}, "cwd": …, "stdout": …, "stderr": …}
    ← {"id": 7, "pid": 4711, "time": 1767614400.25}              the program runs
    ← {"id": 7, "stage": "program", "errno": 2}                  or it could not be started
    → {"op": "end", "id": 7, "grace_s": 2.0}
    ← {"id": 7, "exit": 0, "time": …, "cpu_s": …, "peak_bytes": …}   all of it has ended

Why a process of its own: forking it is cheap whatever the emulator's size, nothing runs
in it that a fork could harm, and it outlives the emulator by exactly the time that it
takes to kill every task. Its socket's end is the signal; that works for SIGKILL, too.

Each task has a supervisor, a fork of the agent, which is the parent of the task's
program and the subreaper of all that the program starts. The task has ended when the
supervisor has no children: until then whatever the program left is killed. If the agent
dies, each supervisor ends its task; if a supervisor dies, the agent does.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from emulator.processes import (
    Inbox,
    Program,
    SpawnError,
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
"""Tells a supervisor to kill at once; SIGTERM tells it to let the task stop first."""


@dataclass(slots=True)
class Agent:
    """The agent's own state, and its loop."""

    control: socket.socket
    report: int
    answer: int
    inbox: Inbox
    supervisors: dict[int, int] = field(default_factory=dict)
    """Process id by launch; a launch leaves when its end was told."""
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
            self._signal(launch, _AT_ONCE)
        return self.control.fileno() not in ready or self._read()

    def _read(self) -> bool:
        received = self.control.recv(1 << 16)
        *lines, self.buffer = (self.buffer + received).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return bool(received)

    def _obey(self, request: dict[str, Any]) -> None:
        launch = request["id"]
        if request["op"] == "end":
            if launch in self.supervisors:
                self.deadlines[launch] = time.monotonic() + request["grace_s"]
                self._signal(launch, signal.SIGTERM)
            return
        program = Program(**{name: request[name] for name in Program.__slots__})
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._tell({"id": launch, "stage": "fork", "errno": error.errno})
            return
        if pid == 0:
            try:
                self.inbox.close()
                self.control.close()
                os.close(self.report)
                _Supervisor(launch, self.answer, parent).run(program)
            finally:
                os._exit(0)
        self.supervisors[launch] = pid

    def _signal(self, launch: int, number: signal.Signals) -> None:
        if launch in self.supervisors:
            signal_all([self.supervisors[launch]], number)

    def _forward(self) -> None:
        """Passes on what supervisors said; whole lines, because a short write is atomic."""
        with contextlib.suppress(BlockingIOError):
            while said := os.read(self.report, 1 << 16):
                *lines, self.told = (self.told + said).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    if "pid" not in message:
                        self.supervisors.pop(message["id"], None)
                        self.deadlines.pop(message["id"], None)
                    self._tell(message)

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # nobody listens: the next read says so
            self.control.sendall(json.dumps(message).encode() + b"\n")

    def _bury(self) -> None:
        ended = {pid for pid, _ in reap()[0]}
        # In this order: whoever has ended has told by now what he had to tell.
        self._forward()
        killed = [launch for launch, pid in self.supervisors.items() if pid in ended]
        if not killed:
            return
        # Somebody killed a supervisor: what it left became the agent's, beside the others.
        others = set(self.supervisors.values())
        spared = {pid for other in others for pid in (other, *descendants(other))}
        signal_all(set(descendants(os.getpid())) - spared, signal.SIGKILL)
        for launch in killed:
            del self.supervisors[launch]
            self.deadlines.pop(launch, None)
            code = 128 + signal.SIGKILL
            end = {"exit": code, "time": time.time(), "cpu_s": 0.0, "peak_bytes": 0}
            self._tell({"id": launch, **end})


@dataclass(frozen=True, slots=True)
class _Supervisor:
    """The process over one task."""

    launch: int
    answer: int
    agent: int

    def run(self, program: Program) -> None:
        inbox = Inbox((signal.SIGCHLD, signal.SIGTERM, _AT_ONCE))
        become_subreaper()
        signal_on_parent_death(_AT_ONCE, self.agent)
        try:
            pid = spawn(program)
        except SpawnError as error:
            self._tell(stage=error.stage, errno=error.errno)
            return
        self._tell(pid=pid, time=time.time())
        status = self._until_it_ends(pid, inbox)
        ended_at = time.time()
        kill_descendants(inbox)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._tell(
            exit=exit_code(status),
            time=ended_at,
            cpu_s=round(used.ru_utime + used.ru_stime, 6),
            peak_bytes=used.ru_maxrss * _MAXRSS_UNIT,
        )

    def _until_it_ends(self, pid: int, inbox: Inbox) -> int:
        while True:
            # First: the task may have ended before the inbox was there.
            statuses = dict(reap()[0])
            if pid in statuses:
                return statuses[pid]
            numbers, _ = inbox.wait()
            if _AT_ONCE in numbers:
                signal_all(descendants(os.getpid()), signal.SIGKILL)
            elif signal.SIGTERM in numbers:
                signal_all(descendants(os.getpid()), signal.SIGTERM)

    def _tell(self, **message: object) -> None:
        with contextlib.suppress(OSError):  # the agent died, and with it who would know
            os.write(self.answer, json.dumps({"id": self.launch, **message}).encode() + b"\n")


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
