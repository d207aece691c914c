"""Resource files: what is brought to a task before its command runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator.nodes.blobs import BlobError, Blobs, ContainerUrl
from emulator.nodes.directories import OutsideError, inside
from emulator.nodes.failures import TaskFailureError, of_system_error, without_secrets
from emulator.nodes.interface import NodeFacts

DEFAULT_MODE = 0o770


async def bring(blobs: Blobs, node: NodeFacts, files: list[Mapping[str, Any]], work: Path) -> None:
    """Downloads a task's `resourceFiles` into its working directory, in their order.

    Raises:
        TaskFailureError: One of them cannot be had, or must not be put where it should.
    """
    for file in files:
        mode = _mode(file)
        url = file.get("httpUrl")
        if url is not None:
            path = str(file.get("filePath") or "")
            source = await _allowed(blobs, url, file, node, "BlobDownloadMiscError")
            await _bring_one(blobs, source, path, work, mode)
        else:
            await _bring_container(blobs, node, file, work, mode)


async def _bring_container(
    blobs: Blobs, node: NodeFacts, file: Mapping[str, Any], work: Path, mode: int
) -> None:
    misc = "ResourceContainerListMiscError"
    name = file.get("autoStorageContainerName")
    if name is not None:
        signed = blobs.auto_storage_url(node.account, str(name))
        if signed is None:
            raise TaskFailureError(
                misc,
                ContainerName=str(name),
                Message=f"Batch account {node.account} has no auto-storage account",
            )
    else:
        signed = await _allowed(blobs, str(file.get("storageContainerUrl")), file, node, misc)
    container = ContainerUrl.parse(signed)
    try:
        found = await blobs.names(container, str(file.get("blobPrefix") or ""))
    except BlobError as error:
        code = error.code(
            missing="ResourceContainerNotFound",
            denied="ResourceContainerAccessDenied",
            other=misc,
        )
        raise TaskFailureError(code, ContainerUrl=container.base, Message=str(error)) from error
    directory = str(file.get("filePath") or "")
    for blob in found:
        path = f"{directory.rstrip('/')}/{blob}" if directory else blob
        await _bring_one(blobs, container.blob(blob), path, work, mode)


async def _allowed(
    blobs: Blobs, url: str, file: Mapping[str, Any], node: NodeFacts, code: str
) -> str:
    if not url.startswith(("http://", "https://")):
        raise TaskFailureError(
            code, BlobSource=without_secrets(url), Message="Not an http or https URL"
        )
    try:
        return blobs.as_identity(url, file.get("identityReference"), node)
    except BlobError as error:
        raise TaskFailureError(
            code, BlobSource=without_secrets(url), Message=str(error)
        ) from error


async def _bring_one(blobs: Blobs, url: str, path: str, work: Path, mode: int) -> None:
    details = {"BlobSource": without_secrets(url), "FilePath": path}
    try:
        target = inside(work, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
    except OutsideError as error:
        raise TaskFailureError(
            "ResourceFileCreateFailed", **details, Message=str(error)
        ) from error
    except OSError as error:
        raise of_system_error(error, "ResourceDirectoryCreateFailed", **details) from error
    try:
        await blobs.fetch(url, target, mode)
    except BlobError as error:
        other = "BlobDownloadTimedOut" if error.timed_out else "BlobDownloadMiscError"
        code = error.code(missing="BlobNotFound", denied="BlobAccessDenied", other=other)
        raise TaskFailureError(code, **details, Message=str(error)) from error
    except OSError as error:
        raise of_system_error(error, "ResourceFileWriteFailed", **details) from error


def _mode(file: Mapping[str, Any]) -> int:
    text = file.get("fileMode")
    if text is None:
        return DEFAULT_MODE
    try:
        mode = int(str(text), 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:  # noqa: PLR2004 - every bit that a mode has
        raise TaskFailureError(
            "ResourceFileCreateFailed",
            FilePath=str(file.get("filePath")),
            Message=f"fileMode {text!r} is not an octal mode such as 0755",
        )
    return mode
