"""What every transition needs: the world, the present instant, timers, effects.

A transition changes the world and leaves marks: effects for the driver, records to be
stored, pools whose queues must be looked at, jobs and schedules that may be over. The marks are
worked off at the end of each step (`emulator.engine.engine`), so that no transition
calls another's consequences, and a hundred completions make one look at the queue.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from emulator.engine.effects import Effect
from emulator.engine.settings import Settings
from emulator.engine.world import Attempt, Job, Node, Pool, Schedule, Task, World

Record = Pool | Node | Job | Task | Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingResult:
    """What came of a formula.

    Attributes:
        results: The service's string of variables.
        error: `code`, `message`, `values` as the wire has them, or None.
        dedicated: Target to apply, unchanged after an error.
        spot: Likewise.
        deallocation_option: Likewise.
    """

    results: str
    error: dict[str, Any] | None
    dedicated: int
    spot: int
    deallocation_option: str


Samples = Mapping[str, Sequence[tuple[float, float]]]
Evaluate = Callable[[str, Samples, float, tuple[int, int]], ScalingResult]
"""(formula, samples as (seconds since 1970, value), now likewise, present targets)."""


CheckPackages = Callable[[Mapping[str, Any]], None]
"""Refuses the body of a pool that refers to application packages that are not there."""


class Core:
    """The state of one account's engine between two steps."""

    def __init__(
        self, account: str, settings: Settings, evaluate: Evaluate, check_packages: CheckPackages
    ) -> None:
        self.world = World(account)
        self.settings = settings
        self.evaluate = evaluate
        self.check_packages = check_packages
        self.random = Random(f"{settings.seed}/{account}")  # noqa: S311 - waits and ids, no secrets
        self.now = 0
        self.effects: list[Effect] = []
        self.dirty: dict[Record, bool] = {}
        self.attempts: dict[int, Attempt] = {}
        self.wake: dict[str, None] = {}
        self.check: dict[Job, None] = {}
        self.look_at: dict[Schedule, None] = {}
        self.vacated: dict[Node, None] = {}
        self._count = 0
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._lanes: dict[tuple[int, Callable[..., None]], deque[tuple[int, Any]]] = {}

    def next_number(self) -> int:
        """A number larger than all before."""
        self._count += 1
        return self._count

    def number_at_least(self, number: int) -> None:
        """Numbers given out from now on are larger than this one."""
        self._count = max(self._count, number)

    # Records to be stored

    def save(self, record: Record) -> None:
        """Marks a record to be stored."""
        self.dirty[record] = True

    def touch(self, record: Pool | Job | Task | Schedule) -> None:
        """Marks what a client changed to be stored; its ETag changes."""
        record.modified = max(self.now, record.modified + 1)
        self.save(record)

    def forget(self, record: Record) -> None:
        """Marks a record to be removed from the store."""
        self.dirty[record] = False

    # Timers

    def at(self, due: int, call: Callable[..., None], *args: Any) -> None:
        """Has `call(core, *args)` made at an instant; it finds out itself if it is too late."""
        heapq.heappush(self._heap, (due, self.next_number(), call, args))

    def after(self, wait_s: float, call: Callable[..., None], *args: Any) -> None:
        """Has a call made after so many service seconds."""
        self.at(self.now + self.settings.ticks(wait_s), call, *args)

    def in_lane(self, wait: int, call: Callable[..., None], item: Any) -> None:
        """Has `call(core, item)` made after a wait in ticks that very many have in common.

        Waits of one length end in the order in which they began: such a queue has only
        its head among the timers.
        """
        lane = self._lanes.get((wait, call))
        if lane is None:
            lane = self._lanes[wait, call] = deque()
        lane.append((self.now + wait, item))
        if len(lane) == 1:
            self.at(self.now + wait, _run_lane, wait, call)

    def run_lane(self, wait: int, call: Callable[..., None]) -> None:
        """Makes the calls of a lane that are due."""
        lane = self._lanes[wait, call]
        while lane and lane[0][0] <= self.now:
            call(self, lane.popleft()[1])
        if lane:
            self.at(lane[0][0], _run_lane, wait, call)
        else:
            del self._lanes[wait, call]

    @property
    def next_deadline(self) -> int | None:
        """When the next timer is due."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: int) -> tuple[int, Callable[..., None], tuple[Any, ...]] | None:
        """The next timer that is due by now, taken off."""
        if not self._heap or self._heap[0][0] > now:
            return None
        due, _, call, args = heapq.heappop(self._heap)
        return due, call, args


def _run_lane(core: Core, wait: int, call: Callable[..., None]) -> None:
    core.run_lane(wait, call)
