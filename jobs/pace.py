"""How fast something ends, and so how much time it may take yet: as a range, or not at all."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.durations import spoken

_ETA_AFTER = 30
_WINDOW_S = 120.0


@dataclass(slots=True, kw_only=True)
class Pace:
    """How fast tasks end, over the last two minutes.

    Attributes:
        now: Monotonic seconds.
    """

    now: Callable[[], float] = time.monotonic
    _seen: deque[tuple[float, float]] = field(default_factory=deque)
    _first: float | None = None

    def add(self, ended: float) -> None:
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

    def left_s(self, remaining: float) -> tuple[float, float] | None:
        """At least and at most how long, or None while too little is known."""
        rate = self.per_s()
        if self._first is None or not rate or not remaining:
            return None
        counted = self._seen[-1][1] - self._first
        if counted < _ETA_AFTER:
            return None
        spread = 2.0 / counted**0.5
        return remaining / (rate * (1 + spread)), remaining / (rate * max(0.2, 1 - spread))


def range_text(low: float, high: float) -> str:
    """A range of lengths of time in as few characters as tell it: `4-7m`, `50s-2m`."""
    if high < 1:
        return "1s"
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        if high >= size * 2 or size == 1:
            first, last = round(low / size), round(high / size)
            if first == last:
                return f"{last}{unit}"
            return f"{first}-{last}{unit}" if first else f"{spoken(low)}-{last}{unit}"
    return ""
