"""Resource Manager's operations, driven by the unmodified azure-mgmt-batch over a real `serve`."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.batch import BatchClient, models
from azure.batch._patch import BatchSharedKeyAuthPolicy
from azure.core.credentials import AccessToken, AzureNamedKeyCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.core.rest import HttpRequest
from azure.identity import DefaultAzureCredential
from azure.mgmt.batch import BatchManagementClient
from azure.mgmt.batch.models import (
    ActivateApplicationPackageParameters,
    Application,
    ApplicationProperties,
)
from azure.storage.blob import BlobClient

from emulator.arm.kinds import Identity
from emulator.identity import client_environment
from emulator.local import LocalDirectory
from tests.emulator.served import FAST, Served, Start, give_storage, until
from tests.emulator.service.wire import Wire

SUBSCRIPTION = Identity().subscription_id
GROUP, ACCOUNT = "any-group", "local"
ZIP = ActivateApplicationPackageParameters(format="zip")


class _NoCredential:
    """What the client asks for although its policy signs with a key."""

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        raise AssertionError("nobody asks for a token over http")


def managing(served: Served, key: AzureNamedKeyCredential | None = None) -> BatchManagementClient:
    """The official client, which signs with the account's key, or another."""
    own = AzureNamedKeyCredential(ACCOUNT, served.keys("batch")[ACCOUNT])
    return BatchManagementClient(
        _NoCredential(),
        SUBSCRIPTION,
        served.said["batch_endpoint"],
        authentication_policy=BatchSharedKeyAuthPolicy(key or own),
        retry_total=0,
    )


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Start:
    """Starts an emulator whose account has auto-storage, and waits until it is ready."""
    give_storage(tmp_path, "apps", "data", links={ACCOUNT: "apps"})
    return lambda *options: start(*FAST, *options).ready()


