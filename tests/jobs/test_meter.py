"""What a job has cost so far: exact where its tasks are known, an upper bound in between."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from jobs.history import MOST, History
from jobs.looks import Look, PoolView, TaskEnd
from jobs.meter import Meter
from jobs.results import ResultTree
from jobs.service import BatchService
from jobs.stack import Pool, Stack
from jobs.watch import LONGEST_S, POOL_EVERY_S, Watcher

NODES_ASKED = re.compile(r"select=id(,|%2C)multiInstanceSettings")


@pytest.fixture
def pool(stack: Stack) -> Pool:
    return stack.pools["cpu"].model_copy(
        update={"dedicated_price_per_hour": 3600.0, "spot_price_per_hour": 360.0}
    )


def end(started: float, ended: float, node: str) -> TaskEnd:
    return TaskEnd(
        id="t", succeeded=True, exit_code=0, failure="", retries=0, requeues=0, node_id=node,
        created=0, started=started, ended=ended,
    )  # fmt: skip


def test_time_of_busy_nodes_is_counted_between_readings(pool: Pool) -> None:
    meter = Meter(pool=pool)
    assert not meter.started
    meter.start([end(0, 100, "a_d"), end(50, 100, "a_d"), end(0, 100, "b_p")], at=100)
    assert meter.cost == pytest.approx(100 + 10)
    meter.read(100, running=8, slots=8, dedicated=1, spot=1)
    meter.read(110, running=8, slots=8, dedicated=1, spot=1)
    assert meter.cost == pytest.approx(110 + 10 + 1)
    meter.read(105, running=8, slots=8, dedicated=1, spot=1)
    assert meter.cost == pytest.approx(121), "a clock that went back changes nothing"


def test_a_job_pays_for_no_more_nodes_than_it_has_tasks_that_run(pool: Pool) -> None:
    meter = Meter(pool=pool)
    meter.start([], at=0)
    meter.read(0, running=2, slots=2, dedicated=50, spot=0)
    meter.read(10, running=2, slots=2, dedicated=50, spot=0)
    assert meter.cost == pytest.approx(20)


def test_tasks_take_at_least_the_nodes_that_their_slots_need(pool: Pool) -> None:
    meter = Meter(pool=pool)
    meter.start([], at=0)
    meter.read(0, running=3, slots=12, dedicated=0, spot=0)
    meter.read(10, running=3, slots=12, dedicated=0, spot=0)
    assert meter.cost == pytest.approx(30), "the pool was not asked yet"


def test_what_ended_replaces_the_estimate(pool: Pool) -> None:
    meter = Meter(pool=pool)
    meter.start([], at=0)
    meter.read(0, running=4, slots=4, dedicated=4, spot=0)
    meter.read(100, running=4, slots=4, dedicated=4, spot=0)
    meter.settle([end(0, 30, "a_d")])
    assert meter.cost == pytest.approx(30)


def test_a_multi_instance_task_costs_all_its_nodes(pool: Pool) -> None:
    meter = Meter(pool=pool)
    meter.start([], at=0)
    for at in (0, 10):
        meter.read(at, running=2, slots=2, dedicated=5, spot=0, beside=2)
    assert meter.cost == pytest.approx(40), "of the five that run tasks another job has one"
    meter.settle([replace(end(0, 10, node), instances=2) for node in ("a_d", "b_d")])
    assert meter.cost == pytest.approx(40)
    meter = Meter(pool=pool)
    meter.start([], at=0)
    for at in (0, 10):
        meter.read(at, running=1, slots=1, dedicated=0, spot=0, beside=3)
    assert meter.cost == pytest.approx(40), "the pool was not asked yet"


def test_the_end_takes_nothing_back_of_attempts_that_were_watched(pool: Pool) -> None:
    again = replace(end(90, 91, "a_d"), retries=1)
    assert again.earlier_s == 1, "as if the one before had been as short"
    meter = Meter(pool=pool)
    meter.start([], at=0)
    for at in (0, 91):
        meter.read(at, running=1, slots=1, dedicated=1, spot=0)
    meter.settle([again, end(0, 10, "b_p")])
    assert meter.used.total_s == pytest.approx(91)
    assert meter.used.spot_s == pytest.approx(91 * 10 / 12), "kinds are as the tasks tell"
    meter.start([], at=0)
    meter.settle([again])
    assert meter.used.total_s == pytest.approx(2), "what nobody watched is an estimate"
    for at in (0, 91):
        meter.read(at, running=1, slots=1, dedicated=1, spot=0)
    meter.settle([replace(again, attempts_s=70.0)])
    assert meter.used.total_s == pytest.approx(70), "the service has counted it"


def test_without_a_price_there_is_no_cost(pool: Pool) -> None:
    meter = Meter(pool=pool.model_copy(update={"dedicated_price_per_hour": None}))
    meter.start([end(0, 3600, "a_p")], at=3600)
    assert meter.cost == pytest.approx(360)
    meter.start([end(0, 1, "a_d")], at=1)
    assert meter.cost is None


def test_whoever_comes_back_counts_what_ran_before(
    service: BatchService, batch: Any, pool: Pool
) -> None:
    running = {
        "id": "0000000-a", "state": "running", "stateTransitionTime": "2026-01-01T00:00:00Z",
        "creationTime": "2026-01-01T00:00:00Z", "nodeInfo": {"nodeId": "n_d"},
        "executionInfo": {"startTime": "2026-01-01T00:00:00Z"},
    }  # fmt: skip
    batch.jobs["j"] = {"id": "j", "state": "active", "poolInfo": {"poolId": "pool-cpu"}}
    batch.tasks["j"] = {"0000000-a": running}
    watcher = Watcher(service=service, job_id="j", meter=Meter(pool=pool))
    look = watcher.look()
    assert look.cost is not None
    assert service.date is not None, "the service's own clock is read"
    began = 1767225600
    assert look.cost == pytest.approx(service.date - began, abs=2)
    assert watcher.look().cost == pytest.approx(service.date - began, abs=2)


def test_a_watcher_counts_the_nodes_that_multi_instance_tasks_take(
    service: BatchService, batch: Any, pool: Pool
) -> None:
    def task(number: int, state: str, **members: Any) -> dict[str, Any]:
        return {
            "id": f"000000{number}-a", "state": state, **members,
            "stateTransitionTime": "2026-01-01T00:00:00Z",
            "creationTime": "2026-01-01T00:00:00Z", "nodeInfo": {"nodeId": f"n{number}_d"},
            "executionInfo": {"startTime": "2026-01-01T00:00:00Z"},
        }  # fmt: skip

    several = {"multiInstanceSettings": {"numberOfInstances": 3}}
    tasks = [task(0, "running", **several), task(1, "running"), task(2, "active", **several)]
    batch.jobs["j"] = {"id": "j", "state": "active", "poolInfo": {"poolId": "pool-cpu"}}
    batch.tasks["j"] = {one["id"]: one for one in tasks}
    several_nodes = pool.model_copy(
        update={"inter_node_communication": True, "task_slots_per_node": 1}
    )
    clock = [0.0]
    watcher = Watcher(
        service=service, job_id="j", meter=Meter(pool=several_nodes), now=lambda: clock[0]
    )
    before = watcher.look().cost
    assert before is not None
    assert service.date is not None
    assert before == pytest.approx(4 * (service.date - 1767225600), rel=1e-6)
    assert watcher.meter is not None
    began = watcher.meter.used.total_s
    watcher.meter.read(service.date + 100, running=2, slots=2, dedicated=0, spot=0, beside=2)
    assert watcher.meter.used.total_s - began == pytest.approx(400, abs=4)
    asked = len(batch.requests)
    watcher.look()
    assert not any(map(NODES_ASKED.search, batch.requests[asked:])), "none moved"
    tasks[2]["state"] = "running"
    batch.tasks["j"]["0000003-a"] = task(3, "completed")
    batch.complete("j", "0000003-a", node="n3_d")
    clock[0], asked = POOL_EVERY_S + 1, len(batch.requests)
    watcher.look()
    assert not any(map(NODES_ASKED.search, batch.requests[asked:]))
    assert len(batch.requests) - asked == 5, "the pool is asked now, the nodes at the next look"
    asked = len(batch.requests)
    watcher.look()
    assert len(list(filter(NODES_ASKED.search, batch.requests[asked:]))) == 1
    del batch.tasks["j"]["0000003-a"], watcher.ends["0000003-a"]
    end_of = "2026-01-01T00:00:10Z"
    for name in ("0000000-a", "0000001-a"):
        batch.complete("j", name, node=f"{name}_d")
        batch.tasks["j"][name]["executionInfo"] |= {
            "startTime": "2026-01-01T00:00:00Z", "endTime": end_of,
        }  # fmt: skip
    del batch.tasks["j"]["0000002-a"]
    watcher.look()
    assert watcher.meter.used.total_s == pytest.approx(40)


def look(at: float, **members: Any) -> Look:
    base: dict[str, Any] = {
        "total": 1, "waiting": 1, "running": 0, "succeeded": 0, "failed": 0,
        "job_state": "active", "first_failure": None, "reasons": (), "over": False,
        "pool": PoolView(nodes={"running": 1, "idle": 2, "creating": 4}, target=7,
                         allocation="steady", reasons=()),
    }  # fmt: skip
    return Look(**{**base, **members, "at": at})


def test_of_a_job_however_long_a_few_hundred_samples_are_kept(tmp_path: Any) -> None:
    history = History()
    for second in range(20_000):
        history.add(look(float(second + 1)))
    assert MOST / 3 < len(history.samples) <= MOST + 1
    assert history.samples[0].time == 1
    times = [sample.time for sample in history.samples]
    assert times == sorted(times)
    assert (history.samples[0].nodes, history.samples[0].target) == (3, 7)
    tree = ResultTree(tmp_path)
    history.write(tree)
    again = History.read(tree)
    assert again.samples == history.samples
    tree.history_file.write_text('{"version": 1, "samples": [{}], "every_s": 1}')
    assert History.read(tree).samples == []


def test_a_watcher_that_looks_as_rarely_as_it_may_leaves_no_gap_and_one_that_was_away_does() -> (
    None
):
    history = History()
    moment = 1.0
    for number in range(6000):
        moment += 0.5 if number < 3000 else LONGEST_S + 1
        history.add(look(moment, cost=number / 100))
    assert history.every_s > 1
    distances = [b.time - a.time for a, b in pairwise(history.samples)]
    assert max(distances) <= history.gap_s
    assert history.cost == max(sample.cost or 0 for sample in history.samples) > 50
    history = History()
    for moment in (1.0, 2.0, 120.0):
        history.add(look(moment))
    assert history.samples[2].time - history.samples[1].time > history.gap_s
    assert history.cost == 0
