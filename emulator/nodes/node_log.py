"""What a node logs of itself: one line an attempt, beside its start task's output.

It is what `uploadbatchservicelogs` uploads; the service's nodes upload the logs of their
agents there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from emulator.nodes.interface import TaskLaunch, TaskOutcome

_LOG = "volatile/agent.log"
_FILES = (_LOG, "startup/stdout.txt", "startup/stderr.txt")


def note(root: Path, launch: TaskLaunch, outcome: TaskOutcome | None) -> None:
    """Writes down how an attempt went; None for one that was called off.

    Raises:
        OSError: The log cannot be written.
    """
    what = f"{launch.kind} {launch.job_id or '-'} {launch.task_id}"
    if outcome is None:
        how = "called off"
    else:
        code = outcome.failure.code if outcome.failure else "success"
        how = (
            f"{outcome.start_time.isoformat()} {outcome.end_time.isoformat()}"
            f" exit={outcome.exit_code} {code} cpu={outcome.cpu_s:.3f}s"
            f" memory={outcome.peak_memory_bytes}"
        )
    line = f"{what} retry={launch.retry_count} {how}\n"
    # For every task: no path object and no buffer, and one write, which is not torn.
    log = os.open(f"{root}/{_LOG}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(log, line.encode())
    finally:
        os.close(log)


def files(root: Path, since_s: float) -> Mapping[str, Path]:
    """The log files of a node that were still written at an instant or later, by name.

    Args:
        root: The node's.
        since_s: The instant, seconds since 1970.
    """
    paths = {name: root / name for name in _FILES}
    return {
        name: path
        for name, path in paths.items()
        if path.is_file() and path.stat().st_mtime >= since_s
    }
