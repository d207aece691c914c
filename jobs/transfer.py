"""How far a transfer of files is, with its rate: a line that is redrawn, on a terminal only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.text import Text

from jobs.pace import Pace
from jobs.terminal import Terminal, counted, size_text

_REDRAW_EVERY_S = 0.2

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
