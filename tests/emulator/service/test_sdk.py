"""The official SDK, sync and async, drives every operation that it has."""

from __future__ import annotations

import asyncio
import base64
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from azure.batch import BatchClient, models
from azure.batch.aio import BatchClient as AsyncBatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError, ResourceExistsError

from emulator.clock import SystemClock
from emulator.server import Server
from tests.emulator.simulation import ACCOUNT, KEY, QUICK, SimulatedRunner, serving

Do = Callable[..., Awaitable[Any]]
Kind = Literal["sync", "async"]

IMAGE = models.BatchVmImageReference(publisher="canonical", offer="ubuntu-24_04-lts", sku="server")
MACHINE = models.VirtualMachineConfiguration(
    image_reference=IMAGE, node_agent_sku_id="batch.node.ubuntu 24.04"
)
POOL = models.BatchPoolInfo(pool_id="p")
NOT_OPERATIONS = {"close", "send_request", "create_tasks"}
"""The client's own: no operation of the service has their name."""


class Driver:
    """Calls a client's methods by name, whichever client it is, and notes which."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.called: set[str] = set()

    async def __call__(self, name: str, *args: Any, **options: Any) -> Any:
        self.called.add(name)
        if name.startswith("begin_"):
            options["polling_interval"] = 0
        method = getattr(self._client, name)
        if isinstance(self._client, BatchClient):
            return await asyncio.to_thread(lambda: _finished(method(*args, **options)))
        result = method(*args, **options)
        if inspect.isawaitable(result):
            result = await result
        if hasattr(result, "__aiter__"):
            return [one async for one in result]
        return await result.result() if name.startswith("begin_") else result


def _finished(result: Any) -> Any:
    if hasattr(result, "result"):
        return result.result()
    return list(result) if hasattr(result, "by_page") or inspect.isgenerator(result) else result


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    clock = SystemClock(speed=1000)
    runner = SimulatedRunner(tmp_path / "nodes", clock)
    server = Server(data=None, clock=clock, runner=runner, settings=QUICK)
    server.add_account(ACCOUNT, KEY)
    async with serving(server) as endpoint:
        yield endpoint


@pytest.fixture(params=["sync", "async"])
async def do(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Driver]:
    credential = AzureNamedKeyCredential(ACCOUNT, base64.b64encode(KEY).decode())
    if request.param == "sync":
        with BatchClient(url, credential) as client:
            yield Driver(client)
        return
    async with AsyncBatchClient(url, credential) as client:
        yield Driver(client)


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + 60
    while not await look():
        assert time.monotonic() < end, "it did not come true in time"


async def pools(do: Driver) -> None:
    created = models.BatchPoolCreateOptions(
        id="p",
        vm_size="Standard_D2s_v5",
        virtual_machine_configuration=MACHINE,
        target_dedicated_nodes=2,
    )
    await do("create_pool", created)
    with pytest.raises(ResourceExistsError) as told:
        await do("create_pool", created)
    assert told.value.error is not None
    assert told.value.error.code == "PoolExists"

    async def up() -> bool:
        nodes = await do("list_nodes", "p")
        return len(nodes) == 2 and all(node.state == "idle" for node in nodes)

    await until(up)
    assert (await do("get_pool", "p")).vm_size == "standard_d2s_v5"
    assert await do("pool_exists", "p")
    assert [pool.id for pool in await do("list_pools", select=["id"])] == ["p"]
    await do("update_pool", "p", models.BatchPoolUpdateOptions(metadata=[]))
    await do(
        "replace_pool_properties",
        "p",
        models.BatchPoolReplaceOptions(
            application_package_references=[],
            metadata=[models.BatchMetadataItem(name="a", value="b")],
        ),
    )
    assert (await do("get_pool", "p")).metadata[0].value == "b"
    (counts,) = await do("list_pool_node_counts")
    assert counts.dedicated.idle == 2
    assert await do("list_supported_images")
    await do("list_pool_usage_metrics")
    assert await do("list_applications") == []
    await refused(do, "ApplicationNotFound", "get_application", "maya")


async def scaling(do: Driver) -> None:
    formula = "$TargetDedicatedNodes = 2;"
    enable = models.BatchPoolEnableAutoScaleOptions(auto_scale_formula=formula)
    await do("enable_pool_auto_scale", "p", enable)
    run = await do(
        "evaluate_pool_auto_scale",
        "p",
        models.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula=formula),
    )
    assert "$TargetDedicatedNodes=2" in run.results
    await do("disable_pool_auto_scale", "p")

    async def steady() -> bool:
        return bool((await do("get_pool", "p")).allocation_state == "steady")

    await until(steady)
    await do("begin_resize_pool", "p", models.BatchPoolResizeOptions(target_dedicated_nodes=3))
    assert len(await do("list_nodes", "p")) == 3
    await refused(do, "OperationInvalidForCurrentState", "begin_stop_pool_resize", "p")
    victim = (await do("list_nodes", "p"))[0].id
    await do("begin_remove_nodes", "p", models.BatchNodeRemoveOptions(node_ids=[victim]))
    assert len(await do("list_nodes", "p")) == 2


async def nodes(do: Driver) -> None:
    node = (await do("list_nodes", "p"))[0].id
    assert (await do("get_node", "p", node)).id == node
    # Without options this method of the SDK itself fails.
    requeue = models.BatchNodeDisableSchedulingOptions(node_disable_scheduling_option="requeue")
    await do("disable_node_scheduling", "p", node, requeue)
    await do("enable_node_scheduling", "p", node)
    user = models.BatchNodeUserCreateOptions(name="me", password="Secret-1")
    update = models.BatchNodeUserReplaceOptions(password="Secret-2")
    for call in (
        ("create_node_user", "p", node, user),
        ("replace_node_user", "p", node, "me", update),
        ("delete_node_user", "p", node, "me"),
        ("get_node_remote_login_settings", "p", node),
        ("list_node_extensions", "p", node),
        ("get_node_extension", "p", node, "e"),
        (
            "upload_node_logs", "p", node,
            models.UploadBatchServiceLogsOptions(
                container_url="https://a/c?sig=x", start_time=datetime(2026, 1, 1, tzinfo=UTC)
            ),
        ),
    ):  # fmt: skip
        await answered(do, *call)
    await do("begin_reboot_node", "p", node, {"nodeRebootOption": "requeue"})
    await do("begin_reimage_node", "p", node, {"nodeReimageOption": "requeue"})
    await do("begin_deallocate_node", "p", node, {"nodeDeallocateOption": "requeue"})
    await do("begin_start_node", "p", node)
    names = [file.name for file in await do("list_node_files", "p", node)]
    assert "shared" in names


async def jobs(do: Driver) -> None:
    prepared = models.BatchJobPreparationTask(command_line="run")
    job = models.BatchJobCreateOptions(id="j", pool_info=POOL, job_preparation_task=prepared)
    await do("create_job", job)
    assert (await do("get_job", "j")).state == "active"
    assert [one.id for one in await do("list_jobs", filter="state eq 'active'")] == ["j"]
    await do("update_job", "j", models.BatchJobUpdateOptions(priority=5))
    replaced = models.BatchJob(pool_info=POOL, priority=7)
    await do("replace_job", "j", replaced)
    assert (await do("get_job", "j", select=["priority"])).priority == 7
    await do("begin_disable_job", "j", models.BatchJobDisableOptions(disable_tasks="requeue"))
    await do("begin_enable_job", "j")


async def tasks(do: Driver) -> None:
    await do("create_task", "j", models.BatchTaskCreateOptions(id="t", command_line="print hello"))
    group = models.BatchTaskGroup(
        task_values=[
            models.BatchTaskCreateOptions(id=f"g{n}", command_line="exit 3") for n in (1, 2)
        ]
    )
    added = await do("create_task_collection", "j", group)
    assert [one.task_id for one in added.result_values] == ["g1", "g2"]
    many = [models.BatchTaskCreateOptions(id=f"m{n}", command_line="run") for n in range(250)]
    result = await do("create_tasks", "j", many)
    assert len(result if isinstance(result, list) else result.result_values) == 250

    async def over() -> bool:
        return bool((await do("get_job_task_counts", "j")).task_counts.completed == 253)

    await until(over)
    assert (await do("get_task", "j", "t")).execution_info.exit_code == 0
    failed = await do("list_tasks", "j", filter="executionInfo/result eq 'failure'")
    assert [one.id for one in failed] == ["g1", "g2"]
    await do("reactivate_task", "j", "g1")
    held = models.BatchTaskCreateOptions(id="w", command_line="wait")
    await do("create_task", "j", held)
    limits = models.BatchTaskConstraints(max_task_retry_count=2)
    await do("replace_task", "j", "w", models.BatchTask(constraints=limits))
    await do("terminate_task", "j", "w")
    assert await do("list_subtasks", "j", "t") is not None
    assert await do("list_job_preparation_and_release_task_status", "j")
    await do("delete_task", "j", "w")


async def files(do: Driver) -> None:
    names = [file.name for file in await do("list_task_files", "j", "t", recursive=True)]
    assert "stdout.txt" in names
    properties = await do("get_task_file_properties", "j", "t", "stdout.txt")
    assert int(properties.content_length) == 5
    assert await content(do, "download_task_file", "j", "t", "wd/out.txt") == b"0123456789"
    node = (await do("get_task", "j", "t")).node_info.node_id
    path = "workitems/j/job-1/t/stdout.txt"
    assert await content(do, "download_node_file", "p", node, path) == b"hello"
    await do("get_node_file_properties", "p", node, path)
    await do("delete_node_file", "p", node, path)
    await do("delete_task_file", "j", "t", "wd/out.txt")


async def content(do: Driver, *call: Any) -> bytes:
    stream = await do(*call)
    return b"".join(stream)


async def schedules(do: Driver) -> None:
    created = models.BatchJobScheduleCreateOptions(
        id="s",
        schedule=models.BatchJobScheduleConfiguration(recurrence_interval=timedelta(days=1)),
        job_specification=models.BatchJobSpecification(pool_info=POOL),
    )
    await do("create_job_schedule", created)
    assert await do("job_schedule_exists", "s")
    schedule = await do("get_job_schedule", "s")
    assert [one.id for one in await do("list_job_schedules")] == ["s"]
    await do("list_jobs_from_schedule", "s")
    await do("update_job_schedule", "s", models.BatchJobScheduleUpdateOptions(metadata=[]))
    await do("replace_job_schedule", "s", schedule)
    await do("disable_job_schedule", "s")
    await do("enable_job_schedule", "s")
    await do("begin_terminate_job_schedule", "s")
    await do("begin_delete_job_schedule", "s")


async def refused(do: Driver, code: str, *call: Any) -> None:
    with pytest.raises(HttpResponseError) as told:
        await do(*call)
    error = told.value.error
    assert error is not None
    assert error.code == code


async def answered(do: Driver, *call: Any) -> None:
    """Done, or refused by an error of the service with a code: never a crash."""
    try:
        await do(*call)
    except HttpResponseError as error:
        refusal = error
    else:
        return
    assert refusal.error is not None
    assert refusal.error.code
    assert refusal.status_code not in {None, 500}


@pytest.mark.slow
async def test_the_sdk_drives_every_operation(do: Driver) -> None:
    for part in (pools, scaling, nodes, jobs, tasks, files, schedules):
        await part(do)
    await do("begin_terminate_job", "j", {"terminateReason": "done"})
    await do("begin_delete_job", "j")
    await do("begin_delete_pool", "p")
    assert await do("list_pools") == []
    methods = {name for name in dir(BatchClient) if not name.startswith("_")}
    assert methods - do.called == NOT_OPERATIONS - {"create_tasks"}
