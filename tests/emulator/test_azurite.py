"""The real Azurite, driven by the official SDK."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

from emulator.azurite import HOST, PACKAGE, Azurite, AzuriteError
from emulator.errors import AlreadyRunningError, MissingToolError

Start = Callable[..., Awaitable[Azurite]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    started: list[Azurite] = []

    async def _start(**options: object) -> Azurite:
        azurite = await Azurite.start(**{"data": None, "accounts": {}, **options})  # type: ignore[arg-type] # options of each test
        started.append(azurite)
        return azurite

    yield _start
    for azurite in started:
        await azurite.close()


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


def client(azurite: Azurite, account: str, key: str) -> BlobServiceClient:
    return BlobServiceClient(f"{azurite.endpoint}/{account}", credential=key, retry_total=0)


async def make_container(azurite: Azurite, account: str, key: str, name: str) -> None:
    with client(azurite, account, key) as service:
        await asyncio.to_thread(service.create_container, name)


async def containers(azurite: Azurite, account: str, key: str) -> list[str]:
    with client(azurite, account, key) as service:
        return await asyncio.to_thread(lambda: [c.name for c in service.list_containers()])


@pytest.mark.slow
async def test_accounts_come_and_go_while_it_runs(start: Start) -> None:
    azurite = await start()
    one, other = new_key(), new_key()
    with pytest.raises(HttpResponseError):
        await make_container(azurite, "one", one, "box")
    await azurite.set_accounts({"one": one})
    await make_container(azurite, "one", one, "box")
    await azurite.set_accounts({"one": one, "two": other})
    await make_container(azurite, "two", other, "chest")
    assert await containers(azurite, "one", one) == ["box"]
    await azurite.set_accounts({"two": other})
    with pytest.raises(HttpResponseError):
        await containers(azurite, "one", one)


@pytest.mark.slow
async def test_a_wrong_key_and_the_well_known_account_are_refused(start: Start) -> None:
    azurite = await start(accounts={"one": new_key()})
    with pytest.raises(HttpResponseError, match="AuthorizationFailure"):
        await containers(azurite, "one", new_key())
    known = (
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    )
    with pytest.raises(HttpResponseError):
        await containers(azurite, "devstoreaccount1", known)


@pytest.mark.slow
async def test_it_listens_on_loopback_and_shows_no_key(start: Start) -> None:
    key = new_key()
    azurite = await start(accounts={"one": key})
    process = psutil.Process(azurite.pid)
    assert key not in "\0".join(process.cmdline())
    assert key not in str(process.environ())
    assert {c.laddr.ip for c in process.net_connections() if c.status == "LISTEN"} == {"127.0.0.1"}
    assert azurite.endpoint.startswith("http://127.0.0.1:")


@pytest.mark.slow
async def test_data_survive_a_stop(start: Start, tmp_path: Path) -> None:
    key = new_key()
    first = await start(data=tmp_path, accounts={"one": key})
    await make_container(first, "one", key, "box")
    await first.close()
    again = await start(data=tmp_path, accounts={"one": key})
    assert await containers(again, "one", key) == ["box"]


@pytest.mark.slow
def test_data_are_saved_when_the_stop_comes_before_azurite_heeds_it(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None
    ended = subprocess.run(
        [node, HOST, PACKAGE, "--blobPort", "0", "--disableTelemetry", "--location", tmp_path],
        input=f"one:{new_key()}\n",  # and the end of the input with it
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "successfully closed" in ended.stdout


@pytest.mark.slow
async def test_a_port_in_use_is_told(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AlreadyRunningError):
        await start(port=taken.getsockname()[1])


async def test_what_is_not_installed_is_told_with_the_remedy(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingToolError, match="make setup"):
        await start(package=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="node is not on PATH"):
        await start()


@pytest.mark.slow
async def test_a_damaged_installation_is_told_not_waited_for(start: Start, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(AzuriteError, match="Cannot find module"):
        await start(package=tmp_path)


@pytest.mark.slow
async def test_an_end_by_itself_is_noticed(start: Start) -> None:
    azurite = await start()
    process = psutil.Process(azurite.pid)
    process.kill()
    await asyncio.wait_for(azurite.wait(), 60)
    with pytest.raises(AzuriteError):
        await azurite.set_accounts({})


@pytest.mark.slow
async def test_an_account_that_could_add_others_is_refused(start: Start) -> None:
    azurite = await start()
    for name in ("UPPER", "a", "a:b", "a;b", "abc\n"):
        with pytest.raises(ValueError, match="not a storage account"):
            await azurite.set_accounts({name: new_key()})


@pytest.mark.slow
async def test_it_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, pathlib\n"
        "from emulator.azurite import Azurite\n"
        "async def main():\n"
        f"    await Azurite.start(data=pathlib.Path({str(tmp_path)!r}), accounts={{}})\n"
        "    print('up', flush=True); await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert owner.stdout is not None
    await owner.stdout.readline()
    (process,) = psutil.Process(owner.pid).children()
    os.kill(owner.pid, signal.SIGKILL)
    await owner.wait()
    await asyncio.to_thread(psutil.wait_procs, [process], 10)
    assert not process.is_running()
