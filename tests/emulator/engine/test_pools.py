from random import Random

import pytest

from emulator.clock import TICKS_PER_SECOND, seconds
from emulator.engine import nodes, pools, scaling
from emulator.engine.refusal import Refused
from emulator.engine.settings import Settings
from emulator.engine.world import Pool
from tests.emulator.engine.play import Play


def states(play: Play, pool_id: str = "p") -> list[str]:
    return [node.state for node in play.engine.world.pools[pool_id].nodes.values()]


def shown(pool: Pool) -> str:
    return pool.allocation


def test_a_pool_of_no_nodes_resizes_for_a_moment() -> None:
    play = Play()
    pool = play.pool()
    assert shown(pool) == "resizing"
    play.wait(1.5)
    assert shown(pool) == "steady"


def test_nodes_are_creating_then_starting_then_idle_and_take_minutes() -> None:
    play = Play()
    pool = play.pool(dedicated=1, spot=1)
    seen: dict[str, int] = {}
    for second in range(2000):
        play.wait(1)
        seen.setdefault(play.node(pool).state if pool.nodes else "none", second)
    assert list(seen) == ["none", "creating", "starting", "idle"]
    assert seen["idle"] > 60
    assert {node.id[-2:] for node in pool.nodes.values()} == {"_d", "_p"}


def test_the_service_is_as_much_faster_as_its_speed() -> None:
    ready = []
    for speed in (1.0, 60.0):
        play = Play(speed=speed)
        pool = play.pool(dedicated=1)
        begin = play.now
        while not pool.nodes or play.node(pool).state != "idle":
            play.now = play.engine.next_deadline or 0
            play.wait(0)
        ready.append((play.now - begin) / TICKS_PER_SECOND)
    assert ready[0] / ready[1] == pytest.approx(60, rel=1e-3)


def test_the_median_node_is_ready_in_five_minutes_and_one_in_twenty_takes_ten() -> None:
    seeded = (Random(seed) for seed in range(4000))  # noqa: S311 - of waits, no secrets
    waits = sorted(Settings().node_ready_s(random) for random in seeded)
    assert waits[2000] == pytest.approx(300, rel=0.05)
    assert waits[3800] == pytest.approx(600, rel=0.08)


def test_a_shrinking_pool_gives_up_idle_nodes_before_running_ones() -> None:
    play = Play()
    pool = play.ready_pool(dedicated=3)
    task = play.task(play.job(), "t")
    play.wait(10)
    play.run(pools.resize, pool, (1, None), "requeue", 0)
    play.wait(60)
    assert (states(play), pool.allocation, task.state) == (["running"], "steady", "running")


@pytest.mark.parametrize(("option", "state"), [("requeue", "active"), ("terminate", "completed")])
def test_a_removed_node_does_with_its_task_what_was_asked(option: str, state: str) -> None:
    play = Play()
    pool = play.ready_pool(dedicated=1)
    task = play.task(play.job(), "t")
    play.wait(10)
    play.run(pools.remove_nodes, pool, list(pool.nodes), option)
    assert states(play) == ["leavingpool"]
    play.end("t", None)
    play.wait(60)
    assert (task.state, states(play), pool.target_dedicated) == (state, [], 0)


def test_task_completion_lets_the_task_finish_before_the_node_leaves() -> None:
    play = Play()
    pool = play.ready_pool(dedicated=1)
    job = play.job()
    task = play.task(job, "t")
    play.wait(10)
    play.task(job, "next")
    play.run(pools.resize, pool, (0, None), "taskcompletion", 0)
    play.wait(600)
    assert (states(play), play.cancelled, pool.allocation) == (["running"], [], "resizing")
    play.end("t")
    play.wait(60)
    assert (task.result, states(play), pool.allocation) == ("success", [], "steady")
    assert play.placed() == []


def test_a_stopped_resize_says_what_it_did_not_reach() -> None:
    play = Play()
    pool = play.pool(dedicated=2)
    play.run(pools.stop_resize, pool)
    assert shown(pool) == "stopping"
    play.wait(1000)
    assert shown(pool) == "steady"
    assert [error["code"] for error in pool.resize_errors] == ["ResizeStopped"]
    assert states(play) == []


