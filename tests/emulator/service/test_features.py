"""The official SDK on what is more than a task on a node: schedules, managers, figures, nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError

from emulator.clock import SystemClock
from emulator.server import Server
from tests.emulator.service.client import MACHINE, Client
from tests.emulator.simulation import ACCOUNT, KEY, QUICK, SimulatedRunner, serving

INFO = models.BatchPoolInfo(pool_id="p")
TOKEN = {"access": ["job"]}


@pytest.fixture
def runner(tmp_path: Path) -> SimulatedRunner:
    return SimulatedRunner(tmp_path / "nodes", SystemClock(1.0))


@pytest.fixture
async def url(runner: SimulatedRunner) -> AsyncIterator[str]:
    server = Server(data=None, clock=runner.clock, runner=runner, settings=QUICK)
    server.add_account(ACCOUNT, KEY)
    async with serving(server) as endpoint:
        yield endpoint


@pytest.fixture
async def client(url: str) -> Client:
    client = Client(url)
    extension = models.VMExtension(name="Disk", publisher="Example", type="Format")
    machine = models.VirtualMachineConfiguration({**MACHINE, "extensions": [extension.as_dict()]})
    await client.pool("p", 1, virtual_machine_configuration=machine)
    return client


async def refused(client: Client, code: str, *call: Any) -> None:
    with pytest.raises(HttpResponseError) as error:
        await client.do(*call)
    assert error.value.error is not None
    assert error.value.error.code == code


async def test_a_schedule_lives_its_whole_life(client: Client) -> None:
    spec = models.BatchJobSpecification(pool_info=INFO)
    daily = models.BatchJobScheduleConfiguration(recurrence_interval=timedelta(days=1))
    created = models.BatchJobScheduleCreateOptions(id="s", schedule=daily, job_specification=spec)
    await client.do("create_job_schedule", created)
    found = await client.do("get_job_schedule", "s")
    assert found.execution_info.recent_job.id == "s:job-1"
    assert found.execution_info.next_run_time == found.creation_time + timedelta(days=1)
    await client.do("create_job", models.BatchJobCreateOptions(id="z", pool_info=INFO))
    jobs = [job.id for job in await client.do_list("list_jobs")]
    assert jobs == ["z", "s:job-1"], "jobs of schedules come last"
    assert [job.id for job in await client.do_list("list_jobs_from_schedule", "s")] == ["s:job-1"]
    task = models.BatchTaskCreateOptions(id="t", command_line="print hello")
    await client.do("create_task", "s:job-1", task)
    done = await client.until("completed", "get_task", "s:job-1", "t")
    assert done.node_info.task_root_directory == "workitems/s/job-1/t"
    assert await client.output("s:job-1", "t") == "hello"
    await client.do("disable_job_schedule", "s")
    await refused(client, "JobScheduleDisabled", "disable_job_schedule", "s")
    await client.do("enable_job_schedule", "s")
    stats = (await client.do("get_job_schedule", "s", expand=["stats"])).job_schedule_statistics
    assert stats.succeeded_tasks_count == 1
    await client.do("begin_terminate_job_schedule", "s")
    ended = await client.until("completed", "get_job_schedule", "s")
    assert ended.execution_info.end_time == ended.state_transition_time
    poller = await client.do("begin_delete_job_schedule", "s", polling_interval=0)
    await asyncio.to_thread(poller.wait, 60)
    await refused(client, "JobScheduleNotFound", "get_job_schedule", "s")


async def test_a_manager_task_starts_with_its_job_and_ends_it(client: Client) -> None:
    manager = models.BatchJobManagerTask(id="m", command_line="print managing")
    limits = models.BatchJobConstraints(max_task_retry_count=3)
    job = models.BatchJobCreateOptions(
        id="j", pool_info=INFO, job_manager_task=manager, constraints=limits
    )
    await client.do("create_job", job)
    found = await client.until("completed", "get_job", "j")
    assert found.execution_info.termination_reason == "JMComplete"
    assert found.job_manager_task.run_exclusive is True
    assert found.job_manager_task.constraints.max_task_retry_count == 3
    assert (await client.do("get_task", "j", "m")).execution_info.result == "success"


def asks_for_a_pool(formula: str) -> models.BatchPoolInfo:
    pool = models.BatchPoolSpecification(
        vm_size="standard_d2s_v5",
        virtual_machine_configuration=MACHINE,
        enable_auto_scale=True,
        auto_scale_formula=formula,
    )
    auto = models.BatchAutoPoolSpecification(pool_lifetime_option="job", pool=pool)
    return models.BatchPoolInfo(auto_pool_specification=auto)


async def test_a_job_has_a_pool_of_its_own_that_scales_and_goes_with_it(client: Client) -> None:
    formula = "$TargetDedicatedNodes = 1;"
    asked = models.BatchJobCreateOptions(
        id="j", pool_info=asks_for_a_pool(formula), all_tasks_complete_mode="terminatejob"
    )
    await client.do("create_job", asked)
    job = await client.do("get_job", "j")
    spec = job.pool_info.auto_pool_specification
    assert (spec.keep_alive, spec.pool.auto_scale_formula) == (False, formula)
    assert spec.pool.auto_scale_evaluation_interval == timedelta(minutes=15)
    pool = await client.do("get_pool", job.execution_info.pool_id)
    assert (pool.enable_auto_scale, pool.auto_scale_formula) == (True, formula)
    assert pool.resize_timeout == timedelta(minutes=15)
    task = models.BatchTaskCreateOptions(id="t", command_line="print hello")
    await client.do("create_task", "j", task)
    await client.until("completed", "get_job", "j")
    assert (await client.do("get_task", "j", "t")).execution_info.result == "success"
    async with asyncio.timeout(120):
        while {found.id for found in await client.do_list("list_pools")} != {"p"}:  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.02)


async def test_a_job_whose_pool_cannot_be_made_says_why(client: Client) -> None:
    asked = models.BatchJobCreateOptions(id="j", pool_info=asks_for_a_pool("$Target = ;"))
    await client.do("create_job", asked)
    error = (await client.until("completed", "get_job", "j")).execution_info.scheduling_error
    assert (error.category, error.code) == ("UserError", "InvalidAutoScaleFormulaInAutoPool")
    assert error.details


async def test_a_tasks_token_opens_its_own_job_and_nothing_else(
    client: Client, url: str, runner: SimulatedRunner
) -> None:
    for job in ("j", "other"):
        await client.do("create_job", models.BatchJobCreateOptions(id=job, pool_info=INFO))
    # The SDK of 2025-06-01 has no model of the setting; the service still takes it.
    asking = {"id": "t", "commandLine": "print x", "authenticationTokenSettings": TOKEN}
    await client.do("create_task", "j", models.BatchTaskCreateOptions(asking))
    await client.do("create_task", "j", models.BatchTaskCreateOptions(id="u", command_line="x"))
    for name in ("t", "u"):
        await client.until("completed", "get_task", "j", name)
    tokens = {launch.task_id: launch.token for launch in runner.launched}
    assert not tokens["u"]
    query = {"api-version": "2025-06-01"}
    header = {"Authorization": f"Bearer {tokens['t']}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=url, params=query, headers=header) as task_client:
        added = await task_client.post("/jobs/j/tasks", json={"id": "new", "commandLine": "x"})
        assert added.status_code == 201
        assert (await task_client.get("/jobs/j/tasks/new")).status_code == 200
        for path in ("/jobs/other", "/jobs", "/pools/p"):
            answer = await task_client.get(path)
            assert answer.status_code == 403
            assert answer.json()["code"] == "InsufficientAccountPermissions"
        for account, status in ((ACCOUNT, 200), ("zzz", 403)):
            answer = await task_client.get(f"/accounts/{account}/jobs/j")
            assert answer.status_code == status
        forged = {"Authorization": header["Authorization"][:-4] + "AAA="}
        assert (await task_client.get("/jobs/j", headers=forged)).status_code == 403
        poller = await client.do("begin_delete_job", "j", polling_interval=0)
        await asyncio.to_thread(poller.wait, 60)
        await client.do("create_job", models.BatchJobCreateOptions(id="j", pool_info=INFO))
        assert (await task_client.get("/jobs/j")).json()["code"] == "AuthenticationFailed"


async def test_users_of_a_node_are_made_changed_and_removed(client: Client) -> None:
    node = (await client.do_list("list_nodes", "p"))[0].id
    user = models.BatchNodeUserCreateOptions(name="ada", is_admin=True, password="x")
    await client.do("create_node_user", "p", node, user)
    await refused(client, "NodeUserExists", "create_node_user", "p", node, user)
    change = models.BatchNodeUserReplaceOptions(expiry_time=datetime(2000, 1, 1, tzinfo=UTC))
    await client.do("replace_node_user", "p", node, "ada", change)
    await refused(client, "NodeUserNotFound", "delete_node_user", "p", node, "ada")
    await client.do("create_node_user", "p", node, user)
    await client.do("delete_node_user", "p", node, "ada")
    settings = await client.do("get_node_remote_login_settings", "p", node)
    found = await client.do("get_node", "p", node)
    assert settings.remote_login_ip_address == found.ip_address
    assert found.ip_address.startswith("127.")


async def test_extensions_are_those_of_the_pool(client: Client) -> None:
    node = (await client.do_list("list_nodes", "p"))[0].id
    (listed,) = await client.do_list("list_node_extensions", "p", node)
    assert listed.vm_extension.name == "Disk"
    one = await client.do("get_node_extension", "p", node, "disk")
    assert one.instance_view.statuses[0].message == "The emulator shows extensions and runs none"
    await refused(client, "VMExtensionNotFound", "get_node_extension", "p", node, "none")


async def test_figures_of_pools_and_jobs_are_sums_that_outlive_their_parts(client: Client) -> None:
    await client.do("create_job", models.BatchJobCreateOptions(id="j", pool_info=INFO))
    for number, command in enumerate(("print x", "exit 3")):
        task = models.BatchTaskCreateOptions(id=f"t{number}", command_line=command)
        await client.do("create_task", "j", task)
        await client.until("completed", "get_task", "j", f"t{number}")
    assert (await client.do("get_job", "j")).job_statistics is None, "only who asks gets them"
    await client.do("delete_task", "j", "t0")
    stats = (await client.do("get_job", "j", expand=["stats"])).job_statistics
    assert (stats.succeeded_tasks_count, stats.failed_tasks_count) == (1, 1)
    task = await client.do("get_task", "j", "t1", expand=["stats"])
    assert task.task_statistics.wait_time >= timedelta()
    chosen = await client.do("get_task", "j", "t1", select=["id", "stats"])
    assert chosen.task_statistics.wait_time == task.task_statistics.wait_time
    without = await client.do("get_task", "j", "t1", select=["id"], expand=["stats"])
    assert (without.id, without.task_statistics) == ("t1", None)
    (pool,) = await client.do_list("list_pools", expand=["stats"])
    assert pool.pool_statistics.usage_statistics.dedicated_core_time > timedelta()
    (metric,) = await client.do_list("list_pool_usage_metrics")
    assert (metric.pool_id, metric.vm_size) == ("p", "standard_d2s_v5")
    assert metric.end_time - metric.start_time == timedelta(minutes=30)
    assert metric.total_core_hours > 0
