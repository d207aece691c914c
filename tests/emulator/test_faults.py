"""What `/_emulator/` does to requests, nodes, limits and time, seen by real clients."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.batch import models
from azure.batch.aio import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from typer.testing import CliRunner

from emulator.admin_client import RequestRefusedError
from emulator.cli import app as cli
from emulator.clock import ManualClock, to_unix
from emulator.faults import Faults, Rule
from emulator.http import listen
from emulator.http import serving as http_serving
from emulator.local import LocalDirectory, RunningEmulator
from tests.emulator.service.wire import BASE, POOL, Wire
from tests.emulator.simulation import ACCOUNT, KEY, manual_server, until

NO_RETRIES: dict[str, Any] = {"retry_total": 0, "retry_backoff_factor": 0}
ADMIN = f"/_emulator/accounts/{ACCOUNT}"


async def fault(wire: Wire, **body: Any) -> int:
    reply = await wire.http.post("/_emulator/faults", json=body)
    assert reply.status_code == 201, reply.text
    return int(reply.json()["id"])


async def test_a_fault_strikes_as_often_as_it_was_asked_to(wire: Wire) -> None:
    await fault(wire, operation="list_pools", status=503, count=2, retry_after_s=7)
    replies = [await wire.send("GET", "/pools") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [503, 503, 200]
    assert replies[0].headers["retry-after"] == "7"
    assert "retry-after" not in replies[2].headers
    await fault(wire, operation="list_pools", status=500)
    assert (await wire.send("GET", "/jobs")).status_code == 200
    assert (await wire.send("GET", "/pools")).json()["code"] == "InternalError"


async def test_a_share_of_requests_is_struck_the_same_with_the_same_seed(wire: Wire) -> None:
    async def struck(seed: int) -> list[int]:
        number = await fault(wire, operation="list_pools", status=429, share=0.5, seed=seed)
        found = [(await wire.send("GET", "/pools")).status_code for _ in range(40)]
        listed = (await wire.http.get("/_emulator/faults")).json()
        assert [(one["id"], one["struck"]) for one in listed] == [(number, found.count(429))]
        assert (await wire.http.delete(f"/_emulator/faults/{number}")).status_code == 204
        return found

    first = await struck(7)
    assert first == await struck(7)
    assert first != await struck(8)
    assert 5 < first.count(429) < 35
    assert (await wire.http.delete("/_emulator/faults/99")).status_code == 404


@pytest.mark.parametrize(
    ("body", "findings"),
    [
        ({"status": 418, "x": 1, "share": 0}, {"status", "x", "share"}),
        ({"operation": "creat_task", "status": 500}, {"operation"}),
        ({}, {"nothing would happen"}),
        ({"status": 500, "drop": "after"}, {"status and drop exclude each other"}),
        ({"drop": "after", "retry_after_s": 1}, {"retry_after_s needs a status"}),
    ],
)  # fmt: skip
async def test_all_that_is_wrong_with_a_fault_is_told_at_once(
    wire: Wire, body: Any, findings: set[str]
) -> None:
    reply = await wire.http.post("/_emulator/faults", json=body)
    assert reply.status_code == 400
    assert {error.split(":")[0] for error in reply.json()["errors"]} == findings


async def test_a_near_name_is_proposed(wire: Wire) -> None:
    reply = await wire.http.post(
        "/_emulator/faults", json={"operation": "creat_task", "status": 500}
    )
    assert "did you mean create_task?" in reply.text


async def test_tasks_of_a_collection_that_the_server_fails_at_are_not_there(wire: Wire) -> None:
    await fault(wire, operation="create_task_collection", failed_items=0.5, seed=3)
    items = [{"id": f"t{n}", "commandLine": "run"} for n in range(20)]
    reply = (await wire.send("POST", "/jobs/j/addtaskcollection", {"value": items})).json()
    failed = {item["taskId"] for item in reply["value"] if item["status"] == "servererror"}
    added = {item["taskId"] for item in reply["value"] if item["status"] == "Success"}
    assert 0 < len(failed) < 20
    assert failed | added == {item["id"] for item in items}
    listed = (await wire.send("GET", "/jobs/j/tasks?$select=id")).json()["value"]
    assert {task["id"] for task in listed} == added


def test_a_rate_limit_lets_through_what_it_says() -> None:
    clock = ManualClock()
    faults = Faults(clock.now)
    faults.limit(2, burst=3)
    first = [faults.before("x").failure for _ in range(5)]
    assert [failure is None for failure in first] == [True, True, True, False, False]
    assert first[3] is not None
    assert first[3].headers == (("Retry-After", "1"),)
    clock.advance(1)
    assert [faults.before("x").failure is None for _ in range(3)] == [True, True, False]
    faults.limit(None)
    assert faults.before("x").failure is None


async def test_too_many_requests_a_second_are_told_when_to_come_again(wire: Wire) -> None:
    limit = {"requests_per_second": 0.1, "burst": 1}
    assert (await wire.http.put("/_emulator/rate", json=limit)).status_code == 204
    assert (await wire.send("GET", "/pools")).status_code == 200
    refused = await wire.send("GET", "/pools")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert (await wire.http.get("/_emulator/rate")).json() == limit
    wire.clock.advance(10)
    assert (await wire.send("GET", "/pools")).status_code == 200
    assert (await wire.http.delete("/_emulator/rate")).status_code == 204
    assert (await wire.send("GET", "/pools")).status_code == 200


async def test_a_quota_that_is_set_is_the_one_that_holds(wire: Wire) -> None:
    assert (await wire.http.put("/_emulator/quotas", json={"max_pools": 1})).json()[
        "max_pools"
    ] == 1
    refused = await wire.send("POST", "/pools", {**POOL, "id": "q"})
    assert refused.json()["code"] == "PoolQuotaReached"
    bad = await wire.http.put("/_emulator/quotas", json={"max_pools": -1, "speed": 2})
    assert {error.split(":")[0] for error in bad.json()["errors"]} == {"max_pools", "speed"}


async def test_a_size_without_capacity_is_not_allocated_and_the_pool_says_why(wire: Wire) -> None:
    size = POOL["vmSize"].lower()
    capacity = {"dedicated": 1}
    assert (await wire.http.put(f"{ADMIN}/capacity/{size}", json=capacity)).status_code == 204
    wire.clock.advance(60)
    await wire.send("POST", "/pools/p/resize", {"targetDedicatedNodes": 3})
    wire.clock.advance(3600)
    pool = (await wire.send("GET", "/pools/p")).json()
    assert (pool["currentDedicatedNodes"], pool["allocationState"]) == (1, "steady")
    assert [error["code"] for error in pool["resizeErrors"]] == ["AllocationFailed"]
    await wire.http.put(f"{ADMIN}/capacity/{size}", json={})
    await wire.send("POST", "/pools/p/resize", {"targetDedicatedNodes": 3})
    wire.clock.advance(3600)
    pool = (await wire.send("GET", "/pools/p")).json()
    assert (pool["currentDedicatedNodes"], "resizeErrors" in pool) == (3, False)


async def test_a_start_task_fails_on_request_and_the_node_takes_no_tasks(wire: Wire) -> None:
    start = {"startTask": {"commandLine": "run", "waitForSuccess": True}}
    await wire.send("POST", "/pools", {**POOL, **start, "id": "s", "targetDedicatedNodes": 1})
    wire.clock.advance(3600)
    (node,) = (await wire.send("GET", "/pools/s/nodes")).json()["value"]
    path = f"{ADMIN}/pools/s/nodes/{node['id']}/starttaskfailed"
    assert (await wire.http.post(path, json={"exit_code": 3})).status_code == 204
    shown = (await wire.send("GET", f"/pools/s/nodes/{node['id']}")).json()
    assert shown["state"] == "starttaskfailed"
    assert shown["startTaskInfo"]["exitCode"] == 3
    assert shown["startTaskInfo"]["failureInfo"]["code"] == "FailureExitCode"


async def test_reset_leaves_accounts_and_nothing_else(wire: Wire) -> None:
    await fault(wire, status=500, operation="create_pool")
    await wire.http.put("/_emulator/quotas", json={"max_pools": 0})
    assert (await wire.http.post("/_emulator/reset")).status_code == 204
    assert (await wire.send("GET", "/pools")).json()["value"] == []
    assert (await wire.send("GET", "/jobs")).json()["value"] == []
    assert (await wire.send("POST", "/pools", POOL)).status_code == 201


async def test_the_world_is_told_as_the_service_tells_it(wire: Wire) -> None:
    await wire.send("POST", "/jobs/j/tasks", {"id": "t", "commandLine": "run"})
    wire.clock.advance(60)
    await wire.send("POST", "/pools/p/resize", {"targetDedicatedNodes": 1})
    wire.clock.advance(3600)
    ran = wire.server.host(ACCOUNT).world.jobs["j"].tasks["t"]
    await until(lambda: ran.state == "completed")
    world = (await wire.http.get("/_emulator/world")).json()
    account = world["accounts"][ACCOUNT]
    (pool,), (job,) = account["pools"], account["jobs"]
    (node,) = pool.pop("nodes")
    (task,) = job.pop("tasks")
    served = {
        f"{BASE}/pools/p": pool,
        f"{BASE}/pools/p/nodes/{node['id']}": node,
        f"{BASE}/jobs/j/tasks/t": task,
    }
    for url, told in served.items():
        shown = (await wire.send("GET", url.removeprefix(BASE))).json()
        shown.pop("odata.metadata")
        assert told == shown
    assert job["taskCounts"]["active"] + job["taskCounts"]["completed"] == 1
    unknown = await wire.http.get("/_emulator/world?account=none")
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "quotas", b"[" * 200_000, 400),
        ("PUT", "quotas", b'{"max_pools":' + b"9" * 5000 + b"}", 400),
        ("PUT", "quotas", b"\xff", 400),
        ("PUT", "quotas", b"", 400),
        ("POST", "faults", b"[" * 200_000, 400),
        ("POST", "faults", b'{"status":503,"count":' + b"9" * 5000 + b"}", 400),
        ("PUT", "rate", b'{"requests_per_second":1e-320}', 400),
        ("PUT", "rate", b'{"requests_per_second":NaN}', 400),
        ("DELETE", "faults/" + "9" * 5000, b"", 404),
        ("DELETE", "faults/-1", b"", 404),
    ],
)
async def test_what_is_too_deep_or_too_long_is_refused(
    wire: Wire, method: str, path: str, body: bytes, status: int
) -> None:
    reply = await wire.http.request(method, f"/_emulator/{path}", content=body)
    assert (reply.status_code, bool(reply.json()["errors"])) == (status, True)
    assert (await wire.send("GET", "/pools")).status_code == 200


async def test_a_manual_clock_is_moved_by_request(wire: Wire) -> None:
    before = (await wire.http.get("/_emulator/clock")).json()
    assert before["manual"] is True
    await wire.send("POST", "/pools", {**POOL, "id": "q", "targetDedicatedNodes": 1})
    moved = await wire.http.post("/_emulator/clock/advance", json={"seconds": 3600})
    assert moved.json()["now"] > before["now"]
    assert (await wire.send("GET", "/pools/q")).json()["currentDedicatedNodes"] == 1
    assert (
        await wire.http.post("/_emulator/clock/advance", json={"seconds": 0})
    ).status_code == 400


AUTOSCALED: dict[str, Any] = {
    **POOL,
    "id": "scaled",
    "enableAutoScale": True,
    "autoScaleFormula": "$TargetDedicatedNodes = 0;",
    "autoScaleEvaluationInterval": "PT5M",
}


async def test_tasks_end_while_the_clock_is_moved(wire: Wire) -> None:
    wire.clock.advance(10)
    await wire.send("POST", "/pools/p/resize", {"targetDedicatedNodes": 1})
    wire.clock.advance(3600)
    schedule = {
        "id": "s",
        "schedule": {"recurrenceInterval": "PT1M"},
        "jobSpecification": {
            "poolInfo": {"poolId": "p"},
            "jobManagerTask": {"id": "m", "commandLine": "run", "killJobOnCompletion": True},
        },
    }
    assert (await wire.send("POST", "/jobschedules", schedule)).status_code == 201
    await wire.http.post("/_emulator/clock/advance", json={"seconds": 3600})
    jobs = (await wire.send("GET", "/jobschedules/s/jobs")).json()["value"]
    # The next job waits for the one before it to end.
    assert len(jobs) >= 55
    assert sum(job["state"] == "completed" for job in jobs) >= len(jobs) - 1


async def test_others_are_answered_while_the_clock_is_moved_and_leaving_stops_it(
    wire: Wire,
) -> None:
    assert (await wire.send("POST", "/pools", AUTOSCALED)).status_code == 201
    began = wire.clock.now()
    way = {"seconds": 366 * 86_400}
    first, second = [
        asyncio.create_task(wire.http.post("/_emulator/clock/advance", json=way)) for _ in "12"
    ]
    await until(lambda: wire.clock.now() > began)
    assert (await wire.send("GET", "/pools/scaled")).status_code == 200
    assert not first.done()
    for one in (first, second):
        one.cancel()
        with suppress(asyncio.CancelledError):
            await one
    stopped = wire.clock.now()
    assert 0 < to_unix(stopped) - to_unix(began) < way["seconds"]
    await wire.send("GET", "/pools/scaled")
    assert wire.clock.now() == stopped


# On a real port


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[str]:
    server, _, _ = manual_server(tmp_path)
    server.add_account(ACCOUNT, KEY)
    with listen(0) as listener:
        server.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await server.start()
        async with http_serving(server.app, listener):
            yield server.base_url
    await server.close()


def client(endpoint: str, **options: Any) -> BatchClient:
    key = base64.b64encode(KEY).decode()
    return BatchClient(endpoint, AzureNamedKeyCredential(ACCOUNT, key), **options)


async def put_fault(endpoint: str, **body: Any) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        reply = await http.post(f"{endpoint}/_emulator/faults", json=body)
        assert reply.status_code == 201, reply.text


@pytest.mark.parametrize(("when", "there"), [("before", False), ("after", True)])
async def test_a_connection_breaks_before_or_after_the_work_was_done(
    endpoint: str, when: str, there: bool
) -> None:
    await put_fault(endpoint, operation="create_job", drop=when)
    job = models.BatchJobCreateOptions(id="j", pool_info=models.BatchPoolInfo(pool_id="p"))
    async with client(endpoint, **NO_RETRIES) as batch:
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            await batch.create_job(job)
        found = [one.id async for one in batch.list_jobs()]
    assert found == (["j"] if there else [])


async def test_a_broken_connection_breaks_no_other(endpoint: str) -> None:
    # aiohttp itself sends a read again that broke off on a connection it had used before.
    await put_fault(endpoint, operation="get_job", drop="before", count=5)
    async with client(endpoint, **NO_RETRIES) as batch:
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            await batch.get_job("x")
        assert [one.id async for one in batch.list_jobs()] == []


async def test_a_client_that_goes_away_stops_the_clock_where_it_is(endpoint: str) -> None:
    async with httpx.AsyncClient(trust_env=False, base_url=endpoint) as http:
        async with client(endpoint) as batch:
            await batch.create_pool(models.BatchPoolCreateOptions(AUTOSCALED))

        async def now() -> str:
            return str((await http.get("/_emulator/clock")).json()["now"])

        began = await now()
        with pytest.raises(httpx.ReadTimeout):
            await http.post(
                "/_emulator/clock/advance", json={"seconds": 366 * 86_400}, timeout=0.2
            )
        # It goes on only behind this, and gets there only where it was not stopped.
        moved = await http.post("/_emulator/clock/advance", json={"seconds": 1})
        assert began < moved.json()["now"] < "2027"
        assert await now() == moved.json()["now"]


@pytest.mark.slow
async def test_the_sdk_rides_out_what_it_retries(endpoint: str) -> None:
    await put_fault(endpoint, operation="list_jobs", status=503, count=2, retry_after_s=0)
    async with client(endpoint) as batch:
        assert [one.id async for one in batch.list_jobs()] == []


async def test_the_commands_put_faults_in_force_and_out_of_it(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPC_LOCAL_DIR", str(tmp_path / "local"))
    local = LocalDirectory.default()
    local.ensure()
    local.write_running(
        RunningEmulator(
            pid=os.getpid(),
            batch_endpoint=endpoint,
            blob_endpoint=None,
            provider_address=None,
            account=ACCOUNT,
        )
    )

    async def told(*arguments: str) -> Any:
        done = await asyncio.to_thread(CliRunner().invoke, cli, ["fault", *arguments])
        if done.exception is not None:
            raise done.exception
        return json.loads(done.stdout or "null")

    numbers = [
        (await told("add", name, "--status", "503"))["id"] for name in ("list_pools", "list_jobs")
    ]
    await told("clear", str(numbers[0]))
    assert [one["id"] for one in await told("list")] == numbers[1:]
    with pytest.raises(RequestRefusedError, match=f"no fault {numbers[0]} is in force"):
        await told("clear", str(numbers[0]))
    await told("clear")
    assert await told("list") == []


def test_rules_are_plain_data() -> None:
    faults = Faults(ManualClock().now)
    number = faults.add(Rule(operation="list_jobs", status=500, count=2))
    faults.before("list_jobs")
    (listed,) = json.loads(json.dumps(faults.listing()))
    assert (listed["id"], listed["count"], listed["struck"]) == (number, 1, 1)
