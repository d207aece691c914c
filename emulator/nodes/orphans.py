"""Ends what goes on of tasks whose agent and supervisor were killed in the same instant.

Who stands over a task ends it (`emulator.nodes.agent`); where nobody is left to, its processes
are found by their environment: every task has its node's root in it. So it is when the agent was
lost and when the emulator starts, in both cases before a task is requeued, which must not run
twice. A process that has cleared its environment is not found, nor is any where there is no
`/proc` (macOS).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from pathlib import Path

from emulator.processes import SECOND_TRY_S, parents, signal_all

_logger = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""So long one that was killed may take to end: the system holds it."""
_LOOKS = 2
"""While it turns into another program a process has no environment: one look is not enough."""
_PROC = Path("/proc")


def end_orphans(nodes: Path) -> None:
    """Kills every process of a task on these nodes, and returns when none is left.

    To be called only while nothing runs that is to go on.

    Args:
        nodes: Directory of all nodes, resolved.
    """
    mark = b"AZ_BATCH_NODE_ROOT_DIR=" + os.fsencode(nodes) + b"/"
    killed: set[int] = set()
    deadline = time.monotonic() + PATIENCE_S
    quiet = 0
    while quiet < _LOOKS:
        found = _marked(mark)
        quiet = 0 if found else quiet + 1
        if found and time.monotonic() > deadline:
            _logger.error("processes %s of tasks do not end though they were killed", found)
            break
        signal_all(found, signal.SIGKILL)
        killed |= found
        time.sleep(SECOND_TRY_S)
    if killed:
        _logger.warning("ended %d processes that nobody stood over any more", len(killed))


def _marked(mark: bytes) -> set[int]:
    """Processes with the mark; not this one, nor any that it runs under."""
    if not _PROC.is_dir():
        return set()
    found = {int(place.name) for place in _PROC.glob("[0-9]*") if _has(place, mark)}
    return found - _own() if found else found


def _has(place: Path, mark: bytes) -> bool:
    with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
        environment = (place / "environ").read_bytes()
        return environment.startswith(mark) or b"\0" + mark in environment
    return False


def _own() -> set[int]:
    table, own, pid = parents(), set[int](), os.getpid()
    while pid and pid not in own:
        own.add(pid)
        pid = table.get(pid, 0)
    return own
