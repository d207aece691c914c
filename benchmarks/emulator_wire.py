"""How the emulator's wire bears many tasks and nodes: `python benchmarks/emulator_wire.py`.

Everything is a ratio within one run, by a client that signs and sends as fast as it can over
kept connections, and a server in a process of its own with its state on disk:

- *accept*: tasks in collections of 100, validated and stored, beside a handler on the same HTTP
  server that parses the body and answers; and the rate of the last tenth beside the second.
- *pages*: 1,000 tasks out of all, beside 1,000 out of 2,000; plain, by state, by transition.
- *memory*: what a finished task adds to the process (its tasks are simulated: they end at once).
- *idle*: the share of a core that 10,000 idle nodes of a pool with autoscale take.

Found on two cores: accept 0.83, last tenth 1.01, pages 0.98, 1.02 and 1.13, 1,347 bytes, 0.003 of
a core. A page by transition took 1.65 times as long while a quarter of all tasks was looked
through for recent ones before the filter went by order; now it is one in 32, and times are
compared before a task is rendered.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import psutil
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.batch_client import (  # noqa: E402 - the path comes first
    ACCOUNT,
    KEY,
    Client,
    all_done,
    clients,
    job,
    pool,
)
from emulator.clock import SystemClock  # noqa: E402
from emulator.engine.settings import Settings  # noqa: E402
from emulator.http import listen, serving  # noqa: E402
from emulator.nodes.interface import NodeFacts, TaskLaunch, TaskOutcome  # noqa: E402
from emulator.server import Server  # noqa: E402

COLLECTION = 100
CONNECTIONS = 4
PAGE = 1_000
SMALL = 2_000
ROUNDS = 9
IDLE_S = 60.0
"""Two samples of every pool."""
SETTINGS = Settings(
    node_ready_median_s=0.5,
    node_ready_p95_s=1.0,
    resize_without_growth_s=0.1,
    scheduling_latency_s=0.001,
    max_nodes=20_000,
)
"""Nodes are there at once; samples and evaluations come as often as in Azure."""


class Instant:
    """A runner whose tasks end as soon as they start."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def node_directory(self, node: NodeFacts) -> Path:
        """Of a node; nothing is written to it."""
        return self._root / node.node_id

    def task_directory(self, launch: TaskLaunch) -> Path:
        """Of a task; nothing is written to it."""
        return self.node_directory(launch.node) / launch.task_id

    async def add_node(self, node: NodeFacts) -> None:
        """Needs nothing."""

    async def deploy(self, node: NodeFacts, packages: object) -> None:
        """Needs nothing."""

    async def upload(
        self, node: NodeFacts, files: object, container_url: str, identity: object
    ) -> None:
        """Needs nothing."""

    async def remove_node(self, node: NodeFacts) -> None:
        """Needs nothing."""

    async def run_task(
        self, _launch: TaskLaunch, started: Callable[[datetime], None]
    ) -> TaskOutcome:
        """Runs nothing."""
        now = datetime.now(UTC)
        started(now)
        return TaskOutcome(start_time=now, end_time=now, exit_code=0, failure=None)

    async def remove_task(self, launch: TaskLaunch) -> None:
        """Needs nothing."""

    async def close(self) -> None:
        """Needs nothing."""


async def _serve_emulator(said: Connection, root: Path) -> None:
    server = Server(
        data=root / "data",
        clock=SystemClock(),
        runner=Instant(root / "nodes"),
        settings=SETTINGS,
    )
    server.add_account(ACCOUNT, KEY)
    await server.start()
    await _serve(said, server.app)
    await server.close()


async def _serve_parser(said: Connection, _root: Path) -> None:
    async def answer(request: Request) -> Response:
        tasks = orjson.loads(await request.body())["value"]
        results = [{"status": "success", "taskId": task["id"]} for task in tasks]
        return Response(orjson.dumps({"value": results}), media_type="application/json")

    path = "/jobs/{job}/addtaskcollection"
    await _serve(said, Starlette(routes=[Route(path, answer, methods=["POST"])]))


async def _serve(said: Connection, app: Starlette) -> None:
    """Serves until the other end asks to stop; `measure` asks for memory and CPU time."""
    loop = asyncio.get_running_loop()
    process = psutil.Process()
    with listen(0) as listener:
        async with serving(app, listener):
            said.send(listener.getsockname()[1])
            while await loop.run_in_executor(None, said.recv) == "measure":
                gc.collect()
                times = process.cpu_times()
                said.send((process.memory_info().rss, times.user + times.system))


def _process(role: str, said: Connection, root: Path) -> None:
    asyncio.run((_serve_emulator if role == "emulator" else _serve_parser)(said, root))


class Served:
    """A server in a process of its own."""

    def __init__(self, port: int, said: Connection) -> None:
        self.port = port
        self._said = said

    def measure(self) -> tuple[int, float]:
        """Resident bytes, and seconds of CPU since it began."""
        self._said.send("measure")
        found: tuple[int, float] = self._said.recv()
        return found


