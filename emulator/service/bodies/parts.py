"""Members that bodies have in common: those of tasks of every kind.

Names, bounds, defaults and order are the service's: from the REST reference by way of
the azure-batch SDK's models, and from recordings.
"""

from __future__ import annotations

from typing import Any

from emulator.engine.refusal import Refused, invalid
from emulator.service.schema import (
    REQUIRED,
    Member,
    anything,
    choice,
    duration,
    integer,
    listing,
    record,
    text,
)
from emulator.spans import UNLIMITED

identifier = text(pattern=r"[A-Za-z0-9_-]{1,64}")
display_name = text(most=1024)
command = text(least=1)
slots = integer(1, 256)
any_span = duration()
retries = integer(-1)


_ANSWERED = (
    "id", "displayName", "url", "eTag", "lastModified", "creationTime", "state",
    "stateTransitionTime", "previousState", "previousStateTransitionTime", "executionInfo",
    "stats",
)  # fmt: skip


def answered(*more: str) -> tuple[Member, ...]:
    """What GET answers of jobs and schedules, and more: a PUT takes it back and changes none."""
    return tuple(Member(name, anything, hidden=True) for name in (*_ANSWERED, *more))


# Members that tasks of every kind have

packages = listing(
    record(
        "ApplicationPackageReference",
        Member("applicationId", text(least=1), REQUIRED),
        Member("version", text(least=1)),
    )
)
"""Whether they exist is asked where a pool gets them (`emulator.service.applications`); a
task finds out on its node, as the service has it."""

metadata = listing(
    record("MetadataItem", Member("name", text(), REQUIRED), Member("value", text(), REQUIRED))
)
environment = listing(
    record("EnvironmentSetting", Member("name", text(least=1), REQUIRED), Member("value", text()))
)
identity_reference = record("NodeIdentityReference", Member("resourceId", text()))
registry = record(
    "ContainerRegistry",
    Member("username", text()),
    Member("password", text(), hidden=True),
    Member("registryServer", text()),
    Member("identityReference", identity_reference),
)
container = record(
    "TaskContainerSettings",
    Member("imageName", text(least=1), REQUIRED),
    Member("containerRunOptions", text()),
    Member("registry", registry),
    Member(
        "workingDirectory",
        choice("taskWorkingDirectory", "containerImageDefault"),
        "taskWorkingDirectory",
    ),
    Member("containerHostBatchBindMounts", listing(anything)),
)


def _one_source(file: dict[str, Any]) -> None:
    sources = [
        n for n in ("autoStorageContainerName", "storageContainerUrl", "httpUrl") if n in file
    ]
    if len(sources) != 1:
        raise invalid(
            "resourceFiles",
            ", ".join(sources),
            "Exactly one of autoStorageContainerName, storageContainerUrl and httpUrl must be set",
        )
    if "httpUrl" in file and "filePath" not in file:
        raise Refused("MissingRequiredProperty", {"PropertyName": "filePath"})


def url(value: Any, name: str) -> str:
    """An absolute URL."""
    checked: str = text(least=1)(value, name)
    if not checked.lower().startswith(("http://", "https://")):
        kind = name[0].upper() + name[1:]
        raise invalid(name, value, f"The specified {kind} is not a valid URI")
    return checked


