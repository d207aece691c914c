import asyncio
import base64
import contextlib
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.batch import models
from azure.batch.aio import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import AsyncioRequestsTransport

from emulator.arm.backend import BackendError
from emulator.clock import SystemClock
from emulator.engine import jobs, pools
from emulator.errors import AlreadyRunningError, LocalStateError
from emulator.nodes.blobs import NO_STORAGE
from emulator.nodes.runner import ProcessRunner
from emulator.server import Server
from tests.emulator.full_disk import no_room
from tests.emulator.simulation import (
    ACCOUNT,
    KEY,
    QUICK,
    SimulatedRunner,
    manual_server,
    serving,
    until,
)

IMAGE = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}


def client(url: str, key: bytes = KEY, account: str = ACCOUNT) -> BatchClient:
    credential = AzureNamedKeyCredential(account, base64.b64encode(key).decode())
    transport = AsyncioRequestsTransport()
    return BatchClient(url, credential, retry_total=0, transport=transport)


def pool(pool_id: str, nodes: int = 0, **more: object) -> models.BatchPoolCreateOptions:
    return models.BatchPoolCreateOptions(
        {
            "id": pool_id,
            "vmSize": "Standard_D2s_v5",
            "virtualMachineConfiguration": IMAGE,
            "targetDedicatedNodes": nodes,
            **more,
        }
    )


def job(job_id: str, pool_id: str = "p", **more: object) -> models.BatchJobCreateOptions:
    return models.BatchJobCreateOptions({"id": job_id, "poolInfo": {"poolId": pool_id}, **more})


def task(task_id: str, command: str = "print hello") -> models.BatchTaskCreateOptions:
    return models.BatchTaskCreateOptions(id=task_id, command_line=command)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    clock = SystemClock()
    runner = SimulatedRunner(tmp_path / "nodes", clock)
    found = Server(data=tmp_path / "data", clock=clock, runner=runner, settings=QUICK)
    found.add_account(ACCOUNT, KEY)
    async with serving(found):
        yield found


async def completed(batch: BatchClient, job_id: str, count: int) -> None:
    while (await batch.get_job_task_counts(job_id)).task_counts.completed < count:  # noqa: ASYNC110 - the service is polled, as clients do
        await asyncio.sleep(0.005)


@pytest.mark.slow
async def test_the_official_client_runs_tasks_and_reads_their_files(server: Server) -> None:
    async with client(server.base_url) as batch, asyncio.timeout(120):
        await batch.create_pool(pool("p", 2))
        await batch.create_job(job("j"))
        await batch.create_tasks("j", [task(f"t{number}") for number in range(250)])
        await completed(batch, "j", 250)

        counts = (await batch.get_job_task_counts("j")).task_counts
        assert (counts.succeeded, counts.failed, counts.active) == (250, 0, 0)
        listed = batch.list_tasks("j", filter="startswith(id,'t1')", select=["id"], max_results=10)
        assert len([found async for found in listed]) == 111
        found = await batch.get_task("j", "t3")
        assert found.execution_info
        assert found.execution_info.result == "success"
        names = [file.name async for file in batch.list_task_files("j", "t3", recursive=True)]
        assert set(names) == {"stderr.txt", "stdout.txt", "wd", "wd/out.txt"}
        parts = await batch.download_task_file("j", "t3", "wd/out.txt", ocp_range="bytes=2-4")
        assert b"".join([part async for part in parts]) == b"234"
        properties = await batch.get_task_file_properties("j", "t3", "stdout.txt")
        assert properties.content_length == len("hello")

        await (await batch.begin_delete_job("j", polling_interval=0)).result()
        await (await batch.begin_delete_pool("p", polling_interval=0)).result()
        assert [found async for found in batch.list_pools()] == []


