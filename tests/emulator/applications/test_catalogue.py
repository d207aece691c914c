"""What may be done to applications and packages: the rules, without wire or storage."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.applications.blobs import container_name
from emulator.applications.catalogue import MOST_PACKAGES, Application, Catalogue
from emulator.applications.errors import ApplicationError
from emulator.arm.memory import MemoryBlobs

NOW = "2026-01-05T12:00:00Z"


class Shelf(Catalogue):
    """A catalogue with storage in memory, to which tests upload by name."""

    def __init__(self) -> None:
        self.memory = MemoryBlobs()
        self.kept: dict[str, str] = {}
        super().__init__("acct", self.memory, now=lambda: NOW, save=self._keep_text)

    def _keep_text(self, key: str, application: Application | None) -> None:
        if application is None:
            del self.kept[key]
        else:
            self.kept[key] = json.dumps(application.as_json())

    def restored(self) -> list[Application]:
        return [Application.from_json(json.loads(text)) for text in self.kept.values()]

    def upload(self, name: str, version: str) -> None:
        upload = self.package(name, version).upload
        assert upload is not None
        self.memory.uploaded.add(("acct", name.lower(), upload))

    async def publish(self, name: str, version: str) -> None:
        await self.put_package(name, version)
        self.upload(name, version)
        await self.activate(name, version)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def code(do: Callable[[], object]) -> str:
    with pytest.raises(ApplicationError) as error:
        do()
    return error.value.code


async def acode(awaited: object) -> str:
    with pytest.raises(ApplicationError) as error:
        await awaited  # type: ignore[misc] # a coroutine of any result
    return error.value.code


async def test_names_keep_their_case_and_are_found_in_any(shelf: Shelf) -> None:
    shelf.put("Tool")
    await shelf.publish("TOOL", "1.0-Beta")
    assert shelf.get("tool").name == "Tool"
    assert shelf.package("tool", "1.0-beta").version == "1.0-Beta"
    facts = shelf.resolve("tOOL", "1.0-BETA")
    assert (facts.application_id, facts.version, facts.problem) == ("Tool", "1.0-Beta", "")
    qualified = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Batch/batchAccounts/a"
    assert shelf.resolve(f"{qualified}/applications/tool", "1.0-beta").url == facts.url


async def test_nodes_get_what_was_activated_until_the_next_activation(shelf: Shelf) -> None:
    shelf.put("tool")
    await shelf.put_package("tool", "1")
    assert "never activated" in shelf.resolve("tool", "1").problem
    shelf.upload("tool", "1")
    first = await shelf.activate("tool", "1")
    assert await shelf.activate("tool", "1") == first
    again = await shelf.put_package("tool", "1")
    assert again.is_active
    assert shelf.resolve("tool", "1").content == first.blob
    assert await acode(shelf.activate("tool", "1")) == "ApplicationPackageBlobNotFound"
    shelf.upload("tool", "1")
    second = await shelf.activate("tool", "1")
    assert shelf.resolve("tool", "1").content == second.blob != first.blob
    assert [blob for _, _, blob in shelf.memory.uploaded] == [second.blob]


async def test_the_default_must_be_there_and_goes_with_its_package(shelf: Shelf) -> None:
    shelf.put("tool")
    assert "no default version" in shelf.resolve("tool", None).problem
    patched = {"default_version": "1"}
    assert code(lambda: shelf.patch("tool", patched)) == "ApplicationPackageNotFound"
    assert code(lambda: shelf.put("tool", default_version="1")) == "ApplicationPackageNotFound"
    await shelf.publish("tool", "1")
    shelf.patch("tool", {"default_version": "1"})
    facts = shelf.resolve("tool", None)
    assert (facts.version, facts.by_default, facts.problem) == ("1", True, "")
    assert await shelf.delete_package("tool", "1")
    assert shelf.get("tool").default_version is None
    assert not await shelf.delete_package("tool", "1")


async def test_what_allows_no_updates_is_neither_replaced_nor_deleted(shelf: Shelf) -> None:
    shelf.put("tool", allow_updates=False)
    await shelf.put_package("tool", "1")
    await shelf.publish("tool", "1")  # nothing was active yet: an upload may be begun again
    refused = "ApplicationPackageUpdatesNotAllowed"
    assert await acode(shelf.put_package("tool", "1")) == refused
    assert await acode(shelf.delete_package("tool", "1")) == refused
    await shelf.publish("tool", "2")
    shelf.patch("tool", {"allow_updates": True})
    await shelf.publish("tool", "1")


async def test_an_application_with_packages_stays(shelf: Shelf) -> None:
    shelf.put("tool")
    await shelf.put_package("tool", "1")
    assert code(lambda: shelf.delete("tool")) == "ApplicationHasPackages"
    await shelf.delete_package("tool", "1")
    assert shelf.delete("tool")
    assert not shelf.delete("tool")
    assert shelf.kept == {}


async def test_there_is_a_most_of_packages(shelf: Shelf) -> None:
    shelf.put("tool")
    for number in range(MOST_PACKAGES):
        await shelf.put_package("tool", str(number))
    assert await acode(shelf.put_package("tool", "more")) == "ApplicationPackageQuotaReached"
    await shelf.put_package("tool", "0")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "a" * 65, "../x"])
async def test_names_that_cannot_be_are_refused(shelf: Shelf, name: str) -> None:
    assert code(lambda: shelf.put(name)) == "InvalidPropertyValue"
    shelf.put("tool")
    assert await acode(shelf.put_package("tool", name)) == "InvalidPropertyValue"


async def test_what_was_kept_is_what_there_was(shelf: Shelf) -> None:
    shelf.put("Tool", display_name="A tool", allow_updates=False)
    await shelf.publish("tool", "1.0")
    await shelf.put_package("tool", "2.0")
    shelf.patch("tool", {"default_version": "1.0"})
    shelf.put("other")
    assert shelf.restored() == [shelf.get("tool"), shelf.get("other")]


@settings(max_examples=200)
@given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_every_application_has_a_container_that_storage_takes(name: str) -> None:
    container = container_name(name)
    assert 3 <= len(container) <= 63
    assert container.strip("abcdefghijklmnopqrstuvwxyz0123456789-") == ""
    assert "--" not in container
    assert container[0] != "-" != container[-1]
    assert container_name(name.swapcase()) == container
