"""An engine in the hands of a test: time is moved, attempts end when the test says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from emulator.clock import MAX_TICKS, from_datetime, seconds, to_datetime
from emulator.engine import formulas, jobs, pools, scaling, tasks
from emulator.engine.core import CheckPackages
from emulator.engine.effects import Cancel, Launch
from emulator.engine.engine import Engine
from emulator.engine.records import Row
from emulator.engine.settings import Settings
from emulator.engine.world import Attempt, Job, Node, Pool, Task
from emulator.nodes.interface import FailureInfo, TaskOutcome
from emulator.service import bodies
from emulator.spans import parse_span

MACHINE = {
    "imageReference": {"publisher": "p", "offer": "o", "sku": "s"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}
EXIT = FailureInfo(category="UserError", code="FailureExitCode", message="it failed")


class Play:
    """One account's engine with short commands."""

    def __init__(
        self, *, check_packages: CheckPackages = lambda _body: None, **settings: Any
    ) -> None:
        self.settings = Settings(seed=7, **settings)
        self.check_packages = check_packages
        self.engine = self._engine()
        self.now = from_datetime(datetime(2026, 1, 5, 12, tzinfo=UTC))
        self.launched: list[Attempt] = []
        self.cancelled: list[Attempt] = []
        self.stored: dict[tuple[str, str, str], Row] = {}
        self.engine.restore(self.now, ())

    def _engine(self) -> Engine:
        return Engine("local", self.settings, formulas.evaluate, self.check_packages)

    def run(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.engine.run(self.now, command, *args, **kwargs)
        finally:
            self.obey()

    def restart(self) -> None:
        """Begins again with what was stored."""
        rows = list(self.stored.values())
        self.engine = self._engine()
        self.engine.restore(self.now, rows)
        self.obey()

    def obey(self) -> None:
        for effect in self.engine.take_effects():
            if isinstance(effect, Launch):
                self.launched.append(effect.attempt)
            elif isinstance(effect, Cancel):
                self.cancelled.append(effect.attempt)
        rows, removed = self.engine.take_changes()
        for key in removed:
            self.stored.pop(key, None)
        self.stored |= {(row.kind, row.parent, row.key): row for row in rows}

    def wait(self, wait_s: float) -> None:
        self.now += seconds(wait_s)
        self.engine.advance(self.now)
        self.obey()

    def pool(self, pool_id: str = "p", *, dedicated: int = 0, spot: int = 0, **more: Any) -> Pool:
        wire = {"id": pool_id, "vmSize": "x", "virtualMachineConfiguration": MACHINE, **more}
        body = bodies.pool(wire, "")
        targets = dedicated, spot
        name = body.pop("id")
        found: Pool = self.run(pools.add, name, body, targets=targets, resize_timeout=0)
        return found

    def scaled_pool(self, formula: str, interval_s: float = 300) -> Pool:
        pool = self.pool()
        self.run(scaling.enable, pool, formula, seconds(interval_s), asked=False)
        return pool

    def ready_pool(self, **how: Any) -> Pool:
        """A pool whose nodes are idle."""
        pool = self.pool(**how)
        self.wait(7200)
        return pool

    def job(self, job_id: str = "j", **more: Any) -> Job:
        body = bodies.job({"id": job_id, "poolInfo": {"poolId": "p"}, **more}, "")
        found: Job = self.run(jobs.add, body.pop("id"), body, wall_clock=MAX_TICKS)
        return found

    def task(self, job: Job, task_id: str, **more: Any) -> Task:
        body = bodies.task({"id": task_id, "commandLine": "run", **more}, "")
        retention = parse_span(body["constraints"]["retentionTime"])
        found: Task = self.run(tasks.add, job, body, retention)
        return found

    def placed(self) -> list[str]:
        """Ids of the tasks that run, in the order in which they were launched."""
        return [a.task_id for a in self.launched if a.id in a.node.attempts]

    def end(self, task_id: str, code: int | None = 0, failure: FailureInfo | None = None) -> None:
        """Ends the attempt that runs a task: with an exit code, or as cancelled by None."""
        attempt = next(
            a for a in self.launched if a.task_id == task_id and a.id in a.node.attempts
        )
        self.end_attempt(attempt, code, failure)

    def end_attempt(
        self, attempt: Attempt, code: int | None, failure: FailureInfo | None = None
    ) -> None:
        """Ends an attempt: with an exit code, or as cancelled by None."""
        at = to_datetime(self.now)
        outcome = TaskOutcome(
            start_time=at,
            end_time=at,
            exit_code=code,
            failure=failure or (EXIT if code else None),
        )
        ended = None if code is None and failure is None else outcome
        self.engine.attempt_ended(self.now, attempt.id, ended)
        self.obey()

    def node(self, pool: Pool) -> Node:
        return next(iter(pool.nodes.values()))
