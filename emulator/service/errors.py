"""The one catalogue of the service's errors: code → HTTP status and sentence.

Every error that a client can meet is here. `recorded` sentences are the service's own,
word for word (from recordings of it); the others have the service's code, from its
documented list ("Batch status and error codes"), and a sentence of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.engine.refusal import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one code means on the wire."""

    status: int
    message: str
    recorded: bool = False


def _recorded(status: int, message: str) -> Entry:
    return Entry(status=status, message=message, recorded=True)


def _ours(status: int, message: str) -> Entry:
    return Entry(status=status, message=message)


CATALOGUE: dict[str, Entry] = {
    "ActiveJobAndScheduleQuotaReached": _ours(
        409, "The account has reached its quota of active jobs and job schedules."
    ),
    "ApplicationNotFound": _ours(404, "The specified application does not exist."),
    "AuthenticationFailed": _recorded(
        403,
        "Server failed to authenticate the request. Make sure the value of Authorization header"
        " is formed correctly including the signature.",
    ),
    "AutoScaleFormulaTooLong": _ours(
        400, "The specified auto-scaling formula exceeds the maximum of 8192 characters."
    ),
    "AutoScalingEnabled": _ours(
        409, "The operation is not valid on a pool that is scaled automatically."
    ),
    "AutoScalingFormulaSyntaxError": _recorded(
        400, "The specified auto-scaling formula has a syntax error."
    ),
    "ConditionNotMet": _recorded(
        412, "The condition specified using HTTP conditional header(s) is not met."
    ),
    "FileNotFound": _ours(404, "The specified file does not exist."),
    "InternalError": _recorded(
        500, "Server encountered an internal error. Please try again after some time."
    ),
    "InvalidApplicationPackageReferences": _recorded(
        409, "One or more of the specified application package references are invalid."
    ),
    "InvalidAutoScalingSettings": _recorded(
        400, "The specified auto-scaling settings are not valid."
    ),
    "InvalidHeaderValue": _ours(
        400, "The value provided for one of the HTTP headers was not in the correct format."
    ),
    "InvalidPropertyValue": _recorded(
        400,
        "The value provided for one of the properties in the request body is invalid.",
    ),
    "InvalidQueryParameterValue": _recorded(
        400,
        "Value for one of the query parameters specified in the request URI is invalid.",
    ),
    "InvalidRange": _ours(416, "The range specified is invalid for the current size of the file."),
    "InvalidRequestBody": _ours(400, "The specified Request Body is not syntactically valid."),
    "InvalidUri": _ours(400, "The requested URI does not represent any resource on the server."),
    "JobBeingDeleted": _recorded(
        409,
        "The specified job has been marked for deletion and is being garbage collected.",
    ),
    "JobBeingTerminated": _ours(409, "The specified job is being terminated."),
    "JobCompleted": _ours(409, "The specified job is already in a completed state."),
    "JobDisabled": _ours(409, "The specified job is already in a disabled state."),
    "JobExists": _recorded(409, "The specified job already exists."),
    "JobNotDisabled": _ours(409, "The specified job is not disabled."),
    "JobNotFound": _recorded(404, "The specified job does not exist."),
    "JobPreparationTaskOrReleaseTaskNotSpecified": _recorded(
        409,
        "The specified job does not have either job preparation task or job release task.",
    ),
    "JobScheduleBeingDeleted": _recorded(
        409, "The specified job schedule has been marked for deletion and is being reclaimed."
    ),
    "JobScheduleBeingTerminated": _ours(409, "The specified job schedule is being terminated."),
    "JobScheduleCompleted": _ours(
        409, "The specified job schedule is already in a completed state."
    ),
    "JobScheduleDisabled": _ours(409, "The specified job schedule is already disabled."),
    "JobScheduleExists": _ours(409, "The specified job schedule already exists."),
    "JobScheduleNotDisabled": _ours(409, "The specified job schedule is not disabled."),
    "NodeNotReady": _ours(409, "The specified node is not ready for this operation."),
    "NodeUserExists": _ours(409, "The specified node user already exists."),
    "NodeUserNotFound": _ours(404, "The specified node user does not exist."),
    "VMExtensionNotFound": _ours(404, "The specified extension does not exist on the node."),
    "InsufficientAccountPermissions": _ours(
        403, "The authentication token of a task does not allow this operation."
    ),
    "JobScheduleNotFound": _recorded(404, "The specified job schedule does not exist."),
    "MissingRequiredHeader": _ours(
        400, "A required HTTP header was not specified in the request."
    ),
    "MissingRequiredProperty": _recorded(
        400, "A required property was not specified in the request body."
    ),
    "MissingRequiredQueryParameter": _ours(
        400, "A required query parameter was not specified for this request."
    ),
    "NodeAlreadyInTargetSchedulingState": _ours(
        409, "The specified node is already in the target scheduling state."
    ),
    "NodeBeingCreated": _ours(409, "The specified node is being created."),
    "NodeBeingRebooted": _ours(409, "The specified node is being rebooted."),
    "NodeBeingReimaged": _ours(409, "The specified node is being reimaged."),
    "NodeBeingStarted": _ours(409, "The specified node is being started."),
    "NodeNotFound": _ours(404, "The specified node does not exist."),
    "NodeStateUnusable": _ours(409, "The specified node is unusable."),
    "NotImplemented": _ours(501, "The emulator does not have this operation."),
    "OperationInvalidForCurrentState": _ours(
        409, "The specified operation is not valid for the current state of the resource."
    ),
    "OperationTimedOut": _recorded(
        500, "Operation could not be completed within the specified time."
    ),
    "PoolBeingDeleted": _recorded(
        409, "The specified pool has been marked for deletion and is being reclaimed."
    ),
    "PoolBeingResized": _ours(409, "The specified pool is being resized."),
    "PoolExists": _recorded(409, "The specified pool already exists."),
    "PoolNotFound": _recorded(404, "The specified pool does not exist."),
    "PoolQuotaReached": _ours(409, "The specified account has reached its pool quota."),
    "RequestBodyTooLarge": _recorded(
        413, "The request body is too large and exceeds the maximum permissible limit."
    ),
    "ServerBusy": _recorded(503, "The server is busy."),
    "TaskCompleted": _ours(409, "The specified task is already completed."),
    "TaskDependenciesNotSpecifiedOnJob": _ours(
        409,
        "The task has dependencies, but the job does not have usesTaskDependencies set to true.",
    ),
    "TaskExists": _ours(409, "The specified task already exists."),
    "TaskFilesCleanedup": _ours(
        409, "The files of the task were removed when its retention time was over."
    ),
    "TaskFilesUnavailable": _ours(
        409, "The task files are unavailable: it has not run, or its node is gone."
    ),
    "TaskNotFound": _ours(404, "The specified task does not exist."),
    "TooManyEnableAutoScaleRequests": _ours(
        409, "Autoscale was enabled on the pool less than 30 seconds ago."
    ),
    "TooManyRequests": _ours(429, "The rate of requests exceeds the limit."),
    "UnsupportedHttpVerb": _ours(405, "The resource does not support the specified HTTP verb."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error to answer with.

    Attributes:
        code: A key of the catalogue.
        values: Names and values beside the sentence.
        headers: Further headers, such as `Retry-After`.
    """

    code: str
    values: dict[str, str] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def entry(self) -> Entry:
        """What the code means."""
        return CATALOGUE[self.code]


def failure_of(refused: Refused) -> Failure:
    """A refusal as it is answered."""
    return Failure(code=refused.code, values=refused.values)


def query_refused(name: str, value: str, reason: str) -> Refused:
    """A query parameter that the service cannot take."""
    return Refused(
        "InvalidQueryParameterValue",
        {"QueryParameterName": name, "QueryParameterValue": value, "Reason": reason},
    )
