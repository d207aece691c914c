"""Rows of an earlier version are read as they are."""

from __future__ import annotations

import dataclasses

import orjson

from tests.emulator.engine.play import Play

VERSION_1 = {"pool": 19, "node": 14, "job": 15, "task": 25}
"""How many fields a row had in version 1."""


def test_rows_of_version_1_make_the_same_world_and_new_nodes_get_loopback_addresses() -> None:
    play = Play()
    pool = play.ready_pool(dedicated=1)
    job = play.job()
    play.task(job, "t")
    play.wait(5)
    play.end("t")
    for key, row in play.stored.items():
        values = orjson.loads(row.state)[: VERSION_1[row.kind]]
        play.stored[key] = dataclasses.replace(row, state=orjson.dumps(values))
    play.restart()
    again = play.engine.world.pools[pool.key]
    task = play.engine.world.jobs["j"].tasks["t"]
    assert (task.state, task.result, list(task.used), list(task.subtasks)) == (
        "completed", "success", [], []
    )  # fmt: skip
    assert len(again.nodes) == 1
    assert again.network >= 4


def test_what_tasks_used_survives_a_restart() -> None:
    play = Play()
    play.ready_pool(dedicated=1)
    play.task(play.job(), "t")
    play.wait(5)
    play.wait(30)
    play.end("t")
    before = list(play.engine.world.jobs["j"].tasks["t"].used)
    play.restart()
    assert list(play.engine.world.jobs["j"].tasks["t"].used) == before != []
