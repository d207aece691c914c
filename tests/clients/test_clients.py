"""Unmodified clients of other makes drive the main flow: `make test-clients` installs them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Emulator
from tests.clients.install import javascript_client, python_client

pytestmark = [pytest.mark.clients, pytest.mark.slow]

HERE = Path(__file__).parent


def run(command: list[str], emulator: Emulator, cwd: Path) -> str:
    """Runs a client; answers what it printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(cwd),
        "URL": emulator.url,
        "ACCOUNT": emulator.account,
        "KEY": emulator.key,
        "NODE_PATH": str(javascript_client() / "node_modules"),
        "AZURE_CONFIG_DIR": str(cwd / "az"),
        "AZURE_CORE_COLLECT_TELEMETRY": "0",
        "AZURE_CORE_ONLY_SHOW_ERRORS": "1",
        "AZURE_BATCH_ACCOUNT": emulator.account,
        "AZURE_BATCH_ACCESS_KEY": emulator.key,
        "AZURE_BATCH_ENDPOINT": emulator.url,
    }
    if emulator.bundle is not None:
        environment["REQUESTS_CA_BUNDLE"] = str(emulator.bundle)
        environment["NODE_EXTRA_CA_CERTS"] = str(emulator.bundle)
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(params=["plain", "encrypted"])
def emulator(request: pytest.FixtureRequest) -> Emulator:
    """Over http with a shared key, and over https with one."""
    found: Emulator = request.getfixturevalue(request.param)
    return found


def test_azure_batch_14_runs_tasks(emulator: Emulator, tmp_path: Path) -> None:
    python = python_client("azure-batch-14") / "bin" / "python"
    saw = json.loads(run([str(python), str(HERE / "flow_azure_batch_14.py")], emulator, tmp_path))
    assert saw == {
        "statuses": ["success"],
        "added": 120,
        "listed": 120,
        "output": "hello 7\n",
        "length": 8,
        "missing": "PoolNotFound",
        "nodes": ["idle"],
    }


def test_the_javascript_sdk_runs_tasks(emulator: Emulator, tmp_path: Path) -> None:
    saw = json.loads(run(["node", str(HERE / "flow_javascript.js")], emulator, tmp_path))
    assert saw == {
        "statuses": ["success"],
        "added": 30,
        "listed": 30,
        "output": "hello 7\n",
        "missing": "PoolNotFound",
        "nodes": ["idle"],
    }


def wait_for(look: Callable[[], Any], wanted: Any) -> None:
    end = time.monotonic() + 120
    while look() != wanted:
        assert time.monotonic() < end, f"still {look()}, not {wanted}"


def test_the_azure_cli_runs_tasks(emulator: Emulator, tmp_path: Path) -> None:
    program = str(python_client("azure-cli") / "bin" / "az")

    def az(*words: str) -> Any:
        said = run([program, "batch", *words, "--output", "json"], emulator, tmp_path)
        return json.loads(said) if said.strip() else None

    az(
        "pool", "create", "--id", "cli", "--vm-size", "Standard_D2s_v5",
        "--image", "canonical:ubuntu-24_04-lts:server",
        "--node-agent-sku-id", "batch.node.ubuntu 24.04", "--target-dedicated-nodes", "1",
    )  # fmt: skip
    assert az("pool", "show", "--pool-id", "cli")["vmSize"] == "standard_d2s_v5"
    az("job", "create", "--id", "cli", "--pool-id", "cli")
    az("task", "create", "--job-id", "cli", "--task-id", "t", "--command-line", "/bin/echo hello")
    more = tmp_path / "tasks.json"
    more.write_text(json.dumps([{"id": f"m{n}", "commandLine": "/bin/true"} for n in range(3)]))
    added = az("task", "create", "--job-id", "cli", "--json-file", str(more))
    assert {result["status"].lower() for result in added} == {"success"}

    def completed() -> int:
        counts = az("job", "task-counts", "show", "--job-id", "cli")
        return int(counts["taskCounts"]["completed"])

    wait_for(completed, 4)
    task = az("task", "show", "--job-id", "cli", "--task-id", "t")
    assert (task["state"], task["executionInfo"]["exitCode"]) == ("completed", 0)
    names = [f["name"] for f in az("task", "file", "list", "--job-id", "cli", "--task-id", "t")]
    assert "stdout.txt" in names
    output = tmp_path / "stdout.txt"
    az(
        "task", "file", "download", "--job-id", "cli", "--task-id", "t",
        "--file-path", "stdout.txt", "--destination", str(output),
    )  # fmt: skip
    assert output.read_text() == "hello\n"
    assert [node["state"] for node in az("node", "list", "--pool-id", "cli")] == ["idle"]
    az("pool", "resize", "--pool-id", "cli", "--target-dedicated-nodes", "0")
    az("job", "delete", "--job-id", "cli", "--yes")
    az("pool", "delete", "--pool-id", "cli", "--yes")
    wait_for(lambda: [job["id"] for job in az("job", "list") if job["id"] == "cli"], [])