resource_files = listing(
    record(
        "ResourceFile",
        Member("autoStorageContainerName", text(least=1)),
        Member("storageContainerUrl", url),
        Member("httpUrl", url),
        Member("blobPrefix", text()),
        Member("filePath", text()),
        Member("fileMode", text()),
        Member("identityReference", identity_reference),
        rule=_one_source,
    )
)
output_files = listing(
    record(
        "OutputFile",
        Member("filePattern", text(least=1), REQUIRED),
        Member(
            "destination",
            record(
                "OutputFileDestination",
                Member(
                    "container",
                    record(
                        "OutputFileBlobContainerDestination",
                        Member("path", text()),
                        Member("containerUrl", url, REQUIRED),
                        Member("identityReference", identity_reference),
                        Member(
                            "uploadHeaders",
                            listing(
                                record(
                                    "HttpHeader",
                                    Member("name", text(least=1), REQUIRED),
                                    Member("value", text()),
                                )
                            ),
                        ),
                    ),
                    REQUIRED,
                ),
            ),
            REQUIRED,
        ),
        Member(
            "uploadOptions",
            record(
                "OutputFileUploadOptions",
                Member(
                    "uploadCondition",
                    choice("TaskSuccess", "TaskFailure", "TaskCompletion"),
                    REQUIRED,
                ),
            ),
            REQUIRED,
        ),
    )
)


def _one_user(identity: dict[str, Any]) -> None:
    if "username" in identity and "autoUser" in identity:
        raise invalid("userIdentity", "", "username and autoUser are mutually exclusive")
    if not identity:
        raise Refused("MissingRequiredProperty", {"PropertyName": "autoUser"})


_identity = record(
    "UserIdentity",
    Member("username", text(most=20)),
    Member(
        "autoUser",
        record(
            "AutoUserSpecification",
            Member("scope", choice("pool", "task"), "pool"),
            Member("elevationLevel", choice("nonadmin", "admin"), "nonadmin"),
        ),
    ),
    rule=_one_user,
)
user = Member("userIdentity", _identity, {"autoUser": {}})
_exit_options = record(
    "ExitOptions",
    Member("jobAction", choice("none", "disable", "terminate")),
    Member("dependencyAction", choice("satisfy", "block")),
)


def _ordered_range(span: dict[str, Any]) -> None:
    if span["start"] > span["end"]:
        raise invalid("start", span["start"], "start must not be greater than end")


exit_conditions = record(
    "ExitConditions",
    Member(
        "exitCodes",
        listing(
            record(
                "ExitCodeMapping",
                Member("code", integer(), REQUIRED),
                Member("exitOptions", _exit_options, REQUIRED),
            )
        ),
    ),
    Member(
        "exitCodeRanges",
        listing(
            record(
                "ExitCodeRangeMapping",
                Member("start", integer(), REQUIRED),
                Member("end", integer(), REQUIRED),
                Member("exitOptions", _exit_options, REQUIRED),
                rule=_ordered_range,
            )
        ),
    ),
    Member("preProcessingError", _exit_options),
    Member("fileUploadError", _exit_options),
    Member("default", _exit_options),
)


def _bounded_ranges(depends: dict[str, Any]) -> None:
    ranges = depends.get("taskIdRanges", ())
    if sum(span["end"] - span["start"] + 1 for span in ranges) > 1_000_000:  # noqa: PLR2004
        raise invalid("taskIdRanges", "", "The ranges name more than 1000000 tasks")


dependencies = record(
    "TaskDependencies",
    Member("taskIds", listing(text(pattern=r"[^,]{1,64}"))),
    Member(
        "taskIdRanges",
        listing(
            record(
                "TaskIdRange",
                Member("start", integer(0), REQUIRED),
                Member("end", integer(0), REQUIRED),
                rule=_ordered_range,
            )
        ),
    ),
    rule=_bounded_ranges,
)
wall_clock = Member("maxWallClockTime", any_span, UNLIMITED)
retention = Member("retentionTime", any_span, "P7D")
task_constraints = record(
    "TaskConstraints", wall_clock, retention, Member("maxTaskRetryCount", retries)
)
multi_instance = record(
    "MultiInstanceSettings",
    Member("numberOfInstances", integer(1), 1),
    Member("coordinationCommandLine", command, REQUIRED),
    Member("commonResourceFiles", resource_files),
)
token_settings = Member(
    "authenticationTokenSettings",
    record("AuthenticationTokenSettings", Member("access", listing(choice("job")))),
)