async def test_a_wrong_key_is_refused_and_never_logged(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(server.base_url, b"another key") as batch:
        with pytest.raises(HttpResponseError) as caught:
            await batch.get_job("j")
    assert caught.value.status_code == 403
    assert caught.value.error
    assert caught.value.error.code == "AuthenticationFailed"
    assert "string to sign" in caplog.text
    assert base64.b64encode(KEY).decode() not in caplog.text


async def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    clock = SystemClock()

    def start() -> tuple[Server, SimulatedRunner]:
        runner = SimulatedRunner(tmp_path / "nodes", clock)
        server = Server(data=tmp_path / "data", clock=clock, runner=runner, settings=QUICK)
        return server, runner

    server, runner = start()
    server.add_account(ACCOUNT, KEY)
    async with serving(server) as url, client(url) as batch, asyncio.timeout(120):
        await batch.create_pool(pool("p", 1))
        await batch.create_job(job("j"))
        await batch.create_tasks("j", [task("runs", "wait"), task("waits", "wait")])
        await until(lambda: len(runner.running) == 1)
        first = runner.launched[0].task_id

    server, runner = start()
    runner.released.set()
    async with serving(server) as url, client(url) as batch, asyncio.timeout(120):
        await completed(batch, "j", 2)
        requeued = {
            found.id: found.execution_info.requeue_count
            async for found in batch.list_tasks("j")
            if found.execution_info
        }
    assert requeued == {"runs": 0, "waits": 0} | {first: 1}


async def test_what_an_answer_tells_is_stored_and_what_nobody_asks_for_is_soon(
    server: Server, tmp_path: Path
) -> None:
    def stored() -> list[bytes]:
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "batch.sqlite3")) as state:
            found = state.execute("SELECT state FROM records WHERE kind = 'job'").fetchall()
        return [row for (row,) in found]

    async with client(server.base_url) as batch:
        await batch.create_job(job("j"))
        (before,) = stored()
        host = server.host(ACCOUNT)
        host.run(jobs.terminate, host.world.jobs["j"], "Told")
        assert stored() == [before]
        await batch.get_job("j")
        assert b"Told" in stored()[0]
        host.run(jobs.delete, host.world.jobs["j"])
        await until(lambda: not stored())


@pytest.mark.slow
async def test_a_task_whose_agent_was_killed_is_requeued(tmp_path: Path) -> None:
    clock = SystemClock()
    runner = ProcessRunner(tmp_path / "nodes", NO_STORAGE)
    server = Server(data=None, clock=clock, runner=runner, settings=QUICK)
    server.add_account(ACCOUNT, KEY)
    command = f"sh -c 'mkdir {tmp_path}/once || exit 0; exec sleep 1000'"
    async with serving(server) as url, client(url) as batch, asyncio.timeout(120):
        await batch.create_pool(pool("p", 1))
        await batch.create_job(job("j"))
        await batch.create_task("j", task("t", command))
        await until((tmp_path / "once").exists)
        held = server.host(ACCOUNT).world.jobs["j"].tasks["t"]
        await until(lambda: held.state == "running")
        agent = runner._launcher.agent_pid
        assert agent is not None
        os.kill(agent, signal.SIGKILL)
        await completed(batch, "j", 1)
        info = (await batch.get_task("j", "t")).execution_info
    assert info
    assert (info.result, info.exit_code, info.requeue_count) == ("success", 0, 1)


async def test_a_second_emulator_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    first, _, _ = manual_server(tmp_path, data=tmp_path / "data")
    with pytest.raises(AlreadyRunningError, match="another emulator uses"):
        manual_server(tmp_path, data=tmp_path / "data")
    await first.close()
    second, _, _ = manual_server(tmp_path, data=tmp_path / "data")
    await second.close()


async def test_a_damaged_file_is_set_aside_with_one_message(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "batch.sqlite3").write_bytes(b"this is no database, it is a letter" * 100)
    with pytest.raises(LocalStateError, match="was kept as"):
        manual_server(tmp_path, data=data)
    assert [path.name[:21] for path in data.glob("*damaged*")] == ["batch.sqlite3.damaged"]
    fresh, _, _ = manual_server(tmp_path, data=data)
    await fresh.close()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE records SET state = x'ff' WHERE kind = 'job'",
        "UPDATE records SET state = '[1]' WHERE kind = 'pool'",
        "UPDATE records SET body = '[]' WHERE kind = 'job'",
        "UPDATE records SET kind = 'poem' WHERE kind = 'task'",
        "DELETE FROM records WHERE kind = 'job'",
        "DELETE FROM records WHERE kind = 'pool'",
        "INSERT INTO applications VALUES ('other', 'a', '{}')",
    ],
)
async def test_damaged_records_are_set_aside_with_one_message_and_no_start_is_stopped_twice(
    tmp_path: Path, harm: str
) -> None:
    data = tmp_path / "data"
    server, clock, _ = manual_server(tmp_path, data=data)
    server.add_account("other", KEY)
    server.add_account(ACCOUNT, KEY)
    async with serving(server) as url, client(url) as batch:
        await batch.create_pool(pool("p", 1))
        clock.advance(1200)
        await batch.create_job(job("j"))
        await batch.create_task("j", task("t", "wait"))
    with contextlib.closing(sqlite3.connect(data / "batch.sqlite3")) as state:
        assert state.execute(harm).rowcount == 1
        state.commit()

    async def restart() -> None:
        again, _, _ = manual_server(tmp_path, data=data)
        try:
            await again.start()
        finally:
            await again.close()

    with pytest.raises(LocalStateError, match=r"is damaged[^$]*was kept as"):
        await restart()
    assert len(list(data.glob("*damaged-*"))) == 1
    await restart()


