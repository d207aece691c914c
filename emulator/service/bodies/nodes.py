"""Bodies about compute nodes."""

from __future__ import annotations

from emulator.service.bodies.parts import identity_reference, url
from emulator.service.schema import (
    REQUIRED,
    Check,
    Member,
    boolean,
    choice,
    moment,
    record,
    text,
)


def _node_option(kind: str, name: str, *words: str) -> Check:
    return record(kind, Member(name, choice(*words), "requeue"))


_LEAVING = ("requeue", "terminate", "taskcompletion", "retaineddata")
node_reboot = _node_option("NodeRebootParameter", "nodeRebootOption", *_LEAVING)
node_reimage = _node_option("NodeReimageParameter", "nodeReimageOption", *_LEAVING)
node_deallocate = _node_option("NodeDeallocateParameter", "nodeDeallocateOption", *_LEAVING)
node_disable_scheduling = _node_option(
    "NodeDisableSchedulingParameter",
    "nodeDisableSchedulingOption",
    "requeue",
    "terminate",
    "taskcompletion",
)
node_user = record(
    "ComputeNodeUser",
    Member("name", text(pattern=r"[A-Za-z_][A-Za-z0-9_-]{0,19}"), REQUIRED),
    Member("isAdmin", boolean, False),  # noqa: FBT003 - a default of the wire
    Member("expiryTime", moment),
    Member("password", text(least=1), hidden=True),
    Member("sshPublicKey", text(least=1), hidden=True),
)
node_user_put = record(
    "NodeUpdateUserParameter",
    Member("expiryTime", moment),
    Member("password", text(least=1), hidden=True),
    Member("sshPublicKey", text(least=1), hidden=True),
)
upload_logs = record(
    "UploadBatchServiceLogsConfiguration",
    Member("containerUrl", url, REQUIRED),
    Member("startTime", moment, REQUIRED),
    Member("endTime", moment),
    Member("identityReference", identity_reference),
)
