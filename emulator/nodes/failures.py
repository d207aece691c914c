"""Why a task failed: the service's codes and sentences, in one place.

Recorded from the service: `CommandProgramNotFound`, `FailureExitCode`, `TaskEnded`,
`FileUploadAccessDenied`. From its documentation ("Batch status and error codes", "Persist
task data with output files", "Use managed identities in pools"): the `Blob…`,
`Resource…`, `DiskFull`, `CommandLaunchFailed` codes and `FileUploadContainerNotFound`.
The rest of the sentences are ours, in their manner; docs/adr/0012 lists what is ours.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from emulator.nodes.interface import FailureInfo

_USER, _SERVER = "UserError", "ServerError"

CATALOGUE: Mapping[str, tuple[str, str]] = {
    "CommandProgramNotFound": (_USER, "The specified command program is not found"),
    "CommandLaunchFailed": (_USER, "Failed to launch the specified command line"),
    "FailureExitCode": (_USER, "The task exited with an exit code representing a failure"),
    "TaskEnded": (_USER, "Task Was Ended by User Request"),
    "BlobNotFound": (_USER, "One of the specified Azure Blob(s) is not found"),
    "BlobAccessDenied": (_USER, "Access for one of the specified Azure Blob(s) is denied"),
    "BlobDownloadTimedOut": (
        _SERVER,
        "Timeout encountered while downloading one of the specified Azure Blob(s)",
    ),
    "BlobDownloadMiscError": (
        _SERVER,
        "Miscellaneous error encountered while downloading one of the specified Azure Blob(s)",
    ),
    "ResourceContainerNotFound": (
        _USER,
        "One of the specified Azure Blob container(s) is not found",
    ),
    "ResourceContainerAccessDenied": (
        _USER,
        "Access for one of the specified Azure Blob container(s) is denied",
    ),
    "ResourceContainerListMiscError": (
        _SERVER,
        (
            "Miscellaneous error encountered while listing one of the specified Azure Blob "
            "container(s)"
        ),
    ),
    "ResourceDirectoryCreateFailed": (
        _SERVER,
        "Failure encountered creating resource directory for the task",
    ),
    "ResourceFileCreateFailed": (_SERVER, "Failure encountered creating resource file"),
    "ResourceFileWriteFailed": (_SERVER, "Failure encountered writing resource file"),
    "DiskFull": (
        _SERVER,
        "There is not enough disk space on the node that was selected to run the task",
    ),
    "FileUploadContainerNotFound": (
        _USER,
        (
            "One of the specified Azure container(s) was not found while attempting to upload an "
            "output file"
        ),
    ),
    "FileUploadAccessDenied": (
        _USER,
        "Access to one of the specified file upload destinations was denied",
    ),
    "FileUploadMiscError": (
        _SERVER,
        "Miscellaneous error encountered while uploading one of the output files",
    ),
    "ApplicationPackageError": (
        _USER,
        "One or more of the application packages of the task could not be deployed",
    ),
    "ContainerRuntimeError": (_USER, "The container of the task could not be started"),
    "UserIdentityError": (_USER, "The task cannot run as the specified user"),
    "Unknown": (_SERVER, "An unknown scheduling error has occurred"),
}


class TaskFailureError(Exception):
    """Ends an attempt; becomes its outcome's `failure`, never leaves the runner."""

    def __init__(self, code: str, **details: str) -> None:
        self.failure = failure(code, **details)
        super().__init__(f"{code}: {self.failure.message}")


def failure(code: str, **details: str) -> FailureInfo:
    """A failure of the catalogue; details are named as the service names them."""
    category, message = CATALOGUE[code]
    return FailureInfo(
        category=category, code=code, message=message, details=tuple(details.items())
    )


def of_system_error(error: OSError, code: str, **details: str) -> TaskFailureError:
    """A failure of the node's file system: a full disk is told apart from all else."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        code = "DiskFull"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return TaskFailureError(code, Message=reason, **details)


def without_secrets(url: str) -> str:
    """A URL to show to people: its query, where a signature stands, is left out."""
    try:
        return urlunsplit(urlsplit(url)._replace(query="", fragment=""))
    except ValueError:
        return "(not a URL)"
