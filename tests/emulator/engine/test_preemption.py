"""Tasks that give way to jobs of higher priority."""

from __future__ import annotations

from tests.emulator.engine.play import Play
from tests.emulator.engine.test_gangs import coordinations, drain, gang


def test_only_as_many_tasks_give_way_as_a_higher_job_needs_and_the_lowest_first() -> None:
    play = Play()
    play.ready_pool(dedicated=1, taskSlotsPerNode=3)
    for name, priority in (("low", -1), ("lower", -2), ("firm", -3)):
        job = play.job(name, priority=priority, allowTaskPreemption=name != "firm")
        play.task(job, f"in-{name}")
    play.wait(5)
    play.task(play.job("high", priority=5), "urgent", requiredSlots=1)
    play.wait(5)
    assert [a.task_id for a in play.cancelled] == ["in-lower"]
    play.wait(60)
    assert len(play.cancelled) == 1, "what comes free is waited for"
    drain(play)
    assert play.placed() == ["in-low", "in-firm", "urgent"]


def test_equals_and_jobs_that_do_not_allow_it_keep_their_nodes() -> None:
    play = Play()
    play.ready_pool(dedicated=1, taskSlotsPerNode=2)
    play.task(play.job("same", priority=1, allowTaskPreemption=True), "a")
    play.task(play.job("firm", priority=0), "b")
    play.wait(5)
    play.task(play.job("late", priority=1), "c")
    play.wait(60)
    assert not play.cancelled


def test_nothing_gives_way_where_it_would_not_be_enough() -> None:
    play = Play()
    play.ready_pool(dedicated=2, enableInterNodeCommunication=True)
    play.task(play.job("gives", allowTaskPreemption=True), "a")
    play.task(play.job("firm"), "b")
    play.wait(5)
    gang(play, play.job("high", priority=9), instances=2)
    play.wait(60)
    assert not play.cancelled
    play.end("b")
    assert [a.task_id for a in play.cancelled] == ["a"]
    drain(play)
    assert len(coordinations(play)) == 2


def test_nothing_gives_way_for_a_task_that_may_not_go_there() -> None:
    play = Play()
    play.ready_pool(spot=1)
    play.task(play.job("gives", allowTaskPreemption=True), "a")
    play.wait(5)
    manager = {"id": "m", "commandLine": "run", "allowLowPriorityNode": False}
    play.job("high", priority=9, jobManagerTask=manager)
    play.wait(60)
    assert not play.cancelled
