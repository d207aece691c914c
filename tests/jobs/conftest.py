from __future__ import annotations

import base64
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from jobs.clients import Clients
from jobs.loading import LoadedWorkload, load_workload
from jobs.service import BatchService, RetryPolicy
from jobs.session import Session
from jobs.stack import Stack, parse_stack


def _sibling(name: str) -> Any:
    """Importlib mode has no packages of tests: a module beside this one, by its path."""
    spec = importlib.util.spec_from_file_location(
        f"jobs_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fake_batch = _sibling("fake_batch")
azurite_fixture = _sibling("azurite_fixture")
command_line = _sibling("command_line")
estate = command_line.estate
timed_estate = command_line.timed_estate
timed_directory = command_line.timed_directory
timed_faults = command_line.timed_faults
directory = command_line.directory
make_directory = command_line.make_directory
faults = command_line.faults
KEY = base64.b64encode(b"not a secret: a key of a fake account").decode()

MakeWorkload = Callable[..., LoadedWorkload]


def stack_values(**members: Any) -> dict[str, Any]:
    pool = {
        "id": "pool-cpu",
        "vm_size": "Standard_D4s_v5",
        "vcpus": 4,
        "os": "linux",
        "task_slots_per_node": 4,
        "min_nodes": 0,
        "max_nodes": 4,
        "max_dedicated_nodes": 2,
        "max_spot_nodes": 2,
        "inter_node_communication": False,
        "identity_id": "/subscriptions/s/resourceGroups/g/providers/identity/nodes",
        "dedicated_price_per_hour": 0.192,
        "spot_price_per_hour": 0.04,
        "price_currency": "USD",
        "prices_as_of": "2026-11-01",
    }
    return {
        "schema_version": 1,
        "stack": "test",
        "location": "eastus",
        "resource_group": "rg",
        "batch_account_id": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Batch"
        "/batchAccounts/account",
        "batch_account_name": "account",
        "management_endpoint": "http://127.0.0.1:1",
        "batch_endpoint": "http://127.0.0.1:1",
        "authentication": "shared-key",
        "storage_account_name": "data",
        "blob_endpoint": "http://127.0.0.1:2/data",
        "programs_container": "programs",
        "inputs_container": "inputs",
        "outputs_container": "outputs",
        "logs_container": "logs",
        "log_analytics_workspace_id": "/w",
        "applications": {"tool": {"default_version": None}, "solver": {"default_version": "2.1"}},
        "pools": {"cpu": pool},
        **members,
    }


@pytest.fixture(autouse=True)
def local_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own local state, so that no test meets the developer's."""
    directory = tmp_path / "local"
    monkeypatch.setenv("HPC_LOCAL_DIR", str(directory))
    monkeypatch.delenv("AZURE_STORAGE_KEY", raising=False)
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", KEY)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    for name in ("JOBS_STACK", "JOBS_OUTPUTS", "JOBS_OUT", "JOBS_JSON"):
        monkeypatch.delenv(name, raising=False)
    return directory


@pytest.fixture
def values() -> Callable[..., dict[str, Any]]:
    return stack_values


@pytest.fixture
def stack() -> Stack:
    return parse_stack(json.loads(json.dumps(stack_values())), where="test")


@pytest.fixture
def workload(tmp_path: Path) -> MakeWorkload:
    """Writes a workload file and the files it needs, and loads it."""

    def make(text: str, *overrides: str, **files: str) -> LoadedWorkload:
        directory = tmp_path / "workload"
        directory.mkdir(exist_ok=True)
        (directory / "job.yaml").write_text(dedent(text), encoding="utf-8")
        for name, content in files.items():
            path = directory / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return load_workload(directory / "job.yaml", overrides)

    return make


@pytest.fixture
def batch() -> Iterator[Any]:
    with fake_batch.serving(fake_batch.FakeBatch()) as served:
        yield served


@pytest.fixture
def fault() -> Any:
    return fake_batch.Fault


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def service(batch: Any, pauses: list[float]) -> Iterator[BatchService]:
    """The client of the fake; its waits are recorded, not waited."""
    stack = parse_stack(stack_values(batch_endpoint=batch.url), where="test")
    client = Clients(stack).batch
    yield BatchService(client=client, policy=RetryPolicy(), pause=pauses.append)
    client.close()


@pytest.fixture(scope="session")
def azurite() -> Iterator[Any]:
    with azurite_fixture.running() as blobs:
        yield blobs


@pytest.fixture
def blobs(azurite: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Azurite with empty containers, and its key where clients look for it."""
    monkeypatch.setenv("AZURE_STORAGE_KEY", azurite.key)
    with azurite.service() as service:
        for name in azurite_fixture.CONTAINERS:
            container = service.get_container_client(name)
            for blob in container.list_blob_names():
                container.delete_blob(blob)
    return azurite


@pytest.fixture
def session(batch: Any, blobs: Any) -> Session:
    return Session(
        stack=parse_stack(
            stack_values(batch_endpoint=batch.url, blob_endpoint=blobs.endpoint), where="test"
        )
    )
