"""The façade that a driver holds: commands and events in, effects and records out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Concatenate, ParamSpec, TypeVar

from emulator.engine import jobs, nodes, pools, records, schedules, scheduling, tasks
from emulator.engine.core import CheckPackages, Core, Evaluate, Record
from emulator.engine.effects import Effect
from emulator.engine.records import Kind, Row
from emulator.engine.settings import Settings
from emulator.engine.world import Node, Task, World
from emulator.nodes.interface import TaskOutcome

P = ParamSpec("P")
R = TypeVar("R")


class Engine:
    """One account's scheduler.

    Every call but `next_deadline`, `world` and the takers is one step: timers that are
    due by now run first, each at its own instant, then the call, then what follows.
    """

    def __init__(
        self,
        account: str,
        settings: Settings,
        evaluate: Evaluate,
        check_packages: CheckPackages = lambda _body: None,
    ) -> None:
        self._core = Core(account, settings, evaluate, check_packages)

    @property
    def world(self) -> World:
        """What there is; to be read only."""
        return self._core.world

    @property
    def next_deadline(self) -> int | None:
        """When something is due next; None when nothing is until something happens."""
        return self._core.next_deadline

    def restore(self, now: int, rows: Iterable[Row]) -> None:
        """Takes up the world of a store. To be called once, before anything else."""
        self._core.now = now
        records.restore(self._core, rows)
        self._settle()

    def run(
        self,
        now: int,
        command: Callable[Concatenate[Core, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Executes a command: a function of the transitions' modules.

        Raises:
            Refused: The command does; nothing was changed then.
        """
        self.advance(now)
        try:
            return command(self._core, *args, **kwargs)
        finally:
            self._settle()

    def advance(self, now: int) -> None:
        """Lets time pass."""
        core = self._core
        while (timer := core.pop_due(now)) is not None:
            due, call, args = timer
            core.now = max(core.now, due)
            call(core, *args)
            self._settle()
        core.now = max(core.now, now)

    def attempt_started(self, now: int, attempt_id: int, at: int) -> None:
        """The command's process of an attempt exists since `at`; see `NodeRunner.run_task`."""
        self.advance(now)
        attempt = self._core.attempts.get(attempt_id)
        if attempt is not None:
            tasks.started(self._core, attempt, at)
            self._settle()

    def attempt_ended(self, now: int, attempt_id: int, outcome: TaskOutcome | None) -> None:
        """An attempt is over and all its processes are gone; None if it was cancelled."""
        self.advance(now)
        attempt = self._core.attempts.get(attempt_id)
        if attempt is None:
            return
        match attempt.kind:
            case "task" | "coordination":
                tasks.ended(self._core, attempt, outcome)
            case "start":
                nodes.start_task_ended(self._core, attempt, outcome)
            case "preparation" | "release":
                jobs.step_ended(self._core, attempt, outcome)
        self._settle()

    def take_effects(self) -> list[Effect]:
        """What is to be done since this was last asked, in order."""
        taken, self._core.effects = self._core.effects, []
        return taken

    def take_changes(self) -> tuple[list[Row], list[tuple[Kind, str, str]]]:
        """Records to be stored, and keys of those to be removed, since this was last asked."""
        dirty, self._core.dirty = self._core.dirty, {}
        rows = [records.row_of(r) for r, kept in dirty.items() if kept and self._belongs(r)]
        return rows, [records.key_of(record) for record, kept in dirty.items() if not kept]

    def _belongs(self, record: Record) -> bool:
        """Whether what a record is part of is still there."""
        match record:
            case Task():
                return self.world.jobs.get(record.job.key) is record.job
            case Node():
                return self.world.pools.get(record.pool.key) is record.pool
            case _:
                return True

    def _settle(self) -> None:
        """Works off the marks that transitions left, and what that marks in turn."""
        core = self._core
        while core.vacated or core.check or core.look_at or core.wake:
            vacated, core.vacated = core.vacated, {}
            for node in vacated:
                nodes.settle(core, node)
            check, core.check = core.check, {}
            for job in check:
                jobs.settle(core, job)
            look_at, core.look_at = core.look_at, {}
            for schedule in look_at:
                schedules.settle(core, schedule)
            wake, core.wake = core.wake, {}
            for key in wake:
                pool = core.world.pools.get(key)
                if pool is not None:
                    pools.settle(core, pool)
                    scheduling.assign(core, pool)
