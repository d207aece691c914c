"""Rows of an earlier version are read as they are."""

from __future__ import annotations

import dataclasses
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.engine import formulas
from emulator.engine.engine import Engine
from emulator.engine.records import DamagedRecordsError
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


@pytest.fixture(scope="module")
def played() -> Play:
    play = Play()
    play.ready_pool(dedicated=1)
    play.task(play.job(), "t")
    play.wait(5)
    return play


@given(st.data())
def test_a_row_whose_bytes_were_changed_is_damage_and_nothing_else(
    played: Play, data: st.DataObject
) -> None:
    rows = dict(played.stored)
    key = data.draw(st.sampled_from(sorted(rows)))
    row = rows[key]
    cut = data.draw(st.integers(0, len(row.state) - 1))
    state = row.state[:cut] + data.draw(st.binary(max_size=2))
    rows[key] = dataclasses.replace(row, state=state)
    engine = Engine("local", played.settings, formulas.evaluate)
    # Of a record with fewer fields, as earlier versions wrote them, the others have defaults.
    told = suppress(DamagedRecordsError) if is_json(state) else pytest.raises(DamagedRecordsError)
    with told:
        engine.restore(played.now, rows.values())


def is_json(state: bytes) -> bool:
    try:
        orjson.loads(state)
    except orjson.JSONDecodeError:
        return False
    return True
