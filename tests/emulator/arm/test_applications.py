"""Applications as resources: what the model of Resource Manager makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from emulator.arm.errors import ArmError
from emulator.arm.memory import MemoryBackend
from emulator.arm.model import Resource, ResourceManager
from emulator.arm.store import Store

GROUP = "azure-native:resources:ResourceGroup"
ACCOUNT = "azure-native:batch:BatchAccount"
APPLICATION = "azure-native:batch:Application"
PACKAGE = "azure-native:batch:ApplicationPackage"
STORAGE = "azure-native:storage:StorageAccount"


class Estate:
    """A subscription with a Batch account."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.store = Store(None)
        self.manager = ResourceManager(self.backend, self.store)

    async def put(self, token: str, **inputs: Any) -> Resource:
        checked = self.manager.check(token, "one", inputs)
        assert checked.findings == []
        return await self.manager.create(token, f"urn::{inputs}", checked.inputs)

    async def account(self) -> Resource:
        await self.put(GROUP, resourceGroupName="g", location="eastus")
        storage = await self.put(
            STORAGE,
            accountName="apps",
            resourceGroupName="g",
            kind="StorageV2",
            sku={"name": "Standard_LRS"},
        )
        return await self.put(
            ACCOUNT,
            accountName="acct",
            resourceGroupName="g",
            autoStorage={"storageAccountId": storage.id},
        )

    async def application(self, **more: Any) -> Resource:
        place = {"accountName": "acct", "resourceGroupName": "g", "applicationName": "tool"}
        return await self.put(APPLICATION, **place, **more)


@pytest.fixture
def estate() -> Iterator[Estate]:
    found = Estate()
    yield found
    found.store.close()


async def test_the_account_tells_the_data_plane_its_auto_storage(estate: Estate) -> None:
    await estate.account()
    assert estate.backend.auto_storage == {"acct": "apps"}


async def test_an_application_is_what_the_wire_sees_and_a_refresh_finds_what_it_did(
    estate: Estate,
) -> None:
    await estate.account()
    made = await estate.application(displayName="A tool")
    catalogue = estate.backend.applications("acct")
    assert catalogue.get("tool").display_name == "A tool"
    catalogue.patch("tool", {"display_name": "Renamed", "allow_updates": False})
    found = await estate.manager.read(APPLICATION, made.id, made.inputs)
    assert found is not None
    assert found.inputs["displayName"] == "Renamed"
    assert found.outputs["allowUpdates"] is False
    catalogue.delete("tool")
    assert await estate.manager.read(APPLICATION, made.id, made.inputs) is None


async def test_a_default_version_that_is_not_there_is_refused(estate: Estate) -> None:
    await estate.account()
    with pytest.raises(ArmError, match="ApplicationPackageNotFound"):
        await estate.application(defaultVersion="1.0")


async def test_a_declared_version_is_pending_with_a_place_to_upload_to(estate: Estate) -> None:
    await estate.account()
    await estate.application()
    package = await estate.put(
        PACKAGE,
        accountName="acct",
        resourceGroupName="g",
        applicationName="tool",
        versionName="1.0",
    )
    assert package.outputs["state"] == "Pending"
    assert "sp=rw" in package.outputs["storageUrl"]
    await estate.manager.delete(PACKAGE, package.id)
    assert dict(estate.backend.applications("acct").get("tool").packages) == {}


async def test_versions_keep_an_application_but_not_the_account(estate: Estate) -> None:
    account = await estate.account()
    made = await estate.application()
    await estate.backend.applications("acct").put_package("tool", "1.0")
    with pytest.raises(ArmError, match="ApplicationHasPackages"):
        await estate.manager.delete(APPLICATION, made.id)
    await estate.manager.delete(ACCOUNT, account.id)
    assert estate.backend.accounts == {}
