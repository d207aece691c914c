"""Job schedules: which jobs they make, and when they are over."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.clock import MAX_TICKS, seconds
from emulator.engine import jobs, schedules
from emulator.engine.refusal import Refused
from emulator.engine.world import Schedule, Timing
from emulator.service import bodies
from tests.emulator.engine.play import Play

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


def timing(play: Play, **of: float) -> Timing:
    """Spans in seconds; instants in seconds from now."""
    instants = {n: play.now + seconds(of[n]) for n in ("until", "after") if n in of}
    return Timing(**instants, **{n: seconds(of[n]) for n in ("window", "interval") if n in of})


def schedule(play: Play, spec: dict[str, Any] | None = None, **of: float) -> Schedule:
    wire = {"id": "s", "jobSpecification": {"poolInfo": {"poolId": "p"}, **(spec or {})}}
    body = bodies.schedule(wire, "")
    found: Schedule = play.run(
        schedules.add,
        body.pop("id"),
        body,
        timing=timing(play, **of),
        wall_clock=MAX_TICKS,
        retention=MAX_TICKS,
    )
    return found


def made(play: Play) -> list[str]:
    return [job.id for job in play.engine.world.jobs.values()]


def end_job(play: Play, number: int) -> None:
    play.run(jobs.terminate, play.engine.world.jobs[f"s:job-{number}"], "done")
    play.wait(1)


def test_the_first_job_comes_at_once_and_the_next_an_interval_after_it() -> None:
    play = Play()
    found = schedule(play, interval=DAY)
    assert made(play) == ["s:job-1"]
    assert found.next_run == found.created + seconds(DAY)
    end_job(play, 1)
    play.wait(DAY - 2)
    assert made(play) == ["s:job-1"]
    play.wait(2)
    assert made(play) == ["s:job-1", "s:job-2"]


def test_there_is_one_job_at_a_time_and_the_one_that_is_due_follows_it() -> None:
    play = Play()
    schedule(play, interval=HOUR)
    play.wait(3.5 * HOUR)
    assert made(play) == ["s:job-1"]
    end_job(play, 1)
    assert made(play) == ["s:job-1", "s:job-2"], "one for all that were missed"
    end_job(play, 2)
    assert len(made(play)) == 2


def test_a_start_window_that_has_passed_loses_the_job() -> None:
    play = Play()
    schedule(play, interval=HOUR, window=MINUTE)
    play.wait(HOUR + 2 * MINUTE)
    end_job(play, 1)
    assert made(play) == ["s:job-1"]
    play.wait(HOUR)
    assert made(play) == ["s:job-1", "s:job-2"]


def test_without_an_interval_there_is_one_job_and_the_schedule_ends_with_it() -> None:
    play = Play()
    found = schedule(play)
    assert found.next_run is None
    end_job(play, 1)
    assert (found.state, found.previous) == ("completed", "active")
    assert found.ended == found.since


def test_it_waits_until_it_may_begin_and_ends_when_it_may_no_more() -> None:
    play = Play()
    found = schedule(play, until=HOUR, after=2.5 * HOUR, interval=HOUR)
    assert found.next_run == play.now + seconds(HOUR)
    play.wait(HOUR)
    assert made(play) == ["s:job-1"]
    end_job(play, 1)
    play.wait(HOUR)
    assert made(play) == ["s:job-1", "s:job-2"]
    play.wait(HOUR)
    assert found.ended is None, "its job still runs"
    end_job(play, 2)
    assert found.state == "completed"


def test_an_idle_one_ends_at_its_end() -> None:
    play = Play()
    found = schedule(play, interval=HOUR, after=1.5 * HOUR)
    end_job(play, 1)
    play.wait(HOUR)
    end_job(play, 2)
    play.wait(HOUR)
    assert (found.state, found.ended) == ("completed", found.created + seconds(1.5 * HOUR))


def test_a_disabled_one_makes_nothing_and_its_job_goes_on() -> None:
    play = Play()
    found = schedule(play, interval=HOUR)
    play.run(schedules.disable, found)
    assert play.engine.world.jobs["s:job-1"].state == "active"
    end_job(play, 1)
    play.wait(HOUR)
    assert made(play) == ["s:job-1"]
    play.run(schedules.enable, found)
    assert made(play) == ["s:job-1", "s:job-2"]


def test_terminating_it_ends_its_job_and_then_the_schedule() -> None:
    play = Play()
    found = schedule(play, interval=HOUR)
    play.run(schedules.terminate, found)
    assert found.ended is None
    play.wait(1)
    job = play.engine.world.jobs["s:job-1"]
    assert (job.state, job.terminate_reason) == ("completed", "TerminateJobSchedule")
    assert found.state == "completed"
    play.wait(5 * HOUR)
    assert made(play) == ["s:job-1"]
    with pytest.raises(Refused, match="JobScheduleCompleted"):
        play.run(schedules.enable, found)


def test_deleting_it_deletes_its_jobs_first() -> None:
    play = Play()
    found = schedule(play, interval=HOUR)
    play.run(schedules.delete, found)
    assert found.state == "deleting"
    assert play.engine.world.schedules
    play.wait(5)
    assert not play.engine.world.schedules
    assert not made(play)


def test_a_new_interval_counts_from_the_creation() -> None:
    play = Play()
    found = schedule(play, interval=DAY)
    play.wait(HOUR)
    play.run(
        schedules.change,
        found,
        found.body,
        timing=timing(play, interval=3 * HOUR),
        wall_clock=MAX_TICKS,
        retention=MAX_TICKS,
    )
    assert found.next_run == found.created + seconds(3 * HOUR)


def test_schedules_and_jobs_share_a_quota_and_a_job_comes_when_there_is_room() -> None:
    play = Play(max_active_jobs=2)
    play.pool()
    other = play.job("other")
    schedule(play, interval=HOUR)
    assert made(play) == ["other"]
    with pytest.raises(Refused, match="ActiveJobAndScheduleQuotaReached"):
        play.job("more")
    play.run(jobs.terminate, other, "done")
    play.wait(90)
    assert made(play) == ["other", "s:job-1"]


def test_jobs_of_a_schedule_share_its_pool_where_they_ask_for_that() -> None:
    play = Play()
    image = {"publisher": "p", "offer": "o", "sku": "s"}
    machine = {"imageReference": image, "nodeAgentSKUId": "batch.node.ubuntu 24.04"}
    auto = {
        "poolLifetimeOption": "jobschedule",
        "pool": {"vmSize": "x", "virtualMachineConfiguration": machine},
    }
    found = schedule(play, {"poolInfo": {"autoPoolSpecification": auto}}, interval=HOUR)
    end_job(play, 1)
    play.wait(HOUR)
    pools = {job.pool_id for job in play.engine.world.jobs.values()}
    assert len(pools) == len(play.engine.world.pools) == 1
    play.run(schedules.terminate, found)
    play.wait(HOUR)
    assert not play.engine.world.pools


def test_it_survives_a_restart() -> None:
    play = Play()
    found = schedule(play, interval=HOUR, window=MINUTE)
    end_job(play, 1)
    play.restart()
    again = play.engine.world.schedules["s"]
    assert again is not found
    assert (again.timing, again.next_run, again.runs) == (found.timing, found.next_run, 1)
    play.wait(HOUR)
    assert made(play) == ["s:job-1", "s:job-2"]


# Job manager tasks


MANAGER = {"id": "manager", "commandLine": "manage"}


def test_a_manager_goes_first_has_its_node_alone_and_ends_its_job() -> None:
    play = Play()
    play.ready_pool(dedicated=1, taskSlotsPerNode=4)
    job = play.job(jobManagerTask=MANAGER)
    play.task(job, "work")
    play.wait(5)
    assert play.placed() == ["manager"]
    play.end("manager")
    play.wait(5)
    assert (job.state, job.terminate_reason) == ("completed", "JMComplete")
    assert job.tasks["work"].state == "active"


def test_a_manager_that_shares_and_ends_nothing_is_a_task_like_others() -> None:
    play = Play()
    play.ready_pool(dedicated=1, taskSlotsPerNode=4)
    job = play.job(jobManagerTask={**MANAGER, "runExclusive": False, "killJobOnCompletion": False})
    play.task(job, "work")
    play.wait(5)
    assert play.placed() == ["manager", "work"]
    play.end("manager")
    play.wait(5)
    assert job.state == "active"


def test_a_manager_that_wants_no_spot_node_leaves_it_to_others() -> None:
    play = Play()
    play.ready_pool(spot=1)
    job = play.job(jobManagerTask={**MANAGER, "allowLowPriorityNode": False})
    play.task(job, "work")
    play.wait(5)
    assert play.placed() == ["work"]


def test_a_manager_that_is_retried_goes_before_what_it_made() -> None:
    play = Play()
    play.ready_pool(dedicated=1)
    job = play.job(jobManagerTask=MANAGER, constraints={"maxTaskRetryCount": 1})
    play.wait(5)
    play.task(job, "work")
    play.wait(5)
    play.task(play.job("before", priority=9), "blocks")
    play.wait(5)
    play.end("manager", 1)
    play.wait(5)
    play.end("blocks")
    assert play.placed() == ["manager"]
