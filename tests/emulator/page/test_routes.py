"""What the page asks for, over HTTP, and who may ask."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.clock import ManualClock, SystemClock
from emulator.engine import nodes
from emulator.page import summary
from emulator.page.routes import OUTPUT_BYTES
from emulator.server import Server
from tests.emulator.page.world import World, world_of
from tests.emulator.simulation import ACCOUNT, KEY, QUICK, SimulatedRunner, serving, until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    clock = SystemClock()
    found = Server(
        data=None, clock=clock, runner=SimulatedRunner(tmp_path / "nodes", clock), settings=QUICK
    )
    found.add_account(ACCOUNT, KEY)
    async with serving(found):
        yield found


@pytest.fixture
async def world(server: Server) -> AsyncIterator[World]:
    async with world_of(server) as found:
        yield found


@pytest.fixture
async def page(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{server.base_url}/_emulator") as client:
        yield client


async def account(page: httpx.AsyncClient) -> dict[str, Any]:
    (found,) = (await page.get("/overview")).json()
    assert isinstance(found, dict)
    return found


async def test_the_address_without_its_slash_leads_to_the_page(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.base_url, follow_redirects=True) as client:
        led = await client.get("/_emulator")
    assert (led.status_code, led.url.path) == (200, "/_emulator/")
    assert led.headers["content-type"].startswith("text/html")


async def test_the_overview_counts_nodes_and_tasks(world: World, page: httpx.AsyncClient) -> None:
    await world.pool("p", 3)
    await world.ready("p", 3)
    await world.job("j")
    await world.tasks("j", {"good": "print hi", "bad": "exit 3"})
    await world.settled("j", 2)

    found = await account(page)
    (pool,), (job,) = found["pools"], found["jobs"]
    assert pool["dedicated"] == {"current": 3, "target": 3}
    assert pool["states"] == {"idle": 3}
    assert [node[1] for node in pool["nodes"]] == ["idle"] * 3
    assert job["tasks"] == {"active": 0, "running": 0, "succeeded": 1, "failed": 1}


async def test_an_overview_that_did_not_change_is_not_sent_again(
    world: World, page: httpx.AsyncClient
) -> None:
    first = await page.get("/overview")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert (await page.get("/overview", headers=tag)).status_code == 304
    await world.pool("p", 0)
    assert (await page.get("/overview", headers=tag)).status_code == 200


async def test_an_overview_of_many_nodes_and_jobs_is_bounded_but_counts_all(
    world: World, page: httpx.AsyncClient
) -> None:
    await world.pool("p", summary.NODES + 50)
    for number in range(summary.JOBS + 5):
        await world.job(f"j{number}")
    await world.ready("p", summary.NODES + 50)
    found = await account(page)
    (pool,) = found["pools"]
    assert len(pool["nodes"]) == summary.NODES
    assert sum(pool["states"].values()) == summary.NODES + 50
    assert (len(found["jobs"]), found["jobCount"]) == (summary.JOBS, summary.JOBS + 5)


async def test_tasks_are_grouped_and_the_newest_come_first(
    world: World, page: httpx.AsyncClient
) -> None:
    await world.pool("p", 1)
    await world.job("j")
    await world.tasks("j", {"first": "print a"})
    await world.settled("j", 1)
    await world.tasks("j", {"second": "print b", "third": "exit 1"})
    await world.settled("j", 3)

    async def ids(group: str) -> list[str]:
        answer = await page.get(f"/accounts/{ACCOUNT}/jobs/j/tasks", params={"group": group})
        return [task["id"] for task in answer.json()["tasks"]]

    assert (await ids("succeeded")) == ["second", "first"]
    assert (await ids("failed")) == ["third"]
    assert (await ids("running")) == []
    assert (await ids("all"))[-1] == "first"


async def test_output_is_read_from_where_one_left_off(
    world: World, page: httpx.AsyncClient
) -> None:
    await world.pool("p", 1)
    await world.job("j")
    text = "x" * OUTPUT_BYTES + "the end"
    await world.tasks("j", {"t": f"print {text}"})
    await world.settled("j", 1)
    url = f"/accounts/{ACCOUNT}/jobs/j/tasks/t/output/stdout.txt"

    first = await page.get(url)
    assert len(first.content) == OUTPUT_BYTES
    assert first.headers["X-Size"] == str(len(text))
    assert (await page.get(url, params={"from": OUTPUT_BYTES})).text == "the end"
    tail = await page.get(url, params={"from": -3})
    assert (tail.text, tail.headers["X-Start"]) == ("end", str(len(text) - 3))
    assert (await page.get(url, params={"from": 10**9})).content == b""


async def test_output_that_is_a_link_out_of_the_task_is_not_read(
    world: World, page: httpx.AsyncClient, tmp_path: Path
) -> None:
    await world.pool("p", 1)
    await world.job("j")
    await world.tasks("j", {"t": "print hi"})
    await world.settled("j", 1)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    host = world.server.host(ACCOUNT)
    stdout = host.task_directory(host.world.jobs["j"].tasks["t"]) / "stdout.txt"
    stdout.unlink()
    stdout.symlink_to(secret)
    answer = await page.get(f"/accounts/{ACCOUNT}/jobs/j/tasks/t/output/stdout.txt")
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir])
async def test_output_that_is_no_file_is_refused_and_nothing_waits_for_it(
    world: World, page: httpx.AsyncClient, made: Callable[[Path], None]
) -> None:
    await world.pool("p", 1)
    await world.job("j")
    await world.tasks("j", {"t": "print hi"})
    await world.settled("j", 1)
    host = world.server.host(ACCOUNT)
    stdout = host.task_directory(host.world.jobs["j"].tasks["t"]) / "stdout.txt"
    stdout.unlink()
    made(stdout)
    answer = await page.get(f"/accounts/{ACCOUNT}/jobs/j/tasks/t/output/stdout.txt")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/accounts/nobody/jobs/j/tasks", 404, "no account nobody"),
        (f"/accounts/{ACCOUNT}/jobs/none/tasks", 404, "JobNotFound"),
        (f"/accounts/{ACCOUNT}/jobs/j/tasks/none", 404, "TaskNotFound"),
        (f"/accounts/{ACCOUNT}/jobs/j/tasks?group=odd", 400, "group"),
        (f"/accounts/{ACCOUNT}/jobs/j/tasks/t/output/passwd", 404, "no output"),
        (f"/accounts/{ACCOUNT}/jobs/j/tasks/t/output/stdout.txt?from=x", 400, "from"),
        (f"/accounts/{ACCOUNT}/jobs/j/tasks/t/output/stdout.txt", 409, "TaskFiles"),
        (f"/accounts/{ACCOUNT}/pools/none/nodes/n", 404, "PoolNotFound"),
        (f"/accounts/{ACCOUNT}/pools/p/nodes/n", 404, "NodeNotFound"),
    ],
)
async def test_what_is_not_there_is_named(
    world: World, page: httpx.AsyncClient, path: str, status: int, says: str
) -> None:
    await world.pool("p", 0)
    await world.job("j")
    await world.tasks("j", {"t": "print hi"})
    answer = await page.get(path)
    assert answer.status_code == status
    (error,) = answer.json()["errors"]
    assert says in error


async def test_a_node_tells_what_runs_on_it(world: World, page: httpx.AsyncClient) -> None:
    await world.pool("p", 1)
    await world.job("j")
    await world.tasks("j", {"t": "wait"})
    held = world.server.host(ACCOUNT).world
    await until(lambda: any(task.state == "running" for task in held.jobs["j"].tasks.values()))
    (node,) = held.pools["p"].nodes.values()
    url = f"/accounts/{ACCOUNT}/pools/p/nodes/{node.id}"
    found = (await page.get(url)).json()
    assert found["runs"] == [{"job": "j", "task": "t", "kind": "task"}]
    assert (found["state"], found["used"]) == ("running", 1)

    world.server.host(ACCOUNT).run(
        nodes.make_unusable, node, {"code": "Broken", "message": "by hand"}
    )
    assert (await page.get(url)).json()["errors"] == ["Broken: by hand"]


async def test_autoscale_decisions_are_told_as_they_are_made(tmp_path: Path) -> None:
    clock = ManualClock(speed=1.0)
    server = Server(data=None, clock=clock, runner=SimulatedRunner(tmp_path / "n", clock))
    server.add_account(ACCOUNT, KEY)
    async with serving(server) as url, httpx.AsyncClient(base_url=f"{url}/_emulator") as page:
        async with world_of(server) as world:
            await world.pool(
                "p", formula="$TargetDedicatedNodes = 2; $TargetLowPriorityNodes = 1;"
            )
        (pool,) = (await account(page))["pools"]
        (decision,) = pool["autoscale"]["decisions"]
        assert (decision["from"], decision["to"]) == ([0, 0], [2, 1])
        assert "$TargetDedicatedNodes=2" in decision["results"]
        clock.advance(5 * 60)
        (pool,) = (await account(page))["pools"]
        newest, *_ = pool["autoscale"]["decisions"]
        assert (newest["from"], newest["to"]) == ([2, 1], [2, 1])
        assert len(pool["autoscale"]["samples"]) == 11


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"Host": "evil.example"}, "ask for it by 127.0.0.1"),
        ({"Host": "127.0.0.1.evil.example"}, "ask for it by 127.0.0.1"),
        ({"Host": "["}, "ask for it by 127.0.0.1"),
        ({"Origin": "https://evil.example"}, "comes from 'https://evil.example'"),
        ({"Origin": "null"}, "comes from 'null'"),
        ({"Origin": "http://["}, "comes from 'http://['"),
        ({"Sec-Fetch-Site": "cross-site"}, "another site"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/overview"), ("POST", "/faults")])
async def test_other_web_sites_may_neither_look_nor_act(
    page: httpx.AsyncClient, headers: dict[str, str], says: str, method: str, path: str
) -> None:
    answer = await page.request(method, path, headers=headers)
    assert answer.status_code == 403
    assert says in answer.text


@pytest.mark.parametrize("host", ["localhost:80", "127.0.0.1", "local.localhost:1", "[::1]:80"])
async def test_this_machine_may_look_by_any_of_its_names(
    page: httpx.AsyncClient, host: str
) -> None:
    own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert (await page.get("/overview", headers=own)).status_code == 200


async def test_nothing_of_another_origin_may_be_loaded_by_the_page(
    page: httpx.AsyncClient,
) -> None:
    answer = await page.get("/")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for name in ("index.html", "page.css", "page.js"):
        content = (Path(summary.__file__).parent / name).read_text()
        assert "//" not in content.replace("// ", "").replace("http://www.w3.org/2000/svg", "")
