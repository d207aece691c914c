"""What an index finds for a filter is what looking at every task finds, in the same order."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.emulator.service.wire import BASE, VERSION, Wire

TASKS = 300


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    wire = await Wire.start(tmp_path)
    yield wire
    await wire.close()


async def listed(wire: Wire, condition: str = "") -> list[dict[str, Any]]:
    """All pages of a list of 37 a page."""
    link = "/jobs/j/tasks?maxresults=37" + (f"&$filter={quote(condition)}" if condition else "")
    found: list[dict[str, Any]] = []
    while link:
        page = (await wire.send("GET", link)).json()
        found += page["value"]
        link = page.get("odata.nextLink", "").removeprefix(BASE)
        link = link.replace(f"&api-version={VERSION}", "")
    return found


@pytest.mark.parametrize("changed", [0, 1, 5, 60, TASKS])
async def test_tasks_that_changed_are_found_whatever_their_number(
    wire: Wire, changed: int
) -> None:
    await wire.send("POST", "/pools", {"id": "p", "vmSize": "Standard_D4s_v5"})
    await wire.send("POST", "/jobs", {"id": "j", "poolInfo": {"poolId": "p"}})
    for first in range(0, TASKS, 100):
        values = [{"id": f"T{n:03d}", "commandLine": "x"} for n in range(first, first + 100)]
        await wire.send("POST", "/jobs/j/addtaskcollection", {"value": values})
        wire.clock.advance(120)
    for number in random.Random(changed).sample(range(TASKS), changed):  # noqa: S311 - no secret
        assert (await wire.send("POST", f"/jobs/j/tasks/T{number:03d}/terminate")).is_success
        wire.clock.advance(120)
    everything = await listed(wire)
    assert len(everything) == TASKS
    instants = sorted({task["stateTransitionTime"] for task in everything})
    for instant in (instants[0], instants[len(instants) // 2], instants[-1]):
        for state in ("active", "completed", None):
            condition = f"stateTransitionTime ge DateTime'{instant}'"
            if state is not None:
                condition += f" and state eq '{state}'"
            expected = [
                task["id"]
                for task in everything
                if task["stateTransitionTime"] >= instant and state in {None, task["state"]}
            ]
            assert [task["id"] for task in await listed(wire, condition)] == expected
