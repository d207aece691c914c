"""A multi-instance task with a real MPI over emulated nodes, as its user sees it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from azure.batch import models

from emulator.clock import SystemClock
from emulator.nodes.blobs import NO_STORAGE
from emulator.nodes.remote_shell import SCRIPT
from emulator.nodes.runner import ProcessRunner
from emulator.server import Server
from tests.emulator.service.client import Client
from tests.emulator.simulation import ACCOUNT, KEY, QUICK, serving

PROGRAM = r"""
#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv) {
    int rank, size, mine, sum;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    mine = (rank + 1) * (rank + 1);
    MPI_Reduce(&mine, &sum, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0) printf("ranks %d sum %d\n", size, sum);
    MPI_Finalize();
    return 0;
}
"""


def tool(name: str) -> str | None:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    server = Server(
        data=None,
        clock=SystemClock(1.0),
        runner=ProcessRunner(tmp_path / "nodes", NO_STORAGE, grace_s=0.5),
        settings=QUICK,
    )
    server.add_account(ACCOUNT, KEY)
    async with serving(server) as url:
        client = Client(url)
        await client.pool("mpi", 3, enable_inter_node_communication=True)
        info = models.BatchPoolInfo(pool_id="mpi")
        await client.do("create_job", models.BatchJobCreateOptions(id="job", pool_info=info))
        yield client


async def run(client: Client, task_id: str, command: str, coordination: str = "true") -> Any:
    settings = models.MultiInstanceSettings(
        number_of_instances=3, coordination_command_line=coordination
    )
    await client.do(
        "create_task",
        "job",
        models.BatchTaskCreateOptions(
            id=task_id, command_line=command, multi_instance_settings=settings
        ),
    )
    task = await client.until("completed", "get_task", "job", task_id)
    said = await client.output("job", task_id, "stderr.txt")
    assert task.execution_info.result == "success", (task.execution_info.failure_info, said)
    return task


@pytest.mark.slow
@pytest.mark.skipif(not (tool("mpicc") and tool("mpiexec")), reason="no MPI on this machine")
async def test_a_sum_over_ranks_on_three_nodes(client: Client, tmp_path: Path) -> None:
    source, program = tmp_path / "sum.c", tmp_path / "sum"
    source.write_text(PROGRAM)
    compiler = await asyncio.create_subprocess_exec(
        str(tool("mpicc")), str(source), "-o", str(program)
    )
    assert await compiler.wait() == 0
    launch = f"{tool('mpiexec')} -hosts $AZ_BATCH_HOST_LIST -n 6 {program}"
    task = await run(client, "sum", f"/bin/sh -c '{launch}'")
    said = await client.output("job", "sum")
    assert said == f"ranks 6 sum {sum(n * n for n in range(1, 7))}\n"
    subtasks = await client.do_list("list_subtasks", "job", "sum")
    assert [(s.id, s.state, s.exit_code, s.result) for s in subtasks] == [
        (1, "completed", 0, "success"),
        (2, "completed", 0, "success"),
    ]
    assert len({task.node_info.node_id, *(s.node_info.node_id for s in subtasks)}) == 3


async def test_what_the_coordination_left_running_serves_the_task_and_ends_with_it(
    client: Client,
) -> None:
    peer = f"{sys.executable} {Path(__file__).with_name('peer.py')}"
    task = await run(client, "served", f"{peer} ask", f"{peer} serve")
    assert await client.output("job", "served") == task.node_info.node_id
    node = await client.do("get_node", "mpi", task.node_info.node_id)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((node.ip_address, 6000), 1).close()


async def test_a_host_that_is_no_node_of_the_task_cannot_be_reached(client: Client) -> None:
    shell = f"{SCRIPT} -x $1 hostname"
    command = f"/bin/sh -c '{shell.replace('$1', '127.0.0.1')} 2>/dev/null; echo $?'"
    await run(client, "shell", command)
    assert await client.output("job", "shell") == "255\n"
