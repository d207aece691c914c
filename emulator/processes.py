"""Processes that end with everything they started, and a keeper for the command line.

    python -m emulator.processes -- COMMAND [ARGUMENT ...]

runs a command so that nothing of it outlives it, whatever ends first: the command, the
front process (by SIGKILL too), or the front process's own parent.

How: on Linux a process can become a *subreaper*. Whatever its descendants leave behind,
daemons that forked twice and began a session of their own included, becomes its own
child; so "no children left" means "nothing left", and no list of processes need be
kept. Where there is no such thing (macOS), descendants are found by their parents, and
a daemon that was orphaned on purpose can escape.

Standard library only and quick to import: the node agent, which is forked for every
task, is built on this module. Whoever uses these functions must have no other threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage
from types import FrameType
from typing import Literal

SECOND_TRY_S = 0.02
"""A process may fork between being listed and being killed: look again after so long."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ON_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None)


def become_subreaper() -> bool:
    """Makes orphaned descendants children of this process; False where that cannot be."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def signal_on_parent_death(number: signal.Signals, parent: int) -> None:
    """Has this process signalled when its parent dies, or at once if it is dead already.

    Args:
        number: Signal to get.
        parent: Process id of the parent as it was when this process was made.
    """
    if _prctl(_PR_SET_PDEATHSIG, int(number)) and os.getppid() != parent:
        os.kill(os.getpid(), number)


def _prctl(option: int, value: int) -> bool:
    return _ON_LINUX and _LIBC.prctl(option, value, 0, 0, 0) == 0


class SpawnError(Exception):
    """A program could not be started.

    Attributes:
        stage: What failed: making the process, its directories, changing to its own, its
            output files, or the program itself.
        errno: The system's number for it.
    """

    def __init__(self, stage: str, number: int) -> None:
        super().__init__(f"{stage}: {os.strerror(number)}")
        self.stage = stage
        self.errno = number


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to start, and with what.

    Attributes:
        argv: Program and arguments; a program without a slash is looked for on the
            environment's own `PATH`.
        env: The whole environment.
        cwd: Working directory; None for this process's.
        stdout: File that takes the output, made anew; None for this process's.
        stderr: Likewise. The input is `/dev/null` where `stdout` is a file.
        directories: Made first, where they are not there yet; see `make_directories`.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    directories: Sequence[str] = ()


Stage = Literal["fork", "directories", "cwd", "output", "program"]
_ALL_SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


def spawn(program: Program) -> int:
    """Starts a program in a session of its own, every signal at its default.

    It is not `subprocess`: it says which step failed, it leaves waiting to the caller, who
    waits for whatever child ends next, and it costs a third of a fork of this process:
    nothing is copied (`posix_spawn`). For that the caller itself changes to the program's
    directory.

    Returns:
        The process's id; the program runs in it.

    Raises:
        SpawnError: It did not start; nothing is left to wait for.
    """
    stage: Stage = "directories"
    opened: list[int] = []
    try:
        make_directories(program.directories)
        stage = "cwd"
        if program.cwd is not None:
            os.chdir(program.cwd)
        stage = "output"
        actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = []
        if program.stdout is not None:
            actions.append((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0))
        for path, descriptor in ((program.stdout, 1), (program.stderr, 2)):
            if path is not None:
                opened.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644))
                actions.append((os.POSIX_SPAWN_DUP2, opened[-1], descriptor))
        stage = "program"
        return os.posix_spawn(
            _found(program),
            list(program.argv),
            program.env,
            file_actions=actions,
            setsid=True,
            setsigdef=_ALL_SIGNALS,
        )
    except (OSError, ValueError) as error:
        number = (error.errno if isinstance(error, OSError) else None) or errno.EINVAL
        raise SpawnError(stage, number) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def make_directories(paths: Iterable[str]) -> None:
    """Makes directories, each with its parents; what is there stays as it is.

    Raises:
        OSError: One cannot be made.
    """
    for path in paths:
        for tries_left in (2, 1, 0):
            try:
                os.mkdir(path)  # noqa: PTH102 - for every task: no path object
            except FileExistsError:
                break
            except FileNotFoundError:
                if not tries_left:
                    raise
                # The first there; a parent that is empty may be removed meanwhile, and again.
                with contextlib.suppress(FileNotFoundError):
                    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
            else:
                break


def _found(program: Program) -> str:
    """The path of a program: of several, the first that may be run.

    Raises:
        FileNotFoundError: There is none.
    """
    name = program.argv[0]
    if "/" in name:
        return name
    refused: str | None = None
    for directory in os.get_exec_path(program.env):
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK) and not Path(path).is_dir():
            return path
        if refused is None and Path(path).exists():
            refused = path
    if refused is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return refused


def parents() -> dict[int, int]:
    """Every process's parent, by process id, at this moment."""
    return _parents_in_proc() if _ON_LINUX else parents_by_ps()


