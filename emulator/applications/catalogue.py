"""The applications of one Batch account, and what may be done to them.

Names are unique ignoring case and keep the case in which they were made. A version is
made (`pending`), its bytes are uploaded to where it says, and it is activated: from then
on nodes may have it. Making it again gives a new place to upload to; nodes keep what they
have until that is activated.

Sources: https://learn.microsoft.com/azure/batch/batch-application-packages (names, what
`allowUpdates` forbids, that deleting the default version clears it), docstrings of
azure-mgmt-batch (`default_version` must exist), "Batch service quotas and limits" (40
packages an application). Not confirmed by a recording: that a PUT without a member
resets it, as Resource Manager's PUTs do, and the codes in `errors`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from emulator.applications.blobs import PackageBlobs
from emulator.applications.errors import ApplicationError, no_application, no_package
from emulator.nodes.interface import PackageFacts

MOST_PACKAGES: Final = 40
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
VERSION: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A version of an application.

    Attributes:
        version: As it was made.
        created: When, ISO 8601.
        blob: Of the content that nodes get; None until the first activation.
        upload: Of the content that is to be uploaded and activated; None when there is none.
        activated: When it was last activated, ISO 8601.
    """

    version: str
    created: str
    blob: str | None = None
    upload: str | None = None
    activated: str | None = None

    @property
    def is_active(self) -> bool:
        """Whether nodes may have it."""
        return self.blob is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application.

    Attributes:
        name: As it was made.
        packages: By folded version, in the order in which they were made.
    """

    name: str
    created: str
    display_name: str | None = None
    allow_updates: bool = True
    default_version: str | None = None
    packages: Mapping[str, Package] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What a store keeps."""
        return {**asdict(self), "packages": [asdict(one) for one in self.packages.values()]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Application:
        """What a store kept."""
        packages = [Package(**one) for one in kept["packages"]]
        return cls(**{**kept, "packages": {one.version.lower(): one for one in packages}})


Save = Callable[[str, Application | None], None]
"""Keeps an application under its folded name, or forgets it; returns when it is stored."""


class Catalogue:
    """The applications of an account.

    Args:
        account: The Batch account.
        blobs: Where packages are.
        now: Tells the time, ISO 8601.
        save: Keeps what changed.
        kept: What was kept before.
    """

    def __init__(
        self,
        account: str,
        blobs: PackageBlobs,
        *,
        now: Callable[[], str],
        save: Save = lambda _key, _application: None,
        kept: Sequence[Application] = (),
    ) -> None:
        self._account = account
        self._blobs = blobs
        self._now = now
        self._save = save
        self._applications = {one.name.lower(): one for one in kept}

    # Applications

    def all(self) -> Iterator[Application]:
        """Every application, by folded name."""
        for key in sorted(self._applications):
            yield self._applications[key]

    def find(self, name: str) -> Application | None:
        """An application in any case of its name, or None."""
        return self._applications.get(name.lower())

    def get(self, name: str) -> Application:
        """An application.

        Raises:
            ApplicationError: `ApplicationNotFound`.
        """
        found = self.find(name)
        if found is None:
            raise no_application(name)
        return found

    def put(
        self,
        name: str,
        *,
        display_name: str | None = None,
        allow_updates: bool | None = None,
        default_version: str | None = None,
    ) -> Application:
        """Makes an application, or brings one to these properties; its packages stay.

        Raises:
            ApplicationError: The name cannot be, or the default version is not there.
        """
        _check(NAME, "applicationName", name, "1-64 letters, digits, hyphens and underscores")
        there = self.find(name) or Application(name=name, created=self._now())
        return self._keep(
            replace(
                there,
                display_name=display_name,
                allow_updates=True if allow_updates is None else allow_updates,
                default_version=_default(there, default_version),
            )
        )

    def patch(self, name: str, members: Mapping[str, Any]) -> Application:
        """Changes the properties given: `display_name`, `allow_updates`, `default_version`.

        Raises:
            ApplicationError: The application or the default version is not there.
        """
        there = self.get(name)
        changed = dict(members)
        if "default_version" in changed:
            changed["default_version"] = _default(there, changed["default_version"])
        return self._keep(replace(there, **changed))

    def delete(self, name: str) -> bool:
        """Deletes an application; False if there is none.

        Raises:
            ApplicationError: It still has packages.
        """
        there = self.find(name)
        if there is None:
            return False
        if there.packages:
            versions = ", ".join(one.version for one in there.packages.values())
            raise ApplicationError(
                "ApplicationHasPackages",
                f"application {there.name} still has packages and cannot be deleted: delete "
                f"its versions first ({versions})",
            )
        del self._applications[name.lower()]
        self._save(name.lower(), None)
        return True

    # Packages

    def package(self, name: str, version: str) -> Package:
        """A version.

        Raises:
            ApplicationError: It or its application is not there.
        """
        found = self.get(name).packages.get(version.lower())
        if found is None:
            raise no_package(name, version)
        return found

    async def put_package(self, name: str, version: str) -> Package:
        """Makes a version, or a new place to upload one that is there to.

        Raises:
            ApplicationError: There is no such application, it allows no updates, it has too
                many packages, or the account has no auto-storage.
        """
        _check(VERSION, "versionName", version, "1-64 letters, digits and ._-")
        there = self.get(name).packages.get(version.lower())
        if there is not None and there.is_active:
            self._check_updates(name, there, "replaced")
        await self._blobs.prepare(self._account, name)
        application = self.get(name)
        there = application.packages.get(version.lower())
        if there is None and len(application.packages) >= MOST_PACKAGES:
            raise ApplicationError(
                "ApplicationPackageQuotaReached",
                f"application {application.name} has {MOST_PACKAGES} packages, and no more "
                "are allowed: delete one that nobody uses",
            )
        blob = f"{version.lower()}-{secrets.token_hex(16)}"
        package = replace(there or Package(version=version, created=self._now()), upload=blob)
        self._keep_package(application, package)
        return package

    def storage_url(self, name: str, package: Package) -> str:
        """Where the content is, or is to be uploaded to, with a signature.

        Raises:
            ApplicationError: The account has no auto-storage.
        """
        blob = package.upload or package.blob or ""
        return self._blobs.url(self._account, name, blob, write=package.upload is not None)

    async def activate(self, name: str, version: str) -> Package:
        """Lets nodes have what was uploaded; no error if that is so already.

        Raises:
            ApplicationError: It is not there, or nothing was uploaded.
        """
        package = self.package(name, version)
        if package.upload is None:
            return package
        if not await self._blobs.exists(self._account, name, package.upload):
            raise ApplicationError(
                "ApplicationPackageBlobNotFound",
                f"nothing was uploaded for {name} {package.version}: put the zip to its "
                "storageUrl, then activate it",
            )
        before, application = package.blob, self.get(name)
        now = self.package(name, version)
        package = replace(now, blob=package.upload, upload=None, activated=self._now())
        self._keep_package(application, package)
        if before is not None:
            await self._blobs.delete(self._account, name, before)
        return package

    async def delete_package(self, name: str, version: str) -> bool:
        """Deletes a version with its blobs; False if it is not there.

        Raises:
            ApplicationError: The application allows no updates.
        """
        application = self.find(name)
        package = application.packages.get(version.lower()) if application else None
        if application is None or package is None:
            return False
        self._check_updates(name, package, "deleted")
        for blob in filter(None, (package.blob, package.upload)):
            await self._blobs.delete(self._account, name, blob)
        application = self.get(name)
        left = {key: one for key, one in application.packages.items() if key != version.lower()}
        default = application.default_version
        if default is not None and default.lower() == version.lower():
            default = None
        self._keep(replace(application, packages=left, default_version=default))
        return True

    # What nodes get

    def resolve(self, application_id: str, version: str | None) -> PackageFacts:
        """What a reference means now; one that means nothing says why."""
        name = application_id.rpartition("/")[2]
        found = self.find(name)
        asked = f"{name} {version}" if version else name
        if found is None:
            return PackageFacts(
                application_id=name,
                version=version or "",
                problem=f"Application {name} does not exist",
            )
        wanted = version or found.default_version
        package = found.packages.get(wanted.lower()) if wanted else None
        if wanted is None:
            problem = f"Application {found.name} has no default version, and none is named"
        elif package is None:
            problem = f"Application package {asked} does not exist"
        elif package.blob is None:
            problem = f"Application package {asked} was never activated"
        else:
            try:
                url = self._blobs.url(self._account, found.name, package.blob, write=False)
            except ApplicationError as error:
                problem = error.message
            else:
                return PackageFacts(
                    application_id=found.name,
                    version=package.version,
                    by_default=version is None,
                    content=package.blob,
                    url=url,
                )
        return PackageFacts(
            application_id=found.name,
            version=wanted or "",
            by_default=not version,
            problem=problem,
        )

    # Inside

    def _check_updates(self, name: str, package: Package, done: str) -> None:
        if not self.get(name).allow_updates and package.is_active:
            raise ApplicationError(
                "ApplicationPackageUpdatesNotAllowed",
                f"packages of application {name} cannot be {done}, because its allowUpdates is "
                f"false: {package.version} stays as it is",
            )

    def _keep_package(self, application: Application, package: Package) -> None:
        packages = {**application.packages, package.version.lower(): package}
        self._keep(replace(application, packages=packages))

    def _keep(self, application: Application) -> Application:
        key = application.name.lower()
        self._save(key, application)
        self._applications[key] = application
        return application


def _default(application: Application, version: str | None) -> str | None:
    if version is None:
        return None
    package = application.packages.get(version.lower())
    if package is None:
        raise no_package(application.name, version)
    return package.version


def _check(pattern: re.Pattern[str], what: str, value: str, allowed: str) -> None:
    if not pattern.fullmatch(value):
        raise ApplicationError(
            "InvalidPropertyValue", f"{what} {value!r} is not allowed: it is {allowed}"
        )