def zipped(**files: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def publish(client: BatchManagementClient, version: str, content: bytes) -> Any:
    made = client.application_package.create(GROUP, ACCOUNT, "tool", version)
    assert made.properties is not None
    assert made.properties.storage_url is not None
    with BlobClient.from_blob_url(made.properties.storage_url) as blob:
        blob.upload_blob(content)
    return client.application_package.activate(GROUP, ACCOUNT, "tool", version, ZIP)


def code(error: HttpResponseError) -> str | None:
    return error.error.code if error.error else None


@pytest.mark.slow
def test_the_official_client_makes_uploads_activates_and_deletes(begin: Start) -> None:
    served = begin()
    with managing(served) as client, served.batch() as batch:
        wanted = Application(properties=ApplicationProperties(display_name="A tool"))
        made = client.application.create(GROUP, ACCOUNT, "tool", wanted)
        root = (
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Batch"
            f"/batchAccounts/{ACCOUNT}/applications/tool"
        )
        assert (made.id, made.name) == (root, "tool")
        assert made.properties is not None
        assert made.properties.allow_updates is True

        pending = client.application_package.create(GROUP, ACCOUNT, "tool", "1.0")
        assert pending.id == f"{root}/versions/1.0"
        assert pending.properties is not None
        assert (pending.properties.state, pending.properties.format) == ("Pending", None)
        assert list(batch.list_applications()) == []
        with pytest.raises(HttpResponseError) as empty:
            client.application_package.activate(GROUP, ACCOUNT, "tool", "1.0", ZIP)
        assert (empty.value.status_code, code(empty.value)) == (
            409,
            "ApplicationPackageBlobNotFound",
        )

        active = publish(client, "1.0", zipped(run="#!/bin/sh\n"))
        assert active.properties is not None
        assert (active.properties.state, active.properties.format) == ("Active", "zip")
        assert active.properties.last_activation_time is not None
        assert active.properties.storage_url_expiry is not None
        [seen] = batch.list_applications()
        assert (seen.id, seen.versions, seen.display_name) == ("tool", ["1.0"], "A tool")

        default = Application(properties=ApplicationProperties(default_version="1.0"))
        changed = client.application.update(GROUP, ACCOUNT, "TOOL", default)
        assert changed.properties is not None
        assert changed.properties.display_name == "A tool"
        with pytest.raises(HttpResponseError) as full:
            client.application.delete(GROUP, ACCOUNT, "tool")
        assert code(full.value) == "ApplicationHasPackages"
        client.application_package.delete(GROUP, ACCOUNT, "tool", "1.0")
        left = client.application.get(GROUP, ACCOUNT, "tool")
        assert left.properties is not None
        assert left.properties.default_version is None
        client.application.delete(GROUP, ACCOUNT, "tool")
        client.application.delete(GROUP, ACCOUNT, "tool")  # 204: it is gone already
        assert list(client.application.list(GROUP, ACCOUNT)) == []
        with pytest.raises(ResourceNotFoundError) as gone:
            client.application.get(GROUP, ACCOUNT, "tool")
        assert code(gone.value) == "ApplicationNotFound"


@pytest.mark.slow
def test_lists_come_in_pages_that_the_client_follows(begin: Start) -> None:
    with managing(begin()) as client:
        names = [f"app{number}" for number in range(7)]
        for name in reversed(names):
            client.application.create(GROUP, ACCOUNT, name, Application())
        assert [a.name for a in client.application.list(GROUP, ACCOUNT, maxresults=3)] == names
        for version in ("2", "1.0", "1-beta"):
            client.application_package.create(GROUP, ACCOUNT, "app0", version)
        found = client.application_package.list(GROUP, ACCOUNT, "app0", maxresults=1)
        assert [package.name for package in found] == ["1-beta", "1.0", "2"]


@pytest.mark.slow
def test_what_was_answered_survives_kill_9(begin: Start) -> None:
    served = begin()
    with managing(served) as client:
        client.application.create(GROUP, ACCOUNT, "tool", Application())
        publish(client, "1.0", zipped(run="one"))
        client.application_package.create(GROUP, ACCOUNT, "tool", "2.0")
        default = Application(properties=ApplicationProperties(default_version="1.0"))
        client.application.update(GROUP, ACCOUNT, "tool", default)
        before = [
            (package.name, package.properties.state if package.properties else None)
            for package in client.application_package.list(GROUP, ACCOUNT, "tool")
        ]
    served.process.kill()
    served.process.wait()
    with managing(begin()) as client:
        application = client.application.get(GROUP, ACCOUNT, "tool")
        assert application.properties is not None
        assert application.properties.default_version == "1.0"
        after = client.application_package.list(GROUP, ACCOUNT, "tool")
        assert [(p.name, p.properties.state if p.properties else None) for p in after] == before
        kept = client.application_package.get(GROUP, ACCOUNT, "tool", "1.0").properties
        assert kept is not None
        assert kept.storage_url is not None
        with BlobClient.from_blob_url(kept.storage_url) as blob:
            assert (
                zipfile.ZipFile(io.BytesIO(blob.download_blob().readall())).read("run") == b"one"
            )


@pytest.mark.slow
def test_strangers_and_what_is_not_here_are_refused_by_name(begin: Start) -> None:
    served = begin()
    stranger = AzureNamedKeyCredential(ACCOUNT, "bm90IHRoZSBrZXk=")
    with (
        managing(served, stranger) as client,
        pytest.raises(ClientAuthenticationError) as refused,
    ):
        client.application.get(GROUP, ACCOUNT, "tool")
    assert code(refused.value) == "AuthenticationFailed"
    bare = f"{served.said['batch_endpoint']}/subscriptions/{SUBSCRIPTION}/resourceGroups"
    assert httpx.get(bare, trust_env=False).status_code == 401
    with managing(served) as client:
        for ask, wanted in (
            (lambda: client.application.get(GROUP, "nobody", "tool"), "ResourceNotFound"),
            (lambda: client.batch_account.get(GROUP, ACCOUNT), "NotImplemented"),
            (
                lambda: client.application.create(GROUP, ACCOUNT, "a b", Application()),
                "InvalidPropertyValue",
            ),
            (
                lambda: client.application_package.create(GROUP, ACCOUNT, "absent", "1"),
                "ApplicationNotFound",
            ),
        ):
            with pytest.raises(HttpResponseError) as error:
                ask()
            assert code(error.value) == wanted


@pytest.mark.parametrize(
    ("method", "path", "body", "wanted"),
    [
        ("PUT", "/tool", b"[" * 200_000, "InvalidRequestBody"),
        ("PUT", "/tool", b'{"properties":{"displayName":"\\ud800"}}', "InvalidRequestBody"),
        ("GET", "?maxresults=" + "9" * 5000, None, "InvalidPropertyValue"),
        ("GET", "?maxresults=%C2%B2", None, "InvalidPropertyValue"),
    ],
)
async def test_what_is_too_deep_or_too_long_is_refused(
    tmp_path: Path, method: str, path: str, body: bytes | None, wanted: str
) -> None:
    wire = await Wire.start(tmp_path)
    base = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers"
    url = f"{base}/Microsoft.Batch/batchAccounts/{ACCOUNT}/applications{path}"
    reply = await wire.send(method, url, body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, wanted)
    assert (await wire.send("GET", url.partition("?")[0].removesuffix("/tool"))).json() == {
        "value": []
    }
    await wire.close()


@pytest.mark.slow
def test_a_pool_with_a_package_runs_it_and_a_missing_one_is_refused(begin: Start) -> None:
    served = begin()
    image = {
        "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
        "nodeAgentSKUId": "batch.node.ubuntu 24.04",
    }
    body = {
        "id": "p",
        "vmSize": "standard_d2s_v5",
        "virtualMachineConfiguration": image,
        "targetDedicatedNodes": 1,
        "applicationPackageReferences": [{"applicationId": "Tool"}],
        "startTask": {"commandLine": "/bin/sh -c 'cp -r $AZ_BATCH_APP_PACKAGE_tool copied'"},
    }
    with managing(served) as client, served.batch() as batch:
        client.application.create(GROUP, ACCOUNT, "tool", Application())
        publish(client, "1.0", zipped(run="first"))
        with pytest.raises(HttpResponseError) as none:
            batch.create_pool(models.BatchPoolCreateOptions(body))
        assert none.value.status_code == 409
        assert "InvalidApplicationPackageReferences" in str(none.value)
        default = Application(properties=ApplicationProperties(default_version="1.0"))
        client.application.update(GROUP, ACCOUNT, "tool", default)
        batch.create_pool(models.BatchPoolCreateOptions(body))
        batch.create_job(models.BatchJobCreateOptions({"id": "j", "poolInfo": {"poolId": "p"}}))
        show = "/bin/sh -c 'cat $AZ_BATCH_APP_PACKAGE_tool/run'"
        pinned = {
            "applicationPackageReferences": [{"applicationId": "tool", "version": "1.0"}],
            "commandLine": "/bin/sh -c 'cat $AZ_BATCH_APP_PACKAGE_tool_1_0/run'",
        }
        assert outcome(batch, "a", {"commandLine": show}) == ("success", "first")
        assert outcome(batch, "b", pinned) == ("success", "first")

        # Another content under the default reaches the node at its next boot, not before.
        publish(client, "1.0", zipped(run="second"))
        assert outcome(batch, "c", {"commandLine": show}) == ("success", "first")
        [node] = batch.list_nodes("p")
        reboot(batch, str(node.id))
        until(lambda: batch.get_node("p", str(node.id)).state == "idle")
        assert outcome(batch, "d", {"commandLine": show}) == ("success", "second")

        # A pool's package that is gone by the next boot makes its node unusable.
        client.application_package.delete(GROUP, ACCOUNT, "tool", "1.0")
        reboot(batch, str(node.id))
        until(lambda: batch.get_node("p", str(node.id)).state == "unusable")
        [error] = batch.get_node("p", str(node.id)).errors or []
        assert error.code == "ApplicationPackageError"
        assert "no default version" in str(error.error_details)


def reboot(batch: BatchClient, node: str) -> None:
    """Asks for it and does not wait, as the client's own method would."""
    path = f"/pools/p/nodes/{node}/reboot?api-version=2025-06-01"
    headers = {"Content-Type": "application/json; odata=minimalmetadata"}
    answer = batch.send_request(HttpRequest("POST", path, headers=headers, json={}))
    assert answer.status_code == 202, answer.text()


def outcome(batch: BatchClient, name: str, members: dict[str, Any]) -> tuple[str, str]:
    batch.create_task("j", models.BatchTaskCreateOptions({"id": name, **members}))
    until(lambda: batch.get_task("j", name).state == "completed")
    task = batch.get_task("j", name)
    said = b"".join(batch.download_task_file("j", name, "stdout.txt")).decode()
    assert task.execution_info is not None
    assert task.execution_info.result is not None
    return models.BatchTaskExecutionResult(task.execution_info.result).value, said


@pytest.mark.slow
def test_over_tls_a_token_for_resource_manager_opens_it_and_one_for_batch_does_not(
    begin: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = begin("--tls")
    for name, value in client_environment(LocalDirectory(served.local)).items():
        monkeypatch.setenv(name, value)
    with BatchManagementClient(
        DefaultAzureCredential(), SUBSCRIPTION, served.said["batch_endpoint"], retry_total=0
    ) as client:
        client.application.create(GROUP, ACCOUNT, "tool", Application())
        active = publish(client, "1.0", zipped(run="one"))
        assert active.properties is not None
        assert active.properties.state == "Active"
    with (
        BatchManagementClient(
            DefaultAzureCredential(),
            SUBSCRIPTION,
            served.said["batch_endpoint"],
            credential_scopes=["https://batch.core.windows.net/.default"],
            retry_total=0,
        ) as other,
        pytest.raises(ClientAuthenticationError),
    ):
        other.application.get(GROUP, ACCOUNT, "tool")