def _parents_in_proc() -> dict[int, int]:
    found: dict[int, int] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are wanted, fast
        if name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                stat = Path("/proc", name, "stat").read_bytes()
                # The program's name, in brackets, may hold blanks and brackets itself.
                found[int(name)] = int(stat[stat.rindex(b")") + 2 :].split()[1])
    return found


def parents_by_ps() -> dict[int, int]:
    """`parents` where there is no /proc."""
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    pairs = (line.split() for line in table.stdout.splitlines())
    return {int(pid): int(parent) for pid, parent in pairs}


def descendants(root: int, table: Mapping[int, int] | None = None) -> list[int]:
    """Children of a process, their children and so on; parents before children.

    Args:
        root: Process id; not among the answers.
        table: Every process's parent; this moment's where not given.
    """
    children: dict[int, list[int]] = {}
    for pid, parent in (parents() if table is None else table).items():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    reached = [root]
    while reached:
        level = [pid for parent in reached for pid in children.pop(parent, ())]
        found += level
        reached = level
    return found


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Signals processes; those that ended meanwhile or are another user's are left out."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


class Inbox:
    """What a small supervising process waits for: signals and descriptors, in one wait.

    Handlers that do nothing keep a signal from its default action; the interpreter
    writes the signal's number to a pipe, and the wait is on the pipe.
    """

    def __init__(self, signals: Iterable[signal.Signals], descriptors: Iterable[int] = ()) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        # First: a signal between a handler and this would be taken and told to nobody.
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, _nothing)
        self._selector = selectors.DefaultSelector()
        for descriptor in (self._read, *descriptors):
            self._selector.register(descriptor, selectors.EVENT_READ)

    def forget(self, descriptor: int) -> None:
        """Waits for a descriptor no more."""
        self._selector.unregister(descriptor)

    def wait(self, timeout_s: float | None = None) -> tuple[set[signal.Signals], set[int]]:
        """Signals that came and descriptors that can be read; both empty after the timeout."""
        ready = {key.fd for key, _ in self._selector.select(timeout_s)}
        numbers: set[signal.Signals] = set()
        if self._read in ready:
            ready.remove(self._read)
            with contextlib.suppress(BlockingIOError):
                numbers = {signal.Signals(number) for number in os.read(self._read, 4096)}
        return numbers, ready

    def close(self) -> None:
        """Gives its descriptors back; signals go unnoticed from here on."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        os.close(self._read)
        os.close(self._write)


def _nothing(number: int, frame: FrameType | None) -> None:
    del number, frame


@dataclass(slots=True)
class Usage:
    """What processes used that ended, with what they waited for.

    Attributes:
        user_s, kernel_s: Time of the processors, seconds.
        peak: Largest resident set of any of them, in the system's unit.
        reads, writes: Calls of the system that read or wrote; only counted on Linux.
        bytes_read, bytes_written: From and to disks.
    """

    user_s: float = 0.0
    kernel_s: float = 0.0
    peak: int = 0
    reads: int = 0
    writes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    def add(self, used: struct_rusage, done: Mapping[str, int]) -> None:
        """Counts a process that ended: what `wait4` and its `/proc/PID/io` tell."""
        self.user_s += used.ru_utime
        self.kernel_s += used.ru_stime
        self.peak = max(self.peak, used.ru_maxrss)
        self.reads += done.get("syscr", 0)
        self.writes += done.get("syscw", 0)
        self.bytes_read += done.get("read_bytes", used.ru_inblock * _BLOCK)
        self.bytes_written += done.get("write_bytes", used.ru_oublock * _BLOCK)


_BLOCK = 512
"""Bytes of the blocks that `getrusage` counts."""


def _done(pid: int) -> dict[str, int]:
    """What a process that ended, but was not waited for, has read and written."""
    try:  # for every process of every task: no path object and no buffer
        descriptor = os.open(f"/proc/{pid}/io", os.O_RDONLY)
        try:
            text = os.read(descriptor, 4096).decode()
        finally:
            os.close(descriptor)
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: int(value) for name, _, value in pairs}


def _ended_child() -> int | None:
    """A child that ended and was not waited for yet; None where there is none."""
    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return ended.si_pid if ended else None


def reap(usage: Usage | None = None) -> tuple[list[tuple[int, int]], bool]:
    """Children that ended (id, wait status), and whether there are others.

    Args:
        usage: What they used is added to it.
    """
    ended: list[tuple[int, int]] = []
    while True:
        try:
            # What it did can be read for as long as nobody has waited for it.
            over = _ended_child() if usage is not None and _ON_LINUX else -1
            if over is None:
                return ended, True
            done = _done(over) if over > 0 else {}
            pid, status, used = os.wait4(over, os.WNOHANG)
        except ChildProcessError:
            return ended, False
        if pid == 0:
            return ended, True
        ended.append((pid, status))
        if usage is not None:
            usage.add(used, done)


def kill_descendants(inbox: Inbox, usage: Usage | None = None) -> list[tuple[int, int]]:
    """Kills every descendant of this process and waits until none is left.

    Args:
        inbox: Must take SIGCHLD.
        usage: What they used is added to it.

    Returns:
        What ended (id, wait status).
    """
    ended, others = reap(usage)
    while others:
        signal_all(descendants(os.getpid()), signal.SIGKILL)
        inbox.wait(SECOND_TRY_S)
        some, others = reap(usage)
        ended += some
    return ended


def exit_code(status: int) -> int:
    """A wait status as a shell would tell it: 128 and the number for a signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


