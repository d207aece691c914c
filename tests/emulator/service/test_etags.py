"""An ETag changes exactly when a client changes the object, and conditions hold by it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emulator.service.wire import JOB, POOL, Wire

Condition = Literal["", "present", "stale", "any", "not present", "not stale"]

PATHS = {"pool": "/pools/p", "job": "/jobs/j", "task": "/jobs/j/tasks/t"}
CHANGES: dict[str, list[tuple[str, str, Any]]] = {
    "pool": [
        ("PATCH", "", {"metadata": [{"name": "a", "value": "b"}]}),
        ("PATCH", "", {"taskSlotsPerNode": "many"}),
        ("POST", "/updateproperties", {"applicationPackageReferences": [], "metadata": []}),
        ("POST", "/resize", {"targetDedicatedNodes": 1}),
        ("POST", "/resize", {}),
        ("POST", "/stopresize", None),
        ("GET", "", None),
    ],
    "job": [
        ("PATCH", "", {"priority": 3}),
        ("PATCH", "", {"priority": 5000}),
        ("PUT", "", {"poolInfo": {"poolId": "p"}}),
        ("POST", "/disable", {"disableTasks": "requeue"}),
        ("POST", "/enable", None),
        ("GET", "/taskcounts", None),
    ],
    "task": [
        ("PUT", "", {"constraints": {"maxTaskRetryCount": 1}}),
        ("PUT", "", {"constraints": {"maxTaskRetryCount": "x"}}),
        ("POST", "/terminate", None),
        ("POST", "/reactivate", None),
        ("GET", "", None),
    ],
}
QUIET = "/stopresize"
"""The one change that leaves the ETag as it is, in five of six recordings of the service."""

STEPS = st.one_of(
    *(st.tuples(st.just(kind), st.sampled_from(changes)) for kind, changes in CHANGES.items()),
    st.tuples(st.just("time"), st.sampled_from([0.001, 1.0, 600.0])),
)
CONDITIONS: st.SearchStrategy[Condition] = st.sampled_from(
    ["", "", "present", "stale", "any", "not present", "not stale"]
)


def header(condition: Condition, tag: str) -> dict[str, str]:
    return {
        "": {},
        "present": {"if-match": tag},
        "stale": {"if-match": "0x8D0"},
        "any": {"if-match": "*"},
        "not present": {"if-none-match": tag},
        "not stale": {"if-none-match": "0x8D0"},
    }[condition]


async def tags(wire: Wire) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, path in PATHS.items():
        reply = await wire.send("GET", path)
        assert reply.headers["etag"] == reply.json()["eTag"]
        found[kind] = reply.headers["etag"]
    return found


async def play(steps: list[tuple[str, Any]], conditions: list[Condition]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        wire = await Wire.start(Path(directory))
        try:
            await wire.send("POST", "/pools", POOL)
            await wire.send("POST", "/jobs", JOB)
            await wire.send("POST", "/jobs/j/tasks", {"id": "t", "commandLine": "run"})
            before = await tags(wire)
            for (kind, change), condition in zip(steps, conditions, strict=False):
                if kind == "time":
                    wire.clock.advance(change)
                    await asyncio.sleep(0)
                    assert await tags(wire) == before, "time alone changed an ETag"
                    continue
                before = await one(wire, kind, change, condition, before)
        finally:
            await wire.close()


async def one(
    wire: Wire,
    kind: str,
    change: tuple[str, str, Any],
    condition: Condition,
    before: dict[str, str],
) -> dict[str, str]:
    method, path, body = change
    wire.clock.advance(0.001)
    asked = header(condition, before[kind])
    reply = await wire.send(method, PATHS[kind] + path, body, headers=asked)
    after = await tags(wire)
    told = f"{method} {PATHS[kind]}{path} {condition} {reply.status_code}"
    others = {name: tag for name, tag in after.items() if name != kind}
    assert others == {name: tag for name, tag in before.items() if name != kind}, told
    changes = method != "GET" and path != QUIET and reply.status_code < 300
    assert (after[kind] != before[kind]) is changes, told
    if changes:
        assert reply.headers["etag"] == after[kind], told
        assert condition not in {"stale", "not present"}, f"done in spite of a condition: {told}"
    return after


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=1, max_size=12), st.lists(CONDITIONS, min_size=12, max_size=12))
def test_an_etag_changes_exactly_when_the_object_does(
    steps: list[tuple[str, Any]], conditions: list[Condition]
) -> None:
    asyncio.run(play(steps, conditions))