def test_a_pool_is_gone_when_its_nodes_are() -> None:
    play = Play()
    pool = play.ready_pool(dedicated=2)
    play.run(pools.delete, pool)
    assert states(play) == ["leavingpool", "leavingpool"]
    with pytest.raises(Refused, match="PoolBeingDeleted"):
        play.run(pools.get_live, "p")
    play.wait(60)
    assert play.engine.world.pools == {}


def test_a_node_waits_for_its_start_task_and_one_that_fails_is_of_no_use() -> None:
    play = Play()
    start = {"commandLine": "start", "maxTaskRetryCount": 1}
    pool = play.ready_pool(dedicated=1, startTask=start)
    assert states(play) == ["waitingforstarttask"]
    play.end("startup", 1)
    assert states(play) == ["waitingforstarttask"]
    play.end("startup", 1)
    assert states(play) == ["starttaskfailed"]
    node = play.node(pool)
    assert node.start_info
    assert (node.start_info["result"], node.start_info["retryCount"]) == ("failure", 1)
    play.run(nodes.operate, node, "reboot", "requeue")
    play.wait(3600)
    play.end("startup")
    assert states(play) == ["idle"]


def test_a_preempted_spot_node_requeues_keeps_its_id_and_comes_back() -> None:
    play = Play()
    pool = play.ready_pool(spot=1)
    task = play.task(play.job(), "t")
    play.wait(10)
    node = play.node(pool)
    play.run(nodes.preempt, node)
    play.end("t", None)
    assert (node.state, task.state) == ("preempted", "active")
    play.wait(7200)
    assert (play.node(pool), node.state, task.state) == (node, "running", "running")


def test_a_formula_is_evaluated_at_once_and_then_at_its_interval() -> None:
    play = Play()
    pool = play.scaled_pool("$TargetDedicatedNodes = 2", interval_s=300)
    assert (pool.target_dedicated, (pool.scale_run or {})["timestamp"]) == (2, play.now)
    play.wait(299)
    first = pool.scaled
    play.wait(2)
    assert pool.scaled - first == seconds(300)


def test_a_pool_follows_its_pending_tasks_up_and_down() -> None:
    formula = (
        "w = 5 * TimeInterval_Minute; $percent = $PendingTasks.GetSamplePercent(w);"
        "$tasks = $percent < 70 ? max(0, $PendingTasks.GetSample(1))"
        " : max($PendingTasks.GetSample(1), avg($PendingTasks.GetSample(w)));"
        "$TargetDedicatedNodes = min(3, $tasks); $NodeDeallocationOption = taskcompletion;"
    )
    for speed in (1.0, 60.0):
        play = Play(speed=speed)
        pool = play.scaled_pool(formula)
        job = play.job()
        for name in "abcd":
            play.task(job, name)
        play.wait(900 / speed)
        assert pool.target_dedicated == 3, speed
        play.wait(3600 / speed)
        for name in "abcd":
            play.wait(10)
            play.end(name)
        play.wait(3600 / speed)
        assert (pool.target_dedicated, states(play)) == (0, []), speed


def test_a_formula_sees_ages_stretched_by_the_speed() -> None:
    play = Play(speed=60)
    pool = play.scaled_pool("$TargetDedicatedNodes = 0")
    play.wait(10)
    count = "n = len($ActiveTasks.GetSample(5 * TimeInterval_Minute, 0))"
    result = play.run(lambda core: scaling.evaluate(core, pool, count))
    assert result.results.endswith(("n=9", "n=10"))


def test_a_bad_formula_changes_nothing_and_says_why() -> None:
    play = Play()
    pool = play.scaled_pool("$TargetDedicatedNodes = 2")
    result = play.run(lambda core: scaling.evaluate(core, pool, "$something_useless"))
    assert result.error
    assert result.error["code"] == "AutoScalingFormulaEvaluationError"
    assert result.dedicated == 2


def test_autoscale_is_not_enabled_twice_within_thirty_seconds() -> None:
    play = Play()
    pool = play.scaled_pool("$TargetDedicatedNodes = 2")
    play.wait(29)
    with pytest.raises(Refused, match="TooManyEnableAutoScaleRequests"):
        play.run(scaling.enable, pool, None, None)
    play.wait(2)
    play.run(scaling.enable, pool, None, None)


def test_what_exceeds_the_quota_is_a_resize_error() -> None:
    play = Play(max_nodes=2)
    pool = play.ready_pool(dedicated=3)
    assert len(pool.nodes) == 2
    assert [error["code"] for error in pool.resize_errors] == ["AccountCoreQuotaReached"]
