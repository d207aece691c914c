"""Shows a job while it runs: redrawn on a terminal, lines elsewhere, all on stderr.

On a terminal at most five redraws a second and nothing left behind; elsewhere a line
when something changed, at most one in 30 seconds unless the job ends or a first task
fails. A time left is only told after 30 tasks, and as a range: fewer say nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from jobs.durations import spoken
from jobs.watch import Look

LINE_EVERY_S = 30.0
_ETA_AFTER = 30
_BAR = 20
_WINDOW_S = 120.0


@dataclass(slots=True, kw_only=True)
class Pace:
    """How fast tasks end, over the last two minutes.

    Attributes:
        now: Monotonic seconds.
    """

    now: Callable[[], float] = time.monotonic
    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _first: int | None = None

    def add(self, ended: int) -> None:
        """Takes how many tasks have ended by now."""
        moment = self.now()
        if self._first is None:
            self._first = ended
        self._seen.append((moment, ended))
        while len(self._seen) > 2 and self._seen[0][0] < moment - _WINDOW_S:  # noqa: PLR2004 - a rate needs two
            self._seen.popleft()

    def per_s(self) -> float:
        """Tasks a second; 0 when unknown."""
        if len(self._seen) < 2:  # noqa: PLR2004 - a rate needs two
            return 0.0
        (began, before), (ends, after) = self._seen[0], self._seen[-1]
        return (after - before) / (ends - began) if ends > began else 0.0

    def left_s(self, remaining: int) -> tuple[float, float] | None:
        """At least and at most how long, or None while too little is known."""
        rate = self.per_s()
        if self._first is None or not rate or not remaining:
            return None
        counted = self._seen[-1][1] - self._first
        if counted < _ETA_AFTER:
            return None
        spread = 2.0 / counted**0.5
        return remaining / (rate * (1 + spread)), remaining / (rate * max(0.2, 1 - spread))


class Progress:
    """Shows looks at one job. A context manager, so that the terminal is left in order."""

    def __init__(
        self,
        console: Console,
        job_id: str,
        where: str,
        *,
        quiet: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Shows on `console` (stderr); `quiet` shows nothing."""
        self._console = console
        self._title = f"{job_id} @{where}"
        self._quiet = quiet
        self._now = now
        self._began = now()
        self._pace = Pace(now=now)
        self._line_at = float("-inf")
        self._last: Look | None = None
        live = console.is_terminal and not quiet
        self._live = Live(console=console, auto_refresh=False, transient=True) if live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, look: Look) -> None:
        """Shows a look, if it tells something new."""
        self._pace.add(look.ended)
        if self._live is not None:
            self._live.update(Group(*self._block(look)), refresh=True)
        elif not self._quiet and self._worth_a_line(look):
            self._line_at = self._now()
            self._console.print(self._line(look), soft_wrap=True, highlight=False, markup=False)
        self._last = look

    def _worth_a_line(self, look: Look) -> bool:
        before = self._last
        if before is None or look.over != before.over or (look.failed and not before.failed):
            return True
        if look.reasons != before.reasons and look.reasons:
            return True
        changed = (look.ended, look.running) != (before.ended, before.running)
        return changed and self._now() - self._line_at >= LINE_EVERY_S

    def _line(self, look: Look) -> str:
        parts = [f"{self._title}: {look.ended}/{look.total} ended"]
        if look.running:
            parts.append(f"{look.running} running")
        if look.waiting:
            parts.append(f"{look.waiting} waiting")
        if look.failed:
            parts.append(f"{look.failed} failed")
        line = ", ".join(parts)
        return f"{line} - {'; '.join(look.reasons)}" if look.reasons else line

    def _block(self, look: Look) -> list[Text]:
        elapsed = spoken(self._now() - self._began)
        lines = [Text.assemble((self._title, "bold"), f"  {look.job_state} {elapsed}")]
        filled = round(_BAR * look.ended / look.total) if look.total else 0
        tasks = Text("tasks  ")
        tasks.append("█" * filled, "green" if not look.failed else "yellow")
        tasks.append("░" * (_BAR - filled) + f" {look.ended}/{look.total}")
        tasks.append(f"  run {look.running}  wait {look.waiting}  ok {look.succeeded}")
        if look.failed:
            tasks.append(f"  ✘{look.failed}", "red")
        if rate := self._pace.per_s():
            tasks.append(f"  {rate:.2g}/s")
        if left := self._pace.left_s(look.total - look.ended):
            tasks.append(f"  ETA {spoken(left[0])}-{spoken(left[1])}")
        lines.append(tasks)
        if look.pool is not None:
            nodes = "  ".join(f"{state} {n}" for state, n in sorted(look.pool.nodes.items()))
            lines.append(Text(f"nodes  {nodes or 'none'} → target {look.pool.target}"))
        lines.extend(Text(f"! {reason}", "yellow") for reason in look.reasons)
        if look.first_failure is not None:
            end = look.first_failure
            what = f"exit {end.exit_code}" if end.exit_code is not None else end.failure
            lines.append(Text(f"✘ {end.id} {what}", "red"))
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return lines
