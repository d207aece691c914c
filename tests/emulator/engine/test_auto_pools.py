"""Auto pools: when they are made, how they scale, when they are gone, why they are not made."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.clock import MAX_TICKS, seconds
from emulator.engine import jobs, schedules
from emulator.engine.refusal import Refused
from emulator.engine.world import Job, Pool, Timing
from emulator.service import bodies
from tests.emulator.engine.play import MACHINE, Play

HOUR = 3600.0
PENDING = "$TargetDedicatedNodes = max(0, $PendingTasks.GetSample(1)); "


def auto(lifetime: str = "job", *, keep: bool = False, **pool: Any) -> dict[str, Any]:
    """A `poolInfo` that asks for a pool."""
    return {
        "autoPoolSpecification": {
            "autoPoolIdPrefix": "made",
            "poolLifetimeOption": lifetime,
            "keepAlive": keep,
            "pool": {"vmSize": "x", "virtualMachineConfiguration": MACHINE, **pool},
        }
    }


def scaled(formula: str = PENDING, **how: Any) -> dict[str, Any]:
    return auto(
        enableAutoScale=True,
        autoScaleFormula=formula,
        autoScaleEvaluationInterval="PT5M",
        **how,
    )


def pool_of(play: Play, job: Job) -> Pool | None:
    return play.engine.world.pools.get(job.pool_key)


def schedule(play: Play, info: dict[str, Any]) -> Any:
    body = bodies.schedule({"id": "s", "jobSpecification": {"poolInfo": info}}, "")
    return play.run(
        schedules.add,
        body.pop("id"),
        body,
        timing=Timing(interval=seconds(HOUR)),
        wall_clock=MAX_TICKS,
        retention=MAX_TICKS,
    )


def test_a_pool_scales_by_its_formula_and_ends_with_its_job() -> None:
    play = Play()
    job = play.job(poolInfo=scaled(), onAllTasksComplete="terminatejob")
    pool = pool_of(play, job)
    assert pool is not None
    assert (pool.autoscale, pool.formula, pool.interval) == (True, PENDING, seconds(300))
    assert job.pool_id.startswith("made_")
    play.task(job, "t")
    play.wait(HOUR)
    assert (pool.current[True], play.placed()) == (1, ["t"])
    play.end("t")
    play.wait(60)
    assert job.state == "completed"
    assert pool_of(play, job) is None


def test_a_pool_that_is_kept_alive_goes_on_scaling_after_its_job() -> None:
    play = Play()
    job = play.job(poolInfo=scaled(formula="$TargetDedicatedNodes = 1;", keep=True))
    play.run(jobs.terminate, job, "done")
    play.wait(HOUR)
    pool = pool_of(play, job)
    assert pool is not None
    assert (job.state, pool.state, pool.current[True]) == ("completed", "active", 1)
    assert pool.scaled > play.now - seconds(600)


def test_a_restart_takes_the_scaling_up() -> None:
    play = Play()
    play.job(poolInfo=scaled())
    play.restart()
    (job,) = play.engine.world.jobs.values()
    play.task(job, "t")
    play.wait(HOUR)
    assert play.placed() == ["t"]
    play.end("t")
    play.run(jobs.terminate, job, "done")
    play.wait(HOUR)
    assert not play.engine.world.pools


def test_a_fixed_pool_has_the_members_that_were_asked_for() -> None:
    play = Play()
    job = play.job(poolInfo=auto(targetDedicatedNodes=2, resizeTimeout="PT1H"))
    pool = pool_of(play, job)
    assert pool is not None
    assert (pool.target_dedicated, pool.resize_timeout) == (2, seconds(HOUR))
    assert not {"targetDedicatedNodes", "resizeTimeout", "enableAutoScale"} & pool.body.keys()


@pytest.mark.parametrize("lifetime", ["job", "jobschedule"])
def test_a_schedule_gives_each_job_a_pool_or_all_of_them_one(lifetime: str) -> None:
    play = Play()
    info = scaled(formula="$TargetDedicatedNodes = 1;", lifetime=lifetime)
    found = schedule(play, info)
    first = play.engine.world.jobs["s:job-1"]
    play.run(jobs.terminate, first, "done")
    play.wait(HOUR)
    second = play.engine.world.jobs["s:job-2"]
    assert (first.pool_id == second.pool_id) is (lifetime == "jobschedule")
    assert list(play.engine.world.pools) == [second.pool_key]
    play.run(schedules.terminate, found)
    play.wait(HOUR)
    assert not play.engine.world.pools


def test_a_schedule_whose_jobs_stop_sharing_gives_its_pool_up() -> None:
    play = Play()
    found = schedule(play, auto("jobschedule"))
    shared = found.pool_id
    change = {"timing": found.timing, "wall_clock": MAX_TICKS, "retention": MAX_TICKS}
    same = bodies.schedule_patch({"jobSpecification": {"poolInfo": auto("jobschedule")}}, "")
    play.run(schedules.change, found, {**found.body, **same}, **change)
    assert found.pool_id == shared
    other = bodies.schedule_patch({"jobSpecification": {"poolInfo": auto("job")}}, "")
    play.run(schedules.change, found, {**found.body, **other}, **change)
    play.wait(60)
    assert (found.pool_id, shared.lower() in play.engine.world.pools) == ("", False)


def refuse_packages(body: Any) -> None:
    if "applicationPackageReferences" in body:
        raise Refused("InvalidApplicationPackageReferences", {"app": "it does not exist"})


@pytest.mark.parametrize(
    ("info", "code"),
    [
        (scaled(formula="$TargetDedicatedNodes = ;"), "InvalidAutoScaleFormulaInAutoPool"),
        (auto(), "AutoPoolCreationFailedWithQuotaReached"),
        (
            auto(applicationPackageReferences=[{"applicationId": "app"}]),
            "InvalidApplicationPackageReferencesInAutoPool",
        ),
    ],
    ids=["formula", "quota", "packages"],
)
def test_a_pool_that_cannot_be_made_completes_its_job_which_says_why(
    info: dict[str, Any], code: str
) -> None:
    play = Play(check_packages=refuse_packages, max_pools=0)
    job = play.job(poolInfo=info)
    play.wait(60)
    assert job.state == "completed"
    assert job.scheduling_error is not None
    assert (job.scheduling_error["category"], job.scheduling_error["code"]) == ("UserError", code)
    assert not play.engine.world.pools


def test_a_schedule_goes_on_with_the_next_job_where_a_pool_could_not_be_made() -> None:
    play = Play(max_pools=0)
    schedule(play, auto("jobschedule"))
    play.wait(1.5 * HOUR)
    made = play.engine.world.jobs.values()
    assert [(job.id, job.state) for job in made] == [
        ("s:job-1", "completed"),
        ("s:job-2", "completed"),
    ]


def test_only_keep_alive_of_a_jobs_pool_can_be_changed() -> None:
    play = Play()
    job = play.job(poolInfo=auto())

    def change(info: dict[str, Any]) -> None:
        body = bodies.job_patch({"poolInfo": info}, "")
        play.run(jobs.change, job, body, None)

    change(auto())
    with pytest.raises(Refused, match="keepAlive"):
        change(auto(targetDedicatedNodes=3))
    change(auto(keep=True))
    play.run(jobs.terminate, job, "done")
    play.wait(60)
    assert pool_of(play, job) is not None


def test_a_job_of_a_named_pool_cannot_ask_for_one_later() -> None:
    play = Play()
    play.pool()
    job = play.job()
    with pytest.raises(Refused, match="choice"):
        play.run(jobs.change, job, bodies.job_patch({"poolInfo": auto()}, ""), None)


def test_a_disabled_job_that_moves_to_a_named_pool_gives_its_own_up() -> None:
    play = Play()
    play.pool()
    job = play.job(poolInfo=auto())
    own = job.pool_key
    play.run(jobs.disable, job, "requeue")
    play.wait(1)
    play.run(jobs.change, job, bodies.job_patch({"poolInfo": {"poolId": "p"}}, ""), None)
    play.wait(60)
    assert (job.pool_id, own in play.engine.world.pools) == ("p", False)
    play.run(jobs.terminate, job, "done")
    play.wait(60)
    assert (job.state, list(play.engine.world.pools)) == ("completed", ["p"])


def test_the_lifetime_of_a_schedule_is_none_for_a_job_of_its_own() -> None:
    with pytest.raises(Refused, match="poolLifetimeOption"):
        Play().job(poolInfo=auto("jobschedule"))
