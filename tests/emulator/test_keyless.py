"""The keyless way as on Azure: unchanged credentials, TLS, no key anywhere."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.clock import SystemClock
from emulator.engine import jobs, tasks
from emulator.identity import client_environment
from emulator.local import LocalDirectory
from emulator.nodes.blobs import NO_STORAGE
from emulator.nodes.runner import ProcessRunner
from emulator.server import Server
from emulator.service import bodies
from tests.clients.conftest import Emulator, serving
from tests.emulator.simulation import ACCOUNT, KEY, QUICK, until
from tests.emulator.test_identity import POOL

pytestmark = pytest.mark.slow

FLOW = Path(__file__).parents[1] / "clients" / "flow_keyless.py"
APP_SERVICE = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER")
METADATA = ("AZURE_POD_IDENTITY_AUTHORITY_HOST",)
TRUST = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(scope="module")
def emulator(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Emulator, dict[str, str]]]:
    directory = tmp_path_factory.mktemp("keyless")
    with serving(directory, "--tls") as served:
        yield served, client_environment(LocalDirectory(directory))


@pytest.mark.parametrize("names", [APP_SERVICE, METADATA], ids=["app service", "metadata"])
@pytest.mark.parametrize("credential", ["DefaultAzureCredential", "ManagedIdentityCredential"])
def test_an_unchanged_credential_runs_a_task_by_the_async_sdk(
    emulator: tuple[Emulator, dict[str, str]], names: tuple[str, ...], credential: str
) -> None:
    served, variables = emulator
    done = subprocess.run(
        [sys.executable, str(FLOW), served.url, credential],
        env={"PATH": "", **{name: variables[name] for name in (*names, *TRUST)}},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, "keyless\n"), done.stderr


def test_a_task_of_a_pool_with_an_identity_and_no_other_is_that_identity(tmp_path: Path) -> None:
    async def told(identity: dict[str, Any] | None) -> str:
        runner = ProcessRunner(
            tmp_path / "nodes",
            NO_STORAGE,
            identity=lambda: {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "here"},
        )
        server = Server(data=None, clock=SystemClock(1000), runner=runner, settings=QUICK)
        server.add_account(ACCOUNT, KEY)
        await server.start()
        body = {**POOL, **({"identity": identity} if identity else {})}
        await server.put_pool(ACCOUNT, "p", {**body, "targetDedicatedNodes": 1})
        driver = server.host(ACCOUNT)
        job = {"poolInfo": {"poolId": "p"}}
        checked = bodies.job({"id": "j", **job}, "")
        checked.pop("id")
        found = driver.run(jobs.add, "j", checked, wall_clock=2**62)
        spec = bodies.task({"id": "t", "commandLine": "/usr/bin/env"}, "")
        task = driver.run(tasks.add, found, spec, 2**60)
        await until(lambda: task.state == "completed")
        text = (driver.task_directory(task) / "stdout.txt").read_text()
        await server.close()
        return text

    named = {
        "type": "UserAssigned",
        "userAssignedIdentities": [{"resourceId": "/subscriptions/s/i"}],
    }
    assert "AZURE_POD_IDENTITY_AUTHORITY_HOST=here" in asyncio.run(told(named))
    assert "AZURE_POD_IDENTITY_AUTHORITY_HOST" not in asyncio.run(told(None))


def test_a_keyless_client_needs_no_more_than_what_env_prints(
    emulator: tuple[Emulator, dict[str, str]],
) -> None:
    served, variables = emulator
    program = (
        "import sys\n"
        "from azure.batch import BatchClient\n"
        "from azure.identity import DefaultAzureCredential\n"
        "print(len(list(BatchClient(sys.argv[1], DefaultAzureCredential()).list_jobs())))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, served.url],
        env={"PATH": "", **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.strip().isdigit()
