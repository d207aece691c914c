"""What a job has cost so far: exact where its tasks are known, an upper bound in between."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.history import MOST, History
from jobs.looks import Look, PoolView, TaskEnd
from jobs.meter import Meter
from jobs.results import ResultTree
from jobs.service import BatchService
from jobs.stack import Pool, Stack
from jobs.watch import Watcher


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


def test_without_a_price_there_is_no_cost(pool: Pool) -> None:
    meter = Meter(pool=pool.model_copy(update={"spot_price_per_hour": None}))
    meter.start([end(0, 1, "a_d")], at=1)
    assert meter.cost == pytest.approx(1)
    meter.start([end(0, 1, "a_p")], at=1)
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
