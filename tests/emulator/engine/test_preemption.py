"""Tasks that give way to jobs of higher priority, and what the account's cores allow."""

from __future__ import annotations

import pytest

from emulator.engine.cores import cores_of
from emulator.engine.settings import Settings
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


@pytest.mark.parametrize(("kind", "code"), [
    ("dedicated", "AccountCoreQuotaReached"), ("spot", "AccountLowPriorityCoreQuotaReached"),
])  # fmt: skip
def test_cores_of_all_pools_count_against_the_account(kind: str, code: str) -> None:
    play = Play(max_dedicated_cores=20, max_spot_cores=20)
    count = {kind: 2}
    first = play.ready_pool(pool_id="a", vmSize="Standard_D4s_v5", **count)
    second = play.ready_pool(pool_id="b", vmSize="Standard_D8s_v5", **count)
    assert len(first.nodes) == 2
    assert len(second.nodes) == 1
    assert [error["code"] for error in second.resize_errors] == [code]
    assert second.allocation == "steady"


@pytest.mark.parametrize(("size", "cores"), [
    ("Standard_D2s_v5", 2), ("standard_hb120rs_v3", 120), ("Standard_HB120-64rs_v3", 64),
    ("standard_nc24ads_a100_v4", 24), ("STANDARD_D1_V2", 1), ("Standard_D13_v2", 8),
    ("Standard_DS14", 16), ("Standard_A8", 8), ("Standard_A8_v2", 8), ("small", 1),
    ("Standard_F16s_v2", 16), ("standard_e96as_v5", 96), ("nonsense", 1),
])  # fmt: skip
def test_a_size_tells_its_cores(size: str, cores: int) -> None:
    assert cores_of(size) == cores


def test_without_a_quota_of_ones_own_there_is_room() -> None:
    assert Settings().max_dedicated_cores > Settings().max_nodes
