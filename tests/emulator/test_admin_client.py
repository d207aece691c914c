"""Commands that are about an account mean the one in use, and say which it was."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from emulator.admin_client import RequestRefusedError
from emulator.cli import app as cli
from emulator.http import listen
from emulator.http import serving as http_serving
from emulator.local import LocalDirectory, RunningEmulator
from emulator.server import Server
from tests.emulator.service.wire import POOL
from tests.emulator.simulation import KEY, manual_server

FIRST, ONE, OTHER = "local", "hpclocal1", "hpcdev2"
SIZE = "standard_d4s_v5"


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """An emulator of three accounts, all of them empty, that the commands find."""
    monkeypatch.setenv("HPC_LOCAL_DIR", str(tmp_path / "local"))
    local = LocalDirectory.default()
    local.ensure()
    server, _, _ = manual_server(tmp_path)
    for name in (FIRST, ONE, OTHER):
        server.add_account(name, KEY)
    with listen(0) as listener:
        server.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        local.write_running(
            RunningEmulator(
                pid=os.getpid(),
                batch_endpoint=server.base_url,
                blob_endpoint=None,
                provider_address=None,
                account=FIRST,
            )
        )
        key = base64.b64encode(KEY).decode()
        local.write_keys(batch=dict.fromkeys((FIRST, ONE, OTHER), key), storage={})
        await server.start()
        async with http_serving(server.app, listener):
            yield server
    await server.close()


async def run(*arguments: str) -> Result:
    done = await asyncio.to_thread(lambda: CliRunner().invoke(cli, list(arguments)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


async def add_pool(account: str) -> None:
    done = await run("request", "POST", "/pools", "--account", account, "--body", json.dumps(POOL))
    assert done.exit_code == 0, done.output


async def pools_by_request(*arguments: str) -> tuple[list[str], str]:
    done = await run("request", "GET", "/pools", *arguments)
    return [pool["id"] for pool in json.loads(done.stdout)["value"]], done.stderr


@pytest.mark.usefixtures("server")
async def test_the_only_account_in_use_is_meant_and_named() -> None:
    assert await pools_by_request() == ([], f"200 OK, account {FIRST}\n")
    await add_pool(ONE)
    assert await pools_by_request() == (["p"], f"200 OK, account {ONE}\n")
    assert await pools_by_request("--account", FIRST) == ([], f"200 OK, account {FIRST}\n")


async def test_capacity_and_node_faults_are_of_the_account_in_use(server: Server) -> None:
    await add_pool(ONE)
    limited = await run("limit", "capacity", SIZE, "--dedicated", "0")
    assert (limited.stdout, limited.stderr) == ("", f"account {ONE}\n")
    assert server.host(ONE).world.capacity == {(SIZE, True): 0}
    assert server.host(FIRST).world.capacity == {}
    shown = await run("limit", "capacity")
    assert (json.loads(shown.stdout), shown.stderr) == (
        {SIZE: {"dedicated": 0}},
        f"account {ONE}\n",
    )
    with pytest.raises(RequestRefusedError, match=f"account {ONE}: NodeNotFound"):
        await run("fault", "node", "preempt", "p", "x")
    with pytest.raises(RequestRefusedError, match=f"account {FIRST}: PoolNotFound"):
        await run("fault", "node", "preempt", "p", "x", "--account", FIRST)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "command",
    [
        ("request", "GET", "/pools"),
        ("limit", "capacity"),
        ("fault", "node", "preempt", "p", "x"),
    ],
    ids=" ".join,
)
async def test_where_several_accounts_are_in_use_all_are_named_and_none_is_taken(
    command: tuple[str, ...],
) -> None:
    await add_pool(ONE)
    await add_pool(OTHER)
    with pytest.raises(RequestRefusedError) as refused:
        await run(*command)
    assert str(refused.value).splitlines() == [
        "several accounts are in use; say which:",
        f"  --account {OTHER}   pools: 1, jobs: 0",
        f"  --account {ONE}   pools: 1, jobs: 0",
    ]


@pytest.mark.usefixtures("server")
async def test_an_account_that_is_not_there_is_told_those_that_are() -> None:
    with pytest.raises(
        RequestRefusedError, match=f"account x; there are: {OTHER}, {ONE}, {FIRST}"
    ):
        await run("limit", "capacity", "--account", "x")
