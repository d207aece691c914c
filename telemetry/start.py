"""What a pool's start task needs to start the collector on each node.

The collector and the script that starts it travel as text in the start task's
environment: they can be read where the task is read, need no blob that somebody has to
upload before the pool exists, and reach nodes of a private network. A command line could
hold neither, and nothing has to be quoted for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent

COMMAND_LINE: Final = "/bin/sh -c 'eval \"$HPC_TELEMETRY_LAUNCH\"'"
"""The start task's command: the launcher, which becomes `HPC_START_COMMAND` in the end."""


def environment(command_line: str | None, *, interval_s: int) -> dict[str, str]:
    """The start task's variables that are the same on every node and in every stack.

    `HPC_TELEMETRY_ENDPOINT`, `_RULE_ID`, `_STREAM` and `_CLIENT_ID` are for the caller to
    add: only a deployment knows them.

    Args:
        command_line: The pool's own start task, or None where it has none.
        interval_s: Seconds between two rows.
    """
    own = {} if command_line is None else {"HPC_START_COMMAND": command_line}
    return {
        "HPC_TELEMETRY_LAUNCH": (_HERE / "launch.sh").read_text(encoding="ascii"),
        "HPC_TELEMETRY_PROGRAM": (_HERE / "collector.py").read_text(encoding="ascii"),
        "HPC_TELEMETRY_INTERVAL_S": str(interval_s),
        **own,
    }