GRACE_S = 5.0
"""How long a command may take to stop when its front process is gone."""

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def keep(argv: Sequence[str], *, lifeline: int | None = None, grace_s: float = GRACE_S) -> int:
    """Runs a command to its end, and ends with it whatever it left running.

    Two processes stand over the command. The front, this one, forwards signals. The
    keeper, in a session of its own, is the command's parent and a subreaper. If the
    front dies, the keeper ends the command; if the keeper dies, the front does.

    Args:
        argv: The command.
        lifeline: Descriptor whose end of file ends the command.
        grace_s: Time for the command between SIGTERM and SIGKILL, seconds.

    Returns:
        The command's exit status; 128 and the number when a signal ended it; 127 when
        it could not be started.
    """
    become_subreaper()
    parent = os.getppid()
    inbox = Inbox((*_FORWARDED, signal.SIGCHLD), () if lifeline is None else (lifeline,))
    signal_on_parent_death(signal.SIGTERM, parent)
    alive, own_end = os.pipe()  # nobody writes: that it ends is the message
    sys.stdout.flush()
    sys.stderr.flush()
    # What is forwarded before the keeper has an inbox of its own waits for that.
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    keeper = os.fork()
    if keeper == 0:
        status = 127
        try:
            os.close(own_end)
            inbox.close()
            status = _keeper(argv, alive, grace_s)
        except SpawnError as error:
            os.write(2, f"error: {argv[0]}: {os.strerror(error.errno)}\n".encode())
        finally:
            os._exit(status)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
    os.close(alive)
    lifelines = {own_end}
    while True:
        numbers, ended = inbox.wait()
        if (ended or os.getppid() != parent) and lifelines:
            if lifeline is not None:
                inbox.forget(lifeline)
            os.close(lifelines.pop())
        for number in numbers - {signal.SIGCHLD}:
            signal_all([keeper], number)
        for pid, status in reap()[0]:
            if pid == keeper:
                kill_descendants(inbox)
                return exit_code(status)


def _keeper(argv: Sequence[str], alive: int, grace_s: float) -> int:
    os.setsid()
    become_subreaper()
    inbox = Inbox((*_FORWARDED, signal.SIGCHLD), (alive,))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
    command = spawn(Program(argv=argv, env=os.environ))
    statuses: dict[int, int] = {}
    asked: set[int] = set()
    deadline: float | None = None
    others = True
    while others:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        numbers, ended = inbox.wait(left)
        children, others = reap()
        statuses.update(children)
        if deadline is None and (ended or command in statuses):
            inbox.forget(alive)
            deadline = time.monotonic() + grace_s
        if deadline is None:
            for number in numbers - {signal.SIGCHLD}:
                signal_all([command], number)
        elif time.monotonic() >= deadline:
            statuses.update(kill_descendants(inbox))
            break
        else:
            # Only children: each ends its own, in its own order, and leaves us the rest.
            table = parents()
            mine = {pid for pid in table if table[pid] == os.getpid()}
            signal_all(mine - asked, signal.SIGTERM)
            asked |= mine
    return exit_code(statuses[command])


def main(arguments: Sequence[str]) -> int:
    """The command line of this module."""
    options = list(arguments)
    lifeline: int | None = None
    if options[:1] == ["--lifeline-fd"] and len(options) > 1 and options[1].isdigit():
        lifeline = int(options[1])
        options = options[2:]
    if options[:1] != ["--"] or not options[1:]:
        sys.stderr.write(
            "usage: python -m emulator.processes [--lifeline-fd N] -- COMMAND [ARGUMENT ...]\n"
            "Runs COMMAND; ends everything that it started when it ends, when this process or\n"
            "its parent dies, or when descriptor N reaches its end.\n"
            "example: python -m emulator.processes -- python -m emulator serve\n"
        )
        return 2
    return keep(options[1:], lifeline=lifeline)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
