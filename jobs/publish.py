"""Publishes a version of an application: made, uploaded, activated, once.

A version that is active is never overwritten: what ran under a name is what that name
means. The digest of the content lies beside the blob, so that publishing the same again
says so and succeeds, as a pipeline that runs twice needs it. A version that was made and
never activated (an interrupted publish) is finished.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.mgmt.batch import BatchManagementClient
from azure.mgmt.batch.models import (
    ActivateApplicationPackageParameters,
    Application,
    ApplicationPackage,
    ApplicationProperties,
    PackageState,
)
from azure.storage.blob import BlobClient

from jobs.errors import InputError, NotFoundError
from jobs.stack import Stack
from jobs.translate import blob_errors_translated, from_batch
from jobs.zipping import pack

_DIGEST = "sha256"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PARALLEL = 8

Told = Callable[[int, int], None]
"""Is told bytes sent, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What came of it.

    Attributes:
        application: Its name.
        version: Which.
        sha256: Digest of the content.
        size: Bytes of the zip.
        sent: Whether it was uploaded; False when the same was there.
        is_default: Whether it was made the default version.
    """

    application: str
    version: str
    sha256: str
    size: int
    sent: bool
    is_default: bool


def publish(
    client: BatchManagementClient,
    stack: Stack,
    application: str,
    version: str,
    path: Path,
    *,
    default: bool = False,
    told: Told = lambda _sent, _of: None,
) -> Published:
    """Publishes a directory, a file or a zip as a version of an application.

    Raises:
        InputError: The names, or the files, cannot be; or the version has other content.
        ServiceError: Refused.
    """
    _check_names(stack, application, version)
    place = (stack.resource_group, stack.batch_account_name, application)
    what = f"{application} {version}"
    with TemporaryFile() as archive:
        digest = pack(path, archive)
        size = archive.tell()
        archive.seek(0)
        there = _found(client, place, version)
        sent = there is None or not _is_active(there)
        if there is not None and _is_active(there):
            with blob_errors_translated(f"comparing {what}"):
                _require_same(there, archive, digest, what)
        else:
            with _translated(f"making {what}"):
                made = client.application_package.create(*place, version)
            with blob_errors_translated(f"uploading {what}"):
                _upload(made, archive, size, digest, told)
            with _translated(f"activating {what}"):
                client.application_package.activate(
                    *place, version, ActivateApplicationPackageParameters(format="zip")
                )
    if default:
        with _translated(f"making {what} the default"):
            properties = ApplicationProperties(default_version=version)
            client.application.update(*place, Application(properties=properties))
    return Published(
        application=application,
        version=version,
        sha256=digest,
        size=size,
        sent=sent,
        is_default=default,
    )


def _check_names(stack: Stack, application: str, version: str) -> None:
    if application not in stack.applications:
        known = ", ".join(sorted(stack.applications)) or "none"
        raise InputError(
            f"stack {stack.stack} has no application {application!r}, it has: {known}. "
            "Declare it under hpc:applications and deploy the stack"
        )
    if not _NAME.fullmatch(application) or not _VERSION.fullmatch(version):
        raise InputError(f"version {version!r} is not 1-64 letters, digits and ._-")


def _found(
    client: BatchManagementClient, place: tuple[str, str, str], version: str
) -> ApplicationPackage | None:
    with _translated(f"looking for {place[2]} {version}"):
        try:
            client.application.get(*place)
        except ResourceNotFoundError as error:
            raise NotFoundError(
                f"application {place[2]} is not in Batch account {place[1]}: deploy the stack "
                "again (pulumi up), or ask for the role Contributor on the account",
                code="ApplicationNotFound",
                status=404,
            ) from error
        try:
            return client.application_package.get(*place, version)
        except ResourceNotFoundError:
            return None


def _is_active(package: ApplicationPackage) -> bool:
    return package.properties is not None and package.properties.state == PackageState.ACTIVE


def _blob(package: ApplicationPackage) -> BlobClient:
    url = package.properties.storage_url if package.properties else None
    if not url:
        raise InputError(f"Batch does not tell where {package.name} is to be uploaded")
    return BlobClient.from_blob_url(url)


def _upload(
    package: ApplicationPackage, archive: IO[bytes], size: int, digest: str, told: Told
) -> None:
    def progressed(current: int, total: int | None) -> None:
        told(current, total or size)

    with _blob(package) as blob:
        blob.upload_blob(
            archive,
            length=size,
            overwrite=True,
            metadata={_DIGEST: digest},
            max_concurrency=_PARALLEL,
            progress_hook=progressed,
        )


def _require_same(package: ApplicationPackage, archive: IO[bytes], digest: str, what: str) -> None:
    """Refuses to go on where an active version holds something else.

    Raises:
        InputError: It does.
    """
    with _blob(package) as blob:
        kept = (blob.get_blob_properties().metadata or {}).get(_DIGEST)
        if kept == digest:
            return
        if kept is None:
            # Somebody else's tool uploaded it: only its bytes tell.
            stream = blob.download_blob()
            if all(chunk == archive.read(len(chunk)) for chunk in stream.chunks()) and (
                not archive.read(1)
            ):
                return
    raise InputError(
        f"{what} is published with other content, and is not overwritten: what ran as {what} "
        "stays what it was. Publish under another --version"
    )


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except AzureError as error:
        raise from_batch(error, doing) from error
