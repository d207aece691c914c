"""A node runner of simulated tasks, and a server on a real port over it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from emulator.clock import Clock, ManualClock, to_datetime
from emulator.engine.settings import Settings
from emulator.nodes.directories import make_node, node_root, task_root
from emulator.nodes.failures import failure
from emulator.nodes.interface import FailureInfo, NodeFacts, PackageFacts, TaskLaunch, TaskOutcome
from emulator.server import Server

ACCOUNT = "local"
KEY = b"a key that is not base64 of anything secret"


class SimulatedRunner:
    """Runs tasks by their command line: `exit N`, `wait`, `print TEXT`; anything else succeeds.

    A waiting task ends when `release` is called, or when it is cancelled.
    """

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self.clock = clock
        self.launched: list[TaskLaunch] = []
        self.cancelled: list[str] = []
        self.uploaded: list[tuple[str, list[str]]] = []
        self.deployed: list[tuple[str, tuple[PackageFacts, ...]]] = []
        self.running: dict[str, TaskLaunch] = {}
        self.released = asyncio.Event()

    def node_directory(self, node: NodeFacts) -> Path:
        return node_root(self.root, node)

    def task_directory(self, launch: TaskLaunch) -> Path:
        return task_root(self.root, launch)

    async def add_node(self, node: NodeFacts) -> None:
        make_node(self.node_directory(node))

    async def deploy(
        self, node: NodeFacts, packages: Sequence[PackageFacts]
    ) -> FailureInfo | None:
        self.deployed.append((node.node_id, tuple(packages)))
        return None

    async def remove_node(self, node: NodeFacts) -> None:
        shutil.rmtree(self.node_directory(node))

    async def run_task(
        self, launch: TaskLaunch, started: Callable[[datetime], None]
    ) -> TaskOutcome:
        key = f"{launch.job_id}/{launch.task_id}"
        if launch.kind == "coordination":
            self.launched.append(launch)
            started(to_datetime(self.clock.now()))
            await asyncio.Event().wait()
        assert key not in self.running, f"{key} runs on two nodes"
        self.running[key] = launch
        self.launched.append(launch)
        try:
            return await self._run(launch, started)
        except asyncio.CancelledError:
            self.cancelled.append(key)
            raise
        finally:
            del self.running[key]

    async def _run(self, launch: TaskLaunch, started: Callable[[datetime], None]) -> TaskOutcome:
        directory = self.task_directory(launch)
        (directory / "wd").mkdir(parents=True, exist_ok=True)
        verb, _, rest = launch.task["commandLine"].partition(" ")
        (directory / "stderr.txt").write_text("")
        (directory / "stdout.txt").write_text(rest if verb == "print" else "")
        (directory / "wd" / "out.txt").write_text("0123456789")
        begin = to_datetime(self.clock.now())
        started(begin)
        if verb == "wait":
            await self.released.wait()
        code = int(rest) if verb == "exit" else 0
        return TaskOutcome(
            start_time=begin,
            end_time=to_datetime(self.clock.now()),
            exit_code=code,
            failure=failure("FailureExitCode") if code else None,
        )

    async def remove_task(self, launch: TaskLaunch) -> None:
        shutil.rmtree(self.task_directory(launch), ignore_errors=True)

    async def upload(
        self,
        node: NodeFacts,
        files: Mapping[str, Path],
        container_url: str,
        identity: Mapping[str, Any] | None,
    ) -> None:
        del node, identity
        self.uploaded.append((container_url, sorted(files)))

    async def close(self) -> None:
        return


QUICK = Settings(
    node_ready_median_s=0.02,
    node_ready_p95_s=0.03,
    resize_without_growth_s=0.01,
    node_leaving_s=0.01,
    scheduling_latency_s=0.001,
    job_transition_s=0.01,
    job_termination_s=0.01,
    job_deletion_s=0.01,
    pool_deletion_s=0.01,
    preempted_return_s=0.05,
)
"""A service that makes one wait for nothing, by the real clock."""


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    """The server behind uvicorn on a free port; gives its URL."""
    config = uvicorn.Config(
        server.app, port=0, log_config=None, lifespan="off", server_header=False, date_header=False
    )
    web = uvicorn.Server(config)
    config.load()
    web.lifespan = config.lifespan_class(config)
    await web.startup()
    url = f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    server.base_url = url
    await server.start()
    loop = asyncio.create_task(web.main_loop())
    try:
        yield url
    finally:
        web.should_exit = True
        await loop
        await web.shutdown()
        await server.close()


def manual_server(
    root: Path, *, data: Path | None = None, speed: float = 1.0, settings: Settings | None = None
) -> tuple[Server, ManualClock, SimulatedRunner]:
    """A server whose time only the test moves."""
    clock = ManualClock(datetime(2026, 1, 5, 12, tzinfo=UTC), speed=speed)
    runner = SimulatedRunner(root / "nodes", clock)
    return Server(data=data, clock=clock, runner=runner, settings=settings), clock, runner


async def until(condition: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Returns when a condition holds; fails when it does not in time."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        await asyncio.sleep(0.002)