@contextmanager
def served(role: str) -> Iterator[Served]:
    """Starts a server, and ends it."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as root:
        process = context.Process(target=_process, args=(role, theirs, Path(root)))
        process.start()
        try:
            yield Served(mine.recv(), mine)
        finally:
            with contextlib.suppress(OSError):
                mine.send("stop")
            process.join(30)
            process.kill()


def collection(first: int) -> dict[str, Any]:
    """Tasks as `jobs.run` sends them."""
    return {
        "value": [
            {
                "id": f"t{number:07d}",
                "commandLine": f"./simulate --seed {number} --output out-{number}.bin",
                "environmentSettings": [{"name": "SEED", "value": str(number)}],
            }
            for number in range(first, first + COLLECTION)
        ]
    }


async def submit(connections: list[Client], job: str, tasks: int) -> list[float]:
    """When each collection was answered, in seconds since the first was sent."""
    firsts = iter(range(0, tasks, COLLECTION))
    ends: list[float] = []
    began = time.perf_counter()

    async def work(client: Client) -> None:
        for first in firsts:
            await client.send("POST", f"/jobs/{job}/addtaskcollection", collection(first))
            ends.append(time.perf_counter() - began)

    await asyncio.gather(*(work(client) for client in connections))
    return ends


async def accepted(tasks: int) -> tuple[float, float, float]:
    """Tasks a second: the parser's, the emulator's; and its last tenth beside its second."""
    with served("parser") as parser:
        async with clients(parser.port, CONNECTIONS) as connections:
            await submit(connections, "warm", SMALL)
            peer = tasks / (await submit(connections, "j", tasks))[-1]
    with served("emulator") as emulator:
        async with clients(emulator.port, CONNECTIONS) as connections:
            await job(connections[0], "warm")
            await submit(connections, "warm", SMALL)
            await job(connections[0], "j")
            ends = await submit(connections, "j", tasks)
    tenth = len(ends) // 10
    early, late = ends[2 * tenth - 1] - ends[tenth - 1], ends[-1] - ends[-tenth - 1]
    return peer, tasks / ends[-1], early / late


async def paged(tasks: int) -> dict[str, float]:
    """Time of a page out of all beside one out of 2,000, by what is asked."""
    asked = {
        "plain": "",
        "by_state": "state eq 'active'",
        "by_transition": "stateTransitionTime ge DateTime'2020-01-01T00:00:00Z'",
    }
    with served("emulator") as emulator:
        async with clients(emulator.port, CONNECTIONS) as connections:
            for name, size in (("small", SMALL), ("large", tasks)):
                await job(connections[0], name)
                await submit(connections, name, size)
            found = {}
            for kind, text in asked.items():
                query = f"maxresults={PAGE}" + (f"&$filter={quote(text)}" if text else "")
                ratios = []
                for _ in range(ROUNDS):
                    spent = {}
                    for name in ("small", "large"):
                        began = time.perf_counter()
                        answer = await connections[0].send(
                            "GET", f"/jobs/{name}/tasks", None, query
                        )
                        spent[name] = time.perf_counter() - began
                        if len(orjson.loads(answer)["value"]) != PAGE:
                            raise SystemExit(f"{kind}: not a page of {PAGE}")
                    ratios.append(spent["large"] / spent["small"])
                found[kind] = statistics.median(ratios)
    return found


async def remembered(tasks: int) -> float:
    """Bytes that a finished task adds."""
    with served("emulator") as emulator:
        async with clients(emulator.port, CONNECTIONS) as connections:
            client = connections[0]
            await pool(client, "p", 8)
            await job(client, "warm", "p")
            await submit(connections, "warm", SMALL)
            await all_done(client, "warm", SMALL)
            before, _ = emulator.measure()
            await job(client, "j", "p")
            await submit(connections, "j", tasks)
            await all_done(client, "j", tasks)
            after, _ = emulator.measure()
    return (after - before) / tasks


async def idle(nodes: int) -> float:
    """The share of a core that idle nodes take."""
    with served("emulator") as emulator:
        async with clients(emulator.port, 1) as (client,):
            await pool(client, "p", nodes, scaled=True)
            while True:
                found = orjson.loads(await client.send("GET", "/nodecounts"))["value"]
                if found and found[0]["dedicated"]["idle"] == nodes:
                    break
                await asyncio.sleep(0.2)
            began, (_, before) = time.perf_counter(), emulator.measure()
            await asyncio.sleep(IDLE_S)
            _, after = emulator.measure()
            return (after - before) / (time.perf_counter() - began)


async def measure(tasks: int, nodes: int) -> dict[str, float]:
    """All figures."""
    peer, mine, late = await accepted(tasks)
    pages = await paged(tasks)
    return {
        "parser_per_s": round(peer),
        "accepted_per_s": round(mine),
        "accepted_to_parser": round(mine / peer, 2),
        "last_to_second_tenth": round(late, 2),
        **{f"page_{kind}": round(ratio, 2) for kind, ratio in pages.items()},
        "bytes_per_finished_task": round(await remembered(tasks)),
        "idle_nodes_core_share": round(await idle(nodes), 3),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="The emulator's wire under many tasks.")
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(measure(options.tasks, options.nodes))
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
