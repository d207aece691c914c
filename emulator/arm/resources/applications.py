"""Applications and packages as resources: what Pulumi declares is what the wire changes.

The state is the catalogue's (`emulator.applications`); a resource is only what was asked
for. So a version that `jobs publish` made is no resource here, and still keeps its
application from being deleted; and what somebody set past Pulumi is found by a refresh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from emulator.applications.catalogue import Catalogue
from emulator.applications.errors import ApplicationError
from emulator.arm.backend import BackendError
from emulator.arm.errors import ArmError
from emulator.arm.kinds import Context, Effect


class Application(Effect):
    """`Microsoft.Batch/batchAccounts/applications`."""

    async def put(self, context: Context, old: Mapping[str, Any] | None) -> None:
        """Makes it, or brings it to its properties."""
        del old
        inputs = context.inputs
        with _refusals():
            _catalogue(context).put(
                context.name,
                display_name=inputs.get("displayName"),
                allow_updates=inputs.get("allowUpdates"),
                default_version=inputs.get("defaultVersion"),
            )

    async def read(self, context: Context) -> dict[str, Any] | None:
        """Its properties as they are now."""
        found = _found(context)
        application = found.find(context.name) if found else None
        if application is None:
            return None
        now = {
            "displayName": application.display_name,
            "allowUpdates": application.allow_updates,
            "defaultVersion": application.default_version,
        }
        # What nobody asked for and is as the service sets it is no difference.
        said = {
            name: value
            for name, value in now.items()
            if value is not None and (name in context.inputs or value is not True)
        }
        return {**{k: v for k, v in context.inputs.items() if k not in now}, **said}

    async def delete(self, context: Context) -> None:
        """Deletes it, unless it has packages."""
        found = _found(context)
        if found is not None:
            with _refusals():
                found.delete(context.name)

    async def delete_with_parent(self, context: Context) -> None:
        """Goes with the account, its packages too, and needs nothing done."""


class Package(Effect):
    """`Microsoft.Batch/batchAccounts/applications/versions`."""

    async def put(self, context: Context, old: Mapping[str, Any] | None) -> None:
        """Makes it, with a place to upload its zip to; one that is there stays as it is."""
        del old
        name, catalogue = context.inputs["applicationName"], _catalogue(context)
        with _refusals():
            if context.name.lower() not in catalogue.get(name).packages:
                await catalogue.put_package(name, context.name)

    async def read(self, context: Context) -> dict[str, Any] | None:
        """Its properties, if it is there."""
        found = _found(context)
        application = found.find(context.inputs["applicationName"]) if found else None
        there = application is not None and context.name.lower() in application.packages
        return dict(context.inputs) if there else None

    async def live(self, context: Context) -> dict[str, Any]:
        """Where it is, and whether nodes may have it."""
        name = context.inputs["applicationName"]
        with _refusals():
            catalogue = _catalogue(context)
            package = catalogue.package(name, context.name)
            outputs: dict[str, Any] = {"storageUrl": catalogue.storage_url(name, package)}
        if package.is_active:
            outputs |= {
                "state": "Active",
                "format": "zip",
                "lastActivationTime": package.activated,
            }
        return outputs

    async def delete(self, context: Context) -> None:
        """Deletes it with its bytes."""
        found = _found(context)
        if found is not None:
            with _refusals():
                await found.delete_package(context.inputs["applicationName"], context.name)

    async def delete_with_parent(self, context: Context) -> None:
        """Goes with its account."""


def _catalogue(context: Context) -> Catalogue:
    return context.backend.applications(context.inputs["accountName"])


def _found(context: Context) -> Catalogue | None:
    """The catalogue, or None where the Batch service was reset and knows no account."""
    try:
        return _catalogue(context)
    except BackendError:
        return None


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ApplicationError as error:
        raise ArmError(error.status, error.code, error.message) from error
