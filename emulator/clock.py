"""Time as the service counts it, and the clock that the driver of the engine waits on.

An instant is an integer number of .NET ticks: 100 ns since 0001-01-01 UTC. It is what
the service's ETags are made of and what its timestamps can show, and integers neither
round nor cost much. A span is ticks, too.

**Wall time and service time.** Every instant is wall time: what the wire shows, what a
task's process lives in, what its wall-clock limit counts. What the *service* makes one
wait for (a node's boot, an autoscale interval) is given in service seconds, and a clock
of speed X makes it X times shorter: 300 s of service time take 5 s of wall time at
speed 60. Only `service_ticks` converts, when a wait begins; nothing else is scaled. So
timestamps of a fast emulator are true, and lie closer together than Azure's would.
An autoscale formula thinks in service time ("the last five minutes"): the engine hands
it samples whose *age* is stretched by the speed, with `time()` still the wall time.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

TICKS_PER_SECOND = 10_000_000
UNIX_EPOCH_TICKS = 621_355_968_000_000_000
MAX_TICKS = 2**63 - 1
"""Of a span: `TimeSpan.MaxValue`, which the service calls unlimited."""

_DAY = 86_400 * TICKS_PER_SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds(value: float) -> int:
    """A span of so many seconds."""
    return round(value * TICKS_PER_SECOND)


def from_datetime(moment: datetime) -> int:
    """The instant of an aware datetime."""
    return UNIX_EPOCH_TICKS + (moment - _EPOCH) // timedelta(microseconds=1) * 10


def to_datetime(ticks: int) -> datetime:
    """The instant as an aware datetime, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=(ticks - UNIX_EPOCH_TICKS) // 10)


def to_unix(ticks: int) -> float:
    """The instant in seconds since 1970."""
    return (ticks - UNIX_EPOCH_TICKS) / TICKS_PER_SECOND


class Timer(Protocol):
    """A call that was asked for and can be called off."""

    def cancel(self) -> None:
        """Calls it off; no error if it was made already."""
        ...


class Clock(Protocol):
    """Tells the time and calls back; `speed` divides what the service makes one wait for."""

    speed: float

    def now(self) -> int:
        """This instant; never before one told earlier."""
        ...

    def call_at(self, ticks: int, callback: Callable[[], None]) -> Timer:
        """Calls back once, at the instant or soon after."""
        ...


def service_ticks(wait_s: float, speed: float) -> int:
    """Wall ticks that a wait of so many service seconds takes at a speed."""
    return seconds(wait_s / speed)


class SystemClock:
    """The machine's clock; callbacks run in the running event loop."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = _checked(speed)
        self._last = 0

    def now(self) -> int:
        """This instant; a clock that is set back stands still until it caught up."""
        self._last = max(self._last, UNIX_EPOCH_TICKS + time.time_ns() // 100)
        return self._last

    def call_at(self, ticks: int, callback: Callable[[], None]) -> Timer:
        """Calls back from the event loop."""
        # A day at the most: a clock that is set meanwhile, or a far deadline, is looked at again.
        delay = min(max(ticks - self.now(), 0), _DAY) / TICKS_PER_SECOND
        return asyncio.get_running_loop().call_later(delay, callback)


class _ManualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that only `advance` moves: time in tests is a number, not a wait."""

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        self.speed = _checked(speed)
        self._now = from_datetime(start or datetime(2026, 1, 5, 12, tzinfo=UTC))
        self._timers: list[tuple[int, int, _ManualTimer]] = []
        self._count = 0

    def now(self) -> int:
        """The instant that was last advanced to."""
        return self._now

    def call_at(self, ticks: int, callback: Callable[[], None]) -> Timer:
        """Calls back from within `advance`."""
        timer = _ManualTimer(callback)
        self._count += 1
        heapq.heappush(self._timers, (ticks, self._count, timer))
        return timer

    def advance(self, wait_s: float) -> None:
        """Moves on by wall seconds; what falls due on the way is called at its own instant."""
        for _ in self.steps(wait_s):
            pass

    def steps(self, wait_s: float) -> Iterator[None]:
        """`advance`, which pauses whenever something fell due.

        Whoever iterates can have other things happen at that instant, and can stop there.
        """
        end = self._now + seconds(wait_s)
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, due)
            if timer.callback is not None:
                timer.callback()
                yield
        self._now = max(self._now, end)


def _checked(speed: float) -> float:
    if not 0 < speed < float("inf"):
        raise ValueError(f"the service's speed must be positive and finite, not {speed}")
    return speed
