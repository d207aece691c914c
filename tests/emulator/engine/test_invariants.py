"""Whatever clients, nodes and time do: what always holds of the engine's world."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from emulator.clock import from_datetime, seconds, to_datetime
from emulator.engine import gangs, jobs, nodes, pools, schedules, tasks
from emulator.engine.core import ScalingResult
from emulator.engine.effects import AddNode, Cancel, Launch, RemoveNode
from emulator.engine.engine import Engine
from emulator.engine.records import Row
from emulator.engine.refusal import Refused
from emulator.engine.settings import Settings
from emulator.engine.world import SCHEDULABLE, Attempt, Job, Node, Pool, Task, Timing
from emulator.nodes.interface import FailureInfo, TaskOutcome
from emulator.service import bodies

START = from_datetime(to_datetime(0) + timedelta(days=730_000))
FAILED = FailureInfo(category="UserError", code="FailureExitCode", message="it failed")
MACHINE = {
    "imageReference": {"publisher": "p", "offer": "o", "sku": "s"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}
SECONDS = st.sampled_from([0.0, 0.5, 3.0, 60.0, 900.0])


def no_formula(
    _formula: str, _samples: Any, _now: float, targets: tuple[int, int]
) -> ScalingResult:
    return ScalingResult(
        results="",
        error=None,
        dedicated=targets[0],
        spot=targets[1],
        deallocation_option="requeue",
    )


def pool_info(pool: str) -> dict[str, Any]:
    """A pool by its id, or one made for a job's or a schedule's life."""
    if pool not in {"job", "jobschedule"}:
        return {"poolId": pool}
    made = {"vmSize": "x", "virtualMachineConfiguration": MACHINE, "targetDedicatedNodes": 2}
    return {"autoPoolSpecification": {"poolLifetimeOption": pool, "pool": made}}


class Scheduler(RuleBasedStateMachine):
    """Plays clients, nodes and time against one engine, and holds it to its invariants."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine("local", Settings(seed=1), no_formula)
        self.now = START
        self.running: dict[int, Attempt] = {}
        self.cancelled: set[int] = set()
        self.node_ids: set[str] = set()
        self.stored: dict[tuple[str, str, str], Row] = {}
        self.finished: Counter[str] = Counter()
        self.number = 0
        self.done: dict[Job, set[str]] = {}
        self.reactivated: set[str] = set()
        self.engine.restore(self.now, ())

    # The driver's part

    def run(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.engine.run(self.now, command, *args, **kwargs)
        except Refused:
            return None
        finally:
            self.obey()

    def obey(self) -> None:
        for effect in self.engine.take_effects():
            match effect:
                case Launch(attempt):
                    assert attempt.id not in self.running
                    assert attempt.node.id in self.node_ids
                    self.running[attempt.id] = attempt
                case Cancel(attempt):
                    assert attempt.id in self.running, "what does not run is not cancelled"
                    self.cancelled.add(attempt.id)
                case AddNode(node):
                    assert node.id not in self.node_ids
                    self.node_ids.add(node.id)
                case RemoveNode(node):
                    self.node_ids.remove(node.id)
        rows, removed = self.engine.take_changes()
        for kind, parent, key in removed:
            self.stored.pop((kind, parent, key), None)
            if kind == "job":
                self.stored = {k: v for k, v in self.stored.items() if k[:2] != ("task", key)}
        for row in rows:
            self.stored[row.kind, row.parent, row.key] = row

    def end(self, attempt_id: int, code: int) -> None:
        attempt = self.running.pop(attempt_id)
        outcome = None
        if attempt_id not in self.cancelled:
            at = to_datetime(self.now)
            failure = FAILED if code else None
            outcome = TaskOutcome(start_time=at, end_time=at, exit_code=code, failure=failure)
        self.cancelled.discard(attempt_id)
        self.engine.attempt_ended(self.now, attempt.id, outcome)
        self.obey()

    def any_of(self, things: Any, pick: int) -> Any:
        listed = list(things)
        return listed[pick % len(listed)] if listed else None

    def all_pools(self) -> list[Pool]:
        return list(self.engine.world.pools.values())

    def named_pools(self) -> list[Pool]:
        return [pool for pool in self.all_pools() if pool.id in {"a", "b"}]

    def all_jobs(self) -> list[Job]:
        return list(self.engine.world.jobs.values())

    def all_tasks(self) -> list[Task]:
        return [task for job in self.all_jobs() for task in job.tasks.values()]

    def all_nodes(self) -> list[Node]:
        return [node for pool in self.all_pools() for node in pool.nodes.values()]

    # What clients do

    @precondition(lambda self: len(self.named_pools()) < 2)
    @rule(
        slots=st.integers(1, 3),
        sizes=st.tuples(st.integers(0, 3), st.integers(0, 2)),
        fill=st.sampled_from(["spread", "pack"]),
        start=st.booleans(),
        linked=st.booleans(),
    )
    def add_pool(
        self, slots: int, sizes: tuple[int, int], fill: str, start: bool, linked: bool
    ) -> None:
        wire: dict[str, Any] = {
            "id": self.any_of(["a", "b"], len(self.named_pools())),
            "vmSize": "x",
            "virtualMachineConfiguration": MACHINE,
            "taskSlotsPerNode": 1 if linked else slots,
            "enableInterNodeCommunication": linked,
            "taskSchedulingPolicy": {"nodeFillType": fill},
        }
        if start:
            wire["startTask"] = {"commandLine": "start", "maxTaskRetryCount": 1}
        body = bodies.pool(wire, "")
        pool_id = body.pop("id")
        self.run(pools.add, pool_id, body, targets=sizes, resize_timeout=0)

    @precondition(lambda self: len(self.all_jobs()) < 4)
    @rule(
        pool=st.sampled_from(["a", "b", "job"]),
        priority=st.integers(-1, 1),
        most=st.sampled_from([-1, 1, 2]),
        preparation=st.booleans(),
        action=st.sampled_from(["noaction", "performexitoptionsjobaction"]),
        end=st.sampled_from(["noaction", "terminatejob"]),
        gives_way=st.booleans(),
        manager=st.sampled_from([None, None, True, False]),
    )
    def add_job(
        self,
        pool: str,
        priority: int,
        most: int,
        preparation: bool,
        action: str,
        end: str,
        gives_way: bool,
        manager: bool | None,
    ) -> None:
        self.number += 1
        wire: dict[str, Any] = {
            "id": f"j{self.number}",
            "poolInfo": pool_info(pool),
            "allowTaskPreemption": gives_way,
            "priority": priority,
            "maxParallelTasks": most,
            "usesTaskDependencies": True,
            "onTaskFailure": action,
            "onAllTasksComplete": end,
        }
        if preparation:
            wire["jobPreparationTask"] = {"commandLine": "prepare"}
            wire["jobReleaseTask"] = {"commandLine": "release"}
        if manager is not None:
            wire["jobManagerTask"] = {
                "id": "manager",
                "commandLine": "manage",
                "runExclusive": manager,
                "killJobOnCompletion": manager,
            }
        body = bodies.job(wire, "")
        self.run(jobs.add, body.pop("id"), body, wall_clock=seconds(10**9))

    @precondition(lambda self: len(self.engine.world.schedules) < 2 and len(self.all_jobs()) < 5)
    @rule(
        pool=st.sampled_from(["a", "b", "job", "jobschedule"]),
        interval=st.sampled_from([None, 60, 900]),
        window=st.sampled_from([None, 60]),
        after=st.sampled_from([None, 1800]),
    )
    def add_schedule(
        self, pool: str, interval: int | None, window: int | None, after: int | None
    ) -> None:
        self.number += 1
        spec = {"poolInfo": pool_info(pool), "onAllTasksComplete": "terminatejob"}
        spec["jobManagerTask"] = {"id": "manager", "commandLine": "manage"}
        body = bodies.schedule({"id": f"s{self.number}", "jobSpecification": spec}, "")
        timing = Timing(
            interval=None if interval is None else seconds(interval),
            window=None if window is None else seconds(window),
            after=None if after is None else self.now + seconds(after),
        )
        self.run(
            schedules.add,
            body.pop("id"),
            body,
            timing=timing,
            wall_clock=seconds(10**9),
            retention=seconds(3600),
        )

    @rule(
        pick=st.integers(0),
        what=st.sampled_from(
            [schedules.disable, schedules.enable, schedules.terminate, schedules.delete]
        ),
    )
    def act_on_schedule(self, pick: int, what: Any) -> None:
        if schedule := self.any_of(self.engine.world.schedules.values(), pick):
            self.run(what, schedule)

    @rule(pick=st.integers(0), instances=st.integers(1, 3), retries=st.integers(0, 1))
    def add_gang(self, pick: int, instances: int, retries: int) -> None:
        job = self.any_of(self.all_jobs(), pick)
        if job is None:
            return
        self.number += 1
        wire = {
            "id": str(self.number),
            "commandLine": "run",
            "multiInstanceSettings": {
                "numberOfInstances": instances,
                "coordinationCommandLine": "coordinate",
            },
            "constraints": {"maxTaskRetryCount": retries},
        }
        self.run(tasks.add, job, bodies.task(wire, ""), seconds(3600))

    @rule(
        pick=st.integers(0),
        slots=st.integers(1, 4),
        retries=st.integers(-1, 2),
        parents=st.lists(st.integers(0, 60), max_size=2),
        count=st.integers(1, 4),
    )
    def add_tasks(
        self, pick: int, slots: int, retries: int, parents: list[int], count: int
    ) -> None:
        job = self.any_of(self.all_jobs(), pick)
        if job is None:
            return
        for _ in range(count):
            self.number += 1
            wire = {
                "id": str(self.number),
                "commandLine": "run",
                "requiredSlots": slots,
                "constraints": {"maxTaskRetryCount": retries},
                "dependsOn": {"taskIds": [str(p) for p in parents if p < self.number]},
            }
            self.run(tasks.add, job, bodies.task(wire, ""), seconds(3600))

    @rule(
        pick=st.integers(0),
        sizes=st.tuples(st.integers(0, 3), st.integers(0, 2)),
        option=st.sampled_from(["requeue", "terminate", "taskcompletion", "retaineddata"]),
    )
    def resize(self, pick: int, sizes: tuple[int, int], option: str) -> None:
        if pool := self.any_of(self.all_pools(), pick):
            self.run(pools.resize, pool, sizes, option, 0)

    @rule(pick=st.integers(0))
    def stop_resize(self, pick: int) -> None:
        if pool := self.any_of(self.all_pools(), pick):
            self.run(pools.stop_resize, pool)

    @rule(
        pick=st.integers(0),
        what=st.sampled_from([tasks.terminate, tasks.delete, tasks.reactivate]),
    )
    def act_on_task(self, pick: int, what: Any) -> None:
        if task := self.any_of(self.all_tasks(), pick):
            if what is tasks.reactivate:
                self.reactivated.add(task.key)
            self.run(what, task)

    @rule(
        pick=st.integers(0),
        option=st.sampled_from(["requeue", "terminate", "wait"]),
        what=st.sampled_from(["disable", "enable", "enable", "terminate", "delete"]),
    )
    def act_on_job(self, pick: int, option: str, what: str) -> None:
        if job := self.any_of(self.all_jobs(), pick):
            match what:
                case "disable":
                    self.run(jobs.disable, job, option)
                case "enable":
                    self.run(jobs.enable, job)
                case "terminate":
                    self.run(jobs.terminate, job, "because")
                case _:
                    self.run(jobs.delete, job)

    @rule(
        pick=st.integers(0),
        option=st.sampled_from(["requeue", "terminate", "taskcompletion"]),
        what=st.sampled_from(
            ["reboot", "reimage", "deallocate", "start", "off", "on", "remove", "preempt", "break"]
        ),
    )
    def act_on_node(self, pick: int, option: str, what: Any) -> None:
        node = self.any_of(self.all_nodes(), pick)
        if node is None:
            return
        match what:
            case "start":
                self.run(nodes.start, node)
            case "off":
                self.run(nodes.disable_scheduling, node, option)
            case "on":
                self.run(nodes.enable_scheduling, node)
            case "remove":
                self.run(pools.remove_nodes, node.pool, [node.id], option)
            case "preempt":
                self.run(nodes.preempt, node)
            case "break":
                self.run(nodes.make_unusable, node, {"code": "Broken"})
            case _:
                self.run(nodes.operate, node, what, option)

    @rule(pick=st.integers(0))
    def delete_pool(self, pick: int) -> None:
        pool = self.any_of(self.all_pools(), pick)
        if pool is not None and pool.state == "active" and pick % 5 == 0:
            self.run(pools.delete, pool)

    # What nodes, time and the machine do

    @rule(wait_s=SECONDS)
    def pass_time(self, wait_s: float) -> None:
        self.now += seconds(wait_s)
        self.engine.advance(self.now)
        self.obey()

    @rule(pick=st.integers(0), code=st.sampled_from([0, 0, 0, 1]))
    def end_one(self, pick: int, code: int) -> None:
        attempt_id = self.any_of(self.running, pick)
        if attempt_id is None:
            return
        # A coordination that has returned only ends when it is called off, or fails.
        coordination = self.running[attempt_id].kind == "coordination"
        if coordination and not code and attempt_id not in self.cancelled:
            self.coordinate(attempt_id)
        else:
            self.end(attempt_id, code)

    def coordinate(self, attempt_id: int) -> None:
        self.engine.attempt_started(self.now, attempt_id, self.now)
        self.obey()

    @rule()
    def restart(self) -> None:
        counted = {job.key: dict(_recount(job)) for job in self.all_jobs()}
        self.engine = Engine("local", Settings(seed=1), no_formula)
        self.running.clear()
        self.cancelled.clear()
        self.now += 1
        rows = list(self.stored.values())
        self.node_ids = {row.key for row in rows if row.kind == "node"}
        self.engine.restore(self.now, rows)
        self.obey()
        # A schedule makes a job at once whose predecessor was being deleted.
        again = {job.key: len(job.tasks) for job in self.all_jobs() if job.key in counted}
        before = {key: sum(counts.values()) for key, counts in counted.items()}
        assert again == before, "no task is lost or doubled"

    # What always holds

    @invariant()
    def an_auto_pool_is_somebodys_or_is_going(self) -> None:
        owned = {job.pool_key for job in self.all_jobs() if job.state != "completed"}
        owned |= {
            one.pool_id.lower()
            for one in self.engine.world.schedules.values()
            if one.state != "completed"
        }
        for pool in self.all_pools():
            assert pool.id in {"a", "b"} or pool.state == "deleting" or pool.key in owned

    @invariant()
    def a_task_is_on_one_node_at_most(self) -> None:
        on = Counter(
            (attempt.job.key, attempt.task_id)
            for attempt in self.running.values()
            if attempt.kind == "task" and attempt.job and attempt.intent != "delete"
        )
        assert all(times == 1 for times in on.values()), on

    @invariant()
    def a_multi_instance_task_is_on_all_of_its_nodes_or_on_none(self) -> None:
        for task in self.all_tasks():
            gang = task.gang
            assert (gang is not None) is bool(task.instances and task.attempt)
            if gang is None or gang.intent or gang.outcome:
                continue
            assert sorted(gang.instances) == list(range(task.instances))
            held = [attempt.node for attempt in gang.instances.values()]
            assert len(set(held)) == task.instances
            assert all(attempt.id in attempt.node.attempts for attempt in gang.instances.values())
            if gang.application is not None:
                assert gang.application.node is gang.instances[0].node
                assert len(gang.coordinated) == task.instances

    @invariant()
    def a_schedule_has_one_unfinished_job_at_most(self) -> None:
        for schedule in self.engine.world.schedules.values():
            of_it = [job for job in self.all_jobs() if job.schedule == schedule.key]
            going = [job for job in of_it if job.state not in {"completed", "deleting"}]
            assert len(going) <= 1
            assert schedule.state != "completed" or not going

    @invariant()
    def completed_counts_never_fall_but_by_a_client(self) -> None:
        for job in self.all_jobs():
            done = {key for key, task in job.tasks.items() if task.state == "completed"}
            before = self.done.get(job, set())
            assert before & job.tasks.keys() <= done | self.reactivated
            self.done[job] = done
        self.reactivated.clear()

    @invariant()
    def slots_are_never_exceeded_and_never_leak(self) -> None:
        for node in self.all_nodes():
            assert node.used == sum(attempt.slots for attempt in node.attempts.values())
            assert 0 <= node.used <= node.pool.slots

    @invariant()
    def the_index_of_free_nodes_is_right(self) -> None:
        for pool in self.all_pools():
            filed = {node: free for free, held in pool.free.items() for node in held}
            for node in pool.nodes.values():
                takes = (
                    node.state in SCHEDULABLE
                    and node.scheduling == "enabled"
                    and not node.leaving
                    and not node.after_tasks
                    and node.used < pool.slots
                )
                assert filed.get(node) == (pool.slots - node.used if takes else None)

    @invariant()
    def counts_are_right(self) -> None:
        for pool in self.all_pools():
            states = Counter((n.dedicated, n.state) for n in pool.nodes.values())
            assert states == {k: v for k, v in pool.counts.items() if v}
            for kind in (True, False):
                assert pool.current[kind] == sum(n.dedicated is kind for n in pool.nodes.values())
        for job in self.all_jobs():
            counts = job.counts
            assert _recount(job) == {
                "active": counts.active,
                "running": counts.running,
                "success": counts.succeeded,
                "failure": counts.failed,
            }
            assert list(job.order) == sorted(job.tasks)
            for state, index in job.by_state.items():
                assert list(index) == sorted(k for k, t in job.tasks.items() if t.state == state)
            assert job.blocked == sum(t.unmet > 0 for t in job.tasks.values())
            waiting = [t for queue in job.ready.values() for n, t in queue if t.order == n]
            assert job.ready_count == len(waiting)
            assert all(t.state == "active" and not t.attempt for t in waiting)

    @invariant()
    def attempts_and_tasks_agree(self) -> None:
        for task in self.all_tasks():
            at_work = task.state in {"preparing", "running"}
            assert at_work is (task.attempt is not None), (task.id, task.state)

    @invariant()
    def what_is_stored_is_what_there_is(self) -> None:
        stored = Counter(kind for kind, _, _ in self.stored)
        assert stored == Counter(
            {
                "pool": len(self.all_pools()),
                "node": len(self.all_nodes()),
                "job": len(self.all_jobs()),
                "task": len(self.all_tasks()),
                "schedule": len(self.engine.world.schedules),
            }
        )

    def teardown(self) -> None:
        """Everything can still end: with nodes and time, each task does that is let."""
        for job in self.all_jobs():
            if job.state in {"disabled", "disabling"}:
                self.run(jobs.enable, job)
        for schedule in list(self.engine.world.schedules.values()):
            self.run(schedules.terminate, schedule)
        for turn in range(60):
            self.end_all()
            self.provide(mend=turn in {20, 35, 45})
            self.pass_time(900.0)
        assert not self.running
        assert all(pool.allocation == "steady" for pool in self.all_pools())
        for job in self.all_jobs():
            assert job.state in {"active", "completed", "disabled"}, job.state
            for task in job.tasks.values():
                assert task.state == "completed" or self.may_wait(task), vars_of(task)

    def end_all(self) -> None:
        """Everything that runs returns, until nothing does."""
        while self.running:
            for attempt_id, attempt in list(self.running.items()):
                if attempt_id not in self.running:
                    continue
                gang = attempt.task.gang if attempt.task else None
                waits = gang is not None and attempt.instance in gang.coordinated
                if attempt.kind != "coordination" or attempt_id in self.cancelled:
                    self.end(attempt_id, 0)
                elif not waits:
                    self.coordinate(attempt_id)

    def provide(self, *, mend: bool) -> None:
        for node in self.all_nodes() if mend else ():
            self.mend(node)
        for pool in self.all_pools():
            if pool.allocation == "steady" and pool.current[True] < 3:
                self.run(pools.resize, pool, (3, 0), "requeue", 0)

    def may_wait(self, task: Task) -> bool:
        pool = self.engine.world.pools.get(task.job.pool_key)
        runs = task.job.state == "active" and not task.unmet
        if not runs or pool is None or task.slots > pool.slots:
            return True
        return bool(task.instances) and not gangs.possible(pool)

    def mend(self, node: Node) -> None:
        failed = any(
            step.state == "completed" and not step.ok for step in node.preparations.values()
        )
        if failed or node.state in {"unusable", "starttaskfailed"}:
            self.run(nodes.operate, node, "reimage", "requeue")
        if node.state == "deallocated":
            self.run(nodes.start, node)
        if node.scheduling == "disabled":
            self.run(nodes.enable_scheduling, node)


def vars_of(task: Task) -> dict[str, Any]:
    return {
        "task": {n: getattr(task, n) for n in ("id", "state", "queued", "unmet", "slots")},
        "job": (task.job.state, task.job.body["maxParallelTasks"], len(task.job.attempts)),
    }


def _recount(job: Job) -> dict[str, int]:
    found = {"active": 0, "running": 0, "success": 0, "failure": 0}
    for task in job.tasks.values():
        if task.state == "completed":
            found[task.result or "none"] += 1
        else:
            found["active" if task.state == "active" else "running"] += 1
    return found


TestScheduler = Scheduler.TestCase
TestScheduler.settings = settings(
    max_examples=50,
    stateful_step_count=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
