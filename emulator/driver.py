"""The driver of one account: its engine, the timers it waits on, the tasks it has run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from emulator.applications.catalogue import Catalogue
from emulator.clock import Clock, Timer, from_datetime, to_datetime
from emulator.engine import formulas, nodes
from emulator.engine.core import Core
from emulator.engine.effects import (
    AddNode,
    Cancel,
    Deploy,
    Effect,
    Launch,
    RemoveFiles,
    RemoveNode,
)
from emulator.engine.engine import Engine
from emulator.engine.records import Kind, Row
from emulator.engine.settings import Settings
from emulator.engine.world import Attempt, Node, Task, World
from emulator.launches import Launches
from emulator.nodes import node_log
from emulator.nodes.interface import (
    AttemptLostError,
    FailureInfo,
    NodeFacts,
    NodeRunner,
    PackageFacts,
    TaskKind,
    TaskLaunch,
    TaskOutcome,
)
from emulator.service.applications import check_references

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)

_BEGUN_AGAIN = ("task", "coordination", "preparation")
"""What is requeued, with its task, when its attempt is lost, as when a node is; a start task has
retries of its own, and a release task is not tried twice."""


class AccountDriver:
    """Runs one account's engine (`emulator.service.call.Host` for the handlers).

    Args:
        name: Of the account.
        clock: The time.
        runner: Runs the tasks.
        settings: Of the engine.
        applications: The account's.
        base_url: Tells where tasks reach the service.
        key: Tells the account's key, which signs the tokens of its tasks.
        changed: To be called when there is something to store.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        runner: NodeRunner,
        settings: Settings,
        applications: Catalogue,
        base_url: Callable[[], str],
        key: Callable[[], bytes],
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self.applications = applications
        self._clock = clock
        self._runner = runner
        self._launches = Launches(name, applications, base_url=base_url, key=key)
        self._changed = changed
        self._engine = Engine(name, settings, formulas.evaluate, partial(check_references, self))
        self._timer: Timer | None = None
        self._deadline: int | None = None
        self._attempts: dict[int, asyncio.Task[TaskOutcome | None]] = {}
        self._by_node: dict[str, dict[int, asyncio.Task[TaskOutcome | None]]] = {}
        self._chores: dict[str, asyncio.Task[None]] = {}
        self._packages: dict[str, tuple[PackageFacts, ...]] = {}
        """What each node got at its last boot: an update of the pool waits for the next."""
        self._stopped = True

    # Life

    def restore(self, rows: Iterable[Row]) -> None:
        """Makes the world of its rows; nothing is done yet.

        Raises:
            DamagedRecordsError: The rows do not make a world.
        """
        self._engine.restore(self._clock.now(), rows)

    def start(self) -> None:
        """Takes up the world that was restored; from now on its time passes."""
        self._stopped = False
        for pool in self.world.pools.values():
            for node in pool.nodes.values():
                self._execute(AddNode(node))
        self._after()

    def stop(self) -> None:
        """Lets no time pass any more, and takes no notice of what ends from now on."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def join(self) -> None:
        """Waits until nothing that this driver began still runs."""
        running = [*self._attempts.values(), *self._chores.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def remove_nodes(self) -> None:
        """Ends whatever runs and removes every node's directories."""
        for pool in self.world.pools.values():
            for node in pool.nodes.values():
                for task in self._by_node.get(node.id, {}).values():
                    task.cancel()
                self._execute(RemoveNode(node))
        await asyncio.gather(*self._chores.values(), return_exceptions=True)

    # What handlers ask of it

    @property
    def world(self) -> World:
        """What there is; to be read only."""
        return self._engine.world

    def run(
        self, command: Callable[Concatenate[Core, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Executes a command of the engine now."""
        try:
            return self._engine.run(self._clock.now(), command, *args, **kwargs)
        finally:
            self._after()

    def task_directory(self, task: Task) -> Path:
        """Of a task on its node."""
        node = next((node for node in self._nodes_of(task) if node.id == task.node_id), None)
        if node is None:
            raise LookupError(f"the node of {task.id} is gone")
        return self._runner.task_directory(self._launches.of_ended(task, node))

    def _nodes_of(self, task: Task) -> list[Node]:
        """Those where it ran last, the primary's first, that are still there."""
        pool = self.world.pools.get(task.pool_id.lower())
        ids = [task.node_id, *(subtask.node_id for subtask in task.subtasks)]
        return [pool.nodes[i] for i in ids if i in pool.nodes] if pool else []

    def node_directory(self, node: Node) -> Path:
        """The node's root."""
        return self._runner.node_directory(self._launches.facts(node))

    def upload_logs(
        self,
        node: Node,
        container_url: str,
        identity: Mapping[str, Any] | None,
        prefix: str,
        span: tuple[int, int | None],
    ) -> int:
        """Begins to upload what a node has logged since an instant; how many files those are.

        A log is one file, so that its end is not cut off where the span ends before now.
        """
        since, _ = span
        found = node_log.files(self.node_directory(node), to_datetime(since).timestamp())
        blobs = {f"{prefix}/{name}": path for name, path in found.items()}
        self._chore(
            node.id,
            partial(
                self._runner.upload, self._launches.facts(node), blobs, container_url, identity
            ),
        )
        return len(blobs)

    # What the server asks of it

    def take_changes(self) -> tuple[list[Row], list[tuple[Kind, str, str]]]:
        """Records to be stored, and keys of those to be removed."""
        return self._engine.take_changes()

    # The engine's wishes

    def _after(self) -> None:
        """Executes effects, has changes stored, and waits for the next deadline."""
        for effect in self._engine.take_effects():
            self._execute(effect)
        self._changed()
        deadline = None if self._stopped else self._engine.next_deadline
        if deadline == self._deadline and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deadline = deadline
        if deadline is not None:
            self._timer = self._clock.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if not self._stopped:
            self._engine.advance(self._clock.now())
            self._after()

    def _execute(self, effect: Effect) -> None:
        match effect:
            case Launch(attempt):
                self._launch(attempt)
            case Cancel(attempt):
                running = self._attempts.get(attempt.id)
                if running is not None:
                    running.cancel()
            case AddNode(node):
                self._chore(node.id, partial(self._runner.add_node, self._launches.facts(node)))
            case Deploy(node, boot, references):
                self._chore(node.id, partial(self._deploy, node, boot, references))
            case RemoveNode(node):
                self._chore(node.id, partial(self._remove_node, self._launches.facts(node)))
            case RemoveFiles(task):
                for node in self._nodes_of(task):
                    launch = self._launches.of_ended(task, node)
                    self._chore(node.id, partial(self._remove_files, launch))

    # Chores of a node, one after the other

    def _chore(self, node_id: str, work: Callable[[], Any]) -> None:
        before = self._chores.get(node_id)

        async def chore() -> None:
            if before is not None:
                await asyncio.wait([before])
            try:
                await work()
            except Exception:
                logger.exception("a chore of node %s failed", node_id)

        task = self._chores[node_id] = asyncio.create_task(chore())
        task.add_done_callback(partial(self._chore_done, node_id))

    def _chore_done(self, node_id: str, task: asyncio.Task[None]) -> None:
        if self._chores.get(node_id) is task:
            del self._chores[node_id]

    async def _deploy(
        self, node: Node, boot: int, references: Iterable[Mapping[str, Any]]
    ) -> None:
        packages: tuple[PackageFacts, ...] = ()
        failure: FailureInfo | None
        try:
            packages = self._launches.packages(references)
            failure = await self._runner.deploy(self._launches.facts(node), packages)
        except Exception:  # else the node would wait for its packages for ever
            logger.exception("node %s failed to bring its application packages", node.id)
            failure = _internal("The node failed to bring its application packages")
        if self._stopped:
            return
        if failure is None:
            self._packages[node.id] = packages
        self.run(nodes.deployed, node, boot, None if failure is None else _node_error(failure))

    async def _remove_node(self, facts: NodeFacts) -> None:
        self._packages.pop(facts.node_id, None)
        running = [*self._by_node.get(facts.node_id, {}).values()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await self._runner.remove_node(facts)

    async def _remove_files(self, launch: TaskLaunch) -> None:
        same = [
            task
            for task in self._by_node.get(launch.node.node_id, {}).values()
            if task.get_name() in {_name(launch), _name(launch, "coordination")}
        ]
        if same:
            await asyncio.wait(same)
        await self._runner.remove_task(launch)

    # Attempts

    def _launch(self, attempt: Attempt) -> None:
        on_node = self._packages.get(attempt.node.id, ())
        launch = self._launches.of_attempt(attempt, on_node)
        ready = self._chores.get(attempt.node.id)
        task = asyncio.create_task(self._run(attempt.id, launch, ready), name=_name(launch))
        self._attempts[attempt.id] = task
        self._by_node.setdefault(attempt.node.id, {})[attempt.id] = task
        task.add_done_callback(partial(self._ended, attempt.id, attempt.node.id))

    async def _run(
        self, attempt_id: int, launch: TaskLaunch, ready: asyncio.Task[None] | None
    ) -> TaskOutcome | None:
        if ready is not None:
            await asyncio.wait([ready])
        began = datetime.now(UTC)
        try:
            return await self._runner.run_task(launch, partial(self._started, attempt_id))
        except AttemptLostError as lost:
            logger.warning("%s was lost: %s", _name(launch), lost)
            return None if launch.kind in _BEGUN_AGAIN else lost.outcome
        except Exception:
            logger.exception("the node of task %s failed", launch.task_id)
            failure = _internal("The node failed to run the task")
            return TaskOutcome(
                start_time=began, end_time=datetime.now(UTC), exit_code=None, failure=failure
            )

    def _started(self, attempt_id: int, at: datetime) -> None:
        if not self._stopped:
            self._engine.attempt_started(self._clock.now(), attempt_id, from_datetime(at))
            self._after()

    def _ended(
        self, attempt_id: int, node_id: str, task: asyncio.Task[TaskOutcome | None]
    ) -> None:
        del self._attempts[attempt_id]
        on_node = self._by_node[node_id]
        del on_node[attempt_id]
        if not on_node:
            del self._by_node[node_id]
        if self._stopped:
            return
        outcome = None if task.cancelled() else task.result()
        self._engine.attempt_ended(self._clock.now(), attempt_id, outcome)
        self._after()


def _name(launch: TaskLaunch, kind: TaskKind | None = None) -> str:
    return f"{kind or launch.kind}:{launch.job_id}/{launch.task_id}"


def _internal(what: str) -> FailureInfo:
    return FailureInfo(
        category="ServerError",
        code="InternalError",
        message=f"{what}; the emulator's log has the reason",
    )


def _node_error(failure: FailureInfo) -> dict[str, Any]:
    details = [{"name": name, "value": value} for name, value in failure.details]
    return {"code": failure.code, "message": failure.message, "errorDetails": details}
