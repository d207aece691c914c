"""What tasks took, as `$expand=stats` tells it, whatever their attempts ended by."""

import pytest

from emulator.clock import seconds
from emulator.engine import nodes, statistics, tasks
from emulator.engine.world import Attempt
from tests.emulator.engine.play import Play


@pytest.mark.parametrize("way", ["preempted", "requeued", "terminated"])
@pytest.mark.parametrize("instances", [0, 2])
def test_an_attempt_that_was_called_off_counts_in_what_its_task_took(
    way: str, instances: int
) -> None:
    play = Play()
    pool = play.ready_pool(spot=instances or 1, enableInterNodeCommunication=bool(instances))
    several = {"numberOfInstances": instances, "coordinationCommandLine": "begin"}
    settings = {"multiInstanceSettings": several} if instances else {}
    task = play.task(play.job(), "t", **settings)
    play.wait(10)
    application = _started(play, "t")
    node = application.node
    play.wait(40)
    if way == "preempted":
        play.run(nodes.preempt, node)
    elif way == "requeued":
        play.run(nodes.operate, node, "reboot", "requeue")
    else:
        play.run(tasks.terminate, task)
    play.wait(5)
    _all_ended(play)
    took = 40 if way == "preempted" else 45
    assert statistics.of_task(task, play.now).wall == seconds(took)
    play.wait(7200)
    assert statistics.of_pool(pool, play.now).tasks.wall == seconds(took), "the pool's, too"
    play.launched.clear()
    play.restart()
    kept = play.engine.world.pools[pool.key]
    assert statistics.of_pool(kept, play.now).tasks.wall == seconds(took), "also once restarted"
    if way == "terminated":
        return
    task = play.engine.world.jobs["j"].tasks["t"]
    play.wait(7200)
    _started(play, "t")
    play.wait(20)
    assert statistics.of_task(task, play.now).wall == seconds(took + 20)


def _started(play: Play, task_id: str) -> Attempt:
    """Lets what a task begins with return, and its command's process exist."""
    for attempt in [a for a in play.launched if a.id in a.node.attempts]:
        if attempt.kind == "coordination":
            play.engine.attempt_started(play.now, attempt.id, play.now)
    play.obey()
    application = next(
        a for a in play.launched
        if a.task_id == task_id and a.kind == "task" and a.id in a.node.attempts
    )  # fmt: skip
    play.engine.attempt_started(play.now, application.id, play.now)
    return application


def _all_ended(play: Play) -> None:
    for attempt in [a for a in play.launched if a.id in a.node.attempts]:
        play.end_attempt(attempt, None)
