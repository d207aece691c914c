"""How fast the nodes run short tasks: `python benchmarks/emulator_tasks.py [--tasks N] [--json]`.

The peer is `xargs -P2 -n1 true`, in turn with it in the same run. *emulator* is the whole of
`python -m emulator serve`: tasks are submitted in collections, stored, scheduled on two nodes,
run, their ends recorded on disk. *node* is a task on a node alone: its directories made, its
environment and files, the program started under a supervisor and waited for with all that it
left, its use of the machine counted. *agent* leaves out the directories, too.

Found on two cores with its directories in memory (`TMPDIR=/dev/shm`), medians of 3 rounds of 300:
0.58 of xargs' rate through the whole emulator, 0.77 for a node alone. On a file system where a
directory with two files took 1.8 ms to make (51 µs in memory) it was 0.17 and 0.21: then the
disk is what is measured, for xargs makes nothing. With other work beside both it swings between
0.14 and 0.94. It was 0.34, and 0.70 for a node, before the supervisors made the tasks' directories
and before what nodes report was stored together.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.batch_client import (  # noqa: E402 - the path comes first
    ACCOUNT,
    KEY,
    all_done,
    clients,
    job,
    pool,
)
from emulator.nodes.blobs import LocalStorage  # noqa: E402
from emulator.nodes.interface import NodeFacts, TaskLaunch  # noqa: E402
from emulator.nodes.launcher import Launcher  # noqa: E402
from emulator.nodes.runner import ProcessRunner  # noqa: E402
from emulator.processes import Program  # noqa: E402

WIDTH = 4
NODE = NodeFacts(
    account="bench",
    batch_url="http://127.0.0.1",
    pool_id="pool",
    node_id="node",
    is_dedicated=True,
    ip_address="10.0.0.4",
)


def by_xargs(tasks: int) -> float:
    """Programs a second."""
    began = time.perf_counter()
    subprocess.run(["xargs", "-P2", "-n1", "true"], input=b"x\n" * tasks, check=True)
    return tasks / (time.perf_counter() - began)


async def rate(tasks: int, one: Callable[[int], Awaitable[int | None]]) -> float:
    """Tasks a second, some at a time; each must succeed."""
    numbers = iter(range(tasks))

    async def work() -> None:
        for number in numbers:
            if await one(number) != 0:
                raise SystemExit(f"task {number} failed")

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(WIDTH)))
    return tasks / (time.perf_counter() - began)


async def by_agent(tasks: int) -> float:
    """Programs a second through the node agent."""
    launcher = Launcher()
    program = Program(argv=["/bin/true"], env={}, stdout=os.devnull, stderr=os.devnull)

    async def one(_number: int) -> int:
        return (await (await launcher.launch(program)).wait()).code

    try:
        await rate(1, one)  # the agent starts
        return await rate(tasks, one)
    finally:
        await launcher.close()


async def by_node(tasks: int) -> float:
    """Tasks a second on a node."""
    with tempfile.TemporaryDirectory() as directory:
        none = LocalStorage(
            endpoint=lambda: None, key=lambda _name: None, auto_storage=lambda _name: None
        )
        runner = ProcessRunner(Path(directory), none)
        await runner.add_node(NODE)

        async def one(number: int) -> int | None:
            launch = TaskLaunch(
                node=NODE, job_id="job", task_id=f"t{number}", task={"commandLine": "/bin/true"}
            )
            return (await runner.run_task(launch, lambda _at: None)).exit_code

        try:
            await rate(1, one)  # the agent starts
            return await rate(tasks, one)
        finally:
            await runner.close()


def by_emulator(tasks: int) -> float:
    """Tasks a second through the emulator, from the first's submission to the last's end."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "emulator", "serve", "--no-blob", "--no-provider"]
        options = ["--account", ACCOUNT, "--service-speed", "1000"]
        variables = {
            **os.environ,
            "HPC_LOCAL_DIR": directory,
            "EMULATOR_KEY": base64.b64encode(KEY).decode(),
        }
        with subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                line = process.stdout.readline() if process.stdout else b""
                endpoint = json.loads(line)["batch_endpoint"]
                return asyncio.run(_through(int(endpoint.rpartition(":")[2]), tasks))
            finally:
                process.terminate()


async def _through(port: int, tasks: int) -> float:
    async with clients(port, 1) as (client,):
        await pool(client, "p", 2, slots=WIDTH // 2)
        for name, number in (("warm", 100), ("j", tasks)):
            await job(client, name, "p")
            began = time.perf_counter()
            for first in range(0, number, 100):
                value = [
                    {"id": f"t{index:05d}", "commandLine": "/bin/true"}
                    for index in range(first, min(number, first + 100))
                ]
                await client.send("POST", f"/jobs/{name}/addtaskcollection", {"value": value})
            await all_done(client, name, number)
        return tasks / (time.perf_counter() - began)


def main() -> None:
    """Measures in turn and prints medians."""
    parser = argparse.ArgumentParser(description="Short tasks a second, beside xargs.")
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = [
        (
            by_xargs(options.tasks),
            asyncio.run(by_agent(options.tasks)),
            asyncio.run(by_node(options.tasks)),
            by_emulator(options.tasks),
        )
        for _ in range(options.rounds)
    ]
    peer, agent, node, whole = (statistics.median(column) for column in zip(*rounds, strict=True))
    node_ratio = statistics.median(mine / theirs for theirs, _, mine, _ in rounds)
    ratio = statistics.median(mine / theirs for theirs, _, _, mine in rounds)
    found = {
        "tasks": options.tasks,
        "xargs_per_s": round(peer),
        "agent_per_s": round(agent),
        "node_per_s": round(node),
        "emulator_per_s": round(whole),
        "node_to_xargs": round(node_ratio, 2),
        "emulator_to_xargs": round(ratio, 2),
    }
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:18} {value}")


if __name__ == "__main__":
    main()
