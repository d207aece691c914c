"""Everything that there is, as one JSON document: what `/_emulator/world` answers.

Objects are written as the service's own reads write them, each with what it holds: a
pool with its nodes, a job with its tasks. It is one instant of the world: nothing else
happens while it is written, which takes about a second for every fifty thousand tasks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson

from emulator.service import render
from emulator.service.values import instant

if TYPE_CHECKING:
    from emulator.engine.world import World
    from emulator.server import Server

VERSION = 1
"""Of the document's form."""


def export(server: Server, accounts: Iterable[str]) -> bytes:
    """The document.

    Args:
        server: The emulator.
        accounts: Names of those to write.
    """
    base = server.base_url
    return orjson.dumps(
        {
            "version": VERSION,
            "time": instant(server.now()),
            "speed": server.clock.speed,
            "accounts": {name: _account(base, server.host(name).world) for name in accounts},
        }
    )


def _account(base: str, world: World) -> dict[str, Any]:
    return {
        "pools": [
            {
                **render.pool(base, pool),
                "nodes": [render.node(base, node) for node in pool.nodes.values()],
            }
            for pool in world.pools.values()
        ],
        "jobs": [
            {
                **render.job(base, job),
                **render.task_counts(job),
                "tasks": [render.task(base, job.tasks[key]) for key in job.order.after("")],
            }
            for job in world.jobs.values()
        ],
    }
