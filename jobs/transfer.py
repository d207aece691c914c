"""How far a transfer of files, or a submission, is: a line that is redrawn on a terminal.

A transfer is told there only, with its rate. A submission may take minutes in which nothing else
is said: elsewhere it is told by a line now and then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from rich.live import Live
from rich.text import Text

from jobs.pace import Pace
from jobs.terminal import Terminal, counted, size_text

_REDRAW_EVERY_S = 0.2
_TELL_EVERY_S = 10.0

Step = Callable[[int, int], None]


@contextmanager
def counting(
    terminal: Terminal, done: str, now: Callable[[], float] = time.monotonic
) -> Iterator[Step | None]:
    """Gives what is to be called with files and bytes done, from any thread; None: nobody sees.

    Args:
        terminal: Where; the line goes to stderr and away at the end.
        done: What happened to the files, such as `collected`.
        now: Monotonic seconds.
    """
    if terminal.quiet or terminal.progress != "auto" or not terminal.err.is_terminal:
        yield None
        return
    pace = Pace(now=now)
    pace.add(0)
    drawn = float("-inf")
    with Live(console=terminal.err, auto_refresh=False, transient=True) as live:

        def step(files: int, size: int) -> None:
            nonlocal drawn
            if now() - drawn >= _REDRAW_EVERY_S:
                drawn = now()
                pace.add(size)
                rate = f"  {size_text(round(pace.per_s()))}/s" if pace.per_s() else ""
                line = Text(f"{done}: {counted(files, 'file')}, {size_text(size)}{rate}")
                live.update(line, refresh=True)

        yield step


@contextmanager
def adding(
    terminal: Terminal, total: int, now: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int], None] | None]:
    """Gives what is to be called with the number of tasks that are in; None: nobody wants to know.

    Args:
        terminal: Where.
        total: Tasks that are to be in.
        now: Monotonic seconds.
    """
    if terminal.quiet or terminal.progress not in {"auto", "plain"}:
        yield None
        return
    redrawn = terminal.progress == "auto" and terminal.err.is_terminal
    every_s = _REDRAW_EVERY_S if redrawn else _TELL_EVERY_S
    with (
        Live(console=terminal.err, auto_refresh=False, transient=True)
        if redrawn
        else (nullcontext()) as live
    ):
        told = now()

        def step(number: int) -> None:
            nonlocal told
            if now() - told < every_s:
                return
            told = now()
            line = f"submitted: {number:,} of {counted(total, 'task')}"
            if live is None:
                terminal.note(line)
            else:
                live.update(Text(line), refresh=True)

        yield step