async def test_on_a_full_disk_changes_are_refused_reading_goes_on_and_room_heals_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server, clock, _ = manual_server(tmp_path, data=tmp_path / "data")
    server.add_account(ACCOUNT, KEY)
    async with serving(server) as url, client(url) as batch, asyncio.timeout(120):
        await batch.create_pool(pool("p", 1))
        await batch.create_job(job("j"))
        clock.advance(1200)
        with no_room(100):
            for job_id in ("a", "b"):
                with pytest.raises(HttpResponseError, match="InternalError"):
                    await batch.create_job(job(job_id))
            assert (await batch.get_job("j")).id == "j"
            assert {found.id async for found in batch.list_jobs()} == {"j", "a"}
            assert await batch.get_pool("p")
        assert caplog.text.count("cannot be used") == 1
        assert "Traceback" not in caplog.text
        await batch.get_job("j")
        # What was kept back is stored; what had not been begun can be asked for again.
        await batch.create_job(job("b"))
    again, _, _ = manual_server(tmp_path, data=tmp_path / "data")
    await again.start()
    assert set(again.host(ACCOUNT).world.jobs) == {"j", "a", "b"}
    await again.close()


@pytest.mark.slow
async def test_what_runs_is_ended_though_the_last_change_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _, runner = manual_server(tmp_path, data=tmp_path / "data")
    server.add_account(ACCOUNT, KEY)
    await server.start()
    await server.put_pool(ACCOUNT, "p", {"vmSize": "a", "virtualMachineConfiguration": IMAGE})
    ended = []

    async def end() -> None:
        ended.append("runner")

    monkeypatch.setattr(runner, "close", end)
    with no_room(100), pytest.raises(BackendError, match="cannot be used"):
        await server.put_pool(ACCOUNT, "q", {"vmSize": "a", "virtualMachineConfiguration": IMAGE})
    host = server.host(ACCOUNT)
    with no_room(100):
        host.run(pools.delete, host.world.pools["p"])
        with pytest.raises(LocalStateError, match="cannot be used"):
            await server.close()
    assert ended == ["runner"]


async def test_a_node_whose_packages_fail_in_no_known_way_is_unusable_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server, clock, runner = manual_server(tmp_path)
    server.add_account(ACCOUNT, KEY)
    await server.start()

    async def deploy(*_: object) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(runner, "deploy", deploy)
    body = {"vmSize": "a", "virtualMachineConfiguration": IMAGE, "targetDedicatedNodes": 1}
    await server.put_pool(ACCOUNT, "p", body)
    of_pool = server.host(ACCOUNT).world.pools["p"].body
    of_pool["applicationPackageReferences"] = [{"applicationId": "tool", "version": "1"}]
    clock.advance(1200)
    (node,) = server.host(ACCOUNT).world.pools["p"].nodes.values()
    await until(lambda: bool(node.errors))
    assert [(node.state, error["code"]) for error in node.errors] == [
        ("unusable", "InternalError")
    ]
    assert "nobody thought of this" in caplog.text
    await server.close()


async def test_resource_manager_brings_a_pool_to_what_was_declared(tmp_path: Path) -> None:
    server, clock, _ = manual_server(tmp_path)
    server.add_account(ACCOUNT, KEY)
    await server.start()
    body = {"vmSize": "Standard_D2s_v5", "virtualMachineConfiguration": IMAGE}
    identity = {"type": "UserAssigned", "userAssignedIdentities": [{"resourceId": "/x"}]}

    await server.put_pool(ACCOUNT, "p", {**body, "targetDedicatedNodes": 1, "identity": identity})
    clock.advance(1200)
    found = await server.get_pool(ACCOUNT, "p")
    assert found
    assert (found["allocationState"], found["currentDedicatedNodes"]) == ("steady", 1)
    assert found["identity"] == identity

    formula = "$TargetDedicatedNodes = 3"
    scaled = {**body, "enableAutoScale": True, "autoScaleFormula": formula}
    await server.put_pool(ACCOUNT, "p", scaled)
    found = await server.get_pool(ACCOUNT, "p")
    assert found
    assert (found["autoScaleFormula"], found["targetDedicatedNodes"]) == (formula, 3)
    assert "identity" not in found

    with pytest.raises(BackendError, match="vmSize cannot be updated"):
        await server.put_pool(ACCOUNT, "p", {**scaled, "vmSize": "Standard_D4s_v5"})
    with pytest.raises(BackendError) as caught:
        await server.put_pool(ACCOUNT, "p", {**scaled, "autoScaleFormula": "$x = ("})
    assert caught.value.code == "AutoScalingFormulaSyntaxError"

    gone = asyncio.create_task(server.delete_pool(ACCOUNT, "p"))
    await asyncio.sleep(0)
    clock.advance(60)
    await gone
    assert await server.get_pool(ACCOUNT, "p") is None
    await server.delete_pool(ACCOUNT, "p")
    await server.close()
