"""Names in a stack's outputs, kept where a shell finds them: what completion offers.

A shell cannot ask Pulumi, nor wait for Python, at every key. So each time a stack is read by its
name its pools and applications are noted, a line each (`pool cpu`), in the local state. Nothing
but completion reads that, and what cannot be written is not: a name less is offered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from jobs.whole_files import replacing


def remember(
    directory: Path, stack: str, *, pools: Iterable[str], applications: Iterable[str]
) -> None:
    """Notes the names of a stack, unless they are what is noted already.

    Args:
        directory: Of the local state.
        stack: Its name; one of a project or an organization (`a/b`) is not noted.
        pools: Their names in the stack.
        applications: Their names.
    """
    if "/" in stack:
        return
    path = directory / "jobs" / "stacks" / f"{stack}.names"
    lines = [f"pool {name}" for name in pools] + [f"application {name}" for name in applications]
    text = "".join(f"{line}\n" for line in sorted(lines))
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        with replacing(path) as stream:
            stream.write(text)
