"""The files of the local state that the emulator writes and `jobs` reads: names and contents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azure.core.credentials import AzureNamedKeyCredential

from emulator.local import LocalDirectory, write_json
from jobs.clients import Clients
from jobs.stack import load_stack, local_directory

ACCOUNT = {
    "batch_account_id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Batch"
    "/batchAccounts/hpc",
    "batch_account_name": "hpc",
    "storage_account_name": "data",
}
ENDPOINTS = {
    "batch_endpoint": "http://127.0.0.1:1",
    "blob_endpoint": "http://127.0.0.1:2/data",
    "management_endpoint": "http://127.0.0.1:1",
}
PLACE = {"stack": "local", "location": "eastus", "resource_group": "g"}
CONTAINERS = {f"{kind}_container": kind for kind in ("programs", "inputs", "outputs", "logs")}
OUTPUTS = {
    "schema_version": 1,
    "authentication": "shared-key",
    "log_analytics_workspace_id": "w",
    "applications": {},
    "pools": {},
    **PLACE,
    **ACCOUNT,
    **ENDPOINTS,
    **CONTAINERS,
}


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalDirectory:
    monkeypatch.setenv("HPC_LOCAL_DIR", str(tmp_path))
    for variable in ("AZURE_BATCH_ACCESS_KEY", "AZURE_STORAGE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("NO_PROXY", "no_proxy"):  # clients add this machine
        monkeypatch.setenv(variable, "")
    return LocalDirectory.default()


def test_both_sides_mean_the_same_directory(
    local: LocalDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert local_directory() == local.root
    monkeypatch.delenv("HPC_LOCAL_DIR")
    assert local_directory() == LocalDirectory.default().root


def test_jobs_reads_the_outputs_where_the_emulator_puts_them(local: LocalDirectory) -> None:
    write_json(local.stack_outputs("local"), OUTPUTS)
    read = load_stack(name="local").model_dump(mode="json", exclude_defaults=True)
    assert read == json.loads(json.dumps(OUTPUTS))


def test_jobs_signs_with_the_keys_that_the_emulator_wrote(local: LocalDirectory) -> None:
    write_json(local.stack_outputs("local"), OUTPUTS)
    local.write_keys(batch={"hpc": "YmF0Y2g="}, storage={"data": "ZGF0YQ=="})
    clients = Clients(load_stack(name="local"))
    credential = clients.batch._config.credential
    assert isinstance(credential, AzureNamedKeyCredential)
    assert (credential.named_key.name, credential.named_key.key) == ("hpc", "YmF0Y2g=")
