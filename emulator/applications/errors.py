"""What Resource Manager refuses of applications, in its codes.

`ApplicationNotFound` and `ApplicationPackageNotFound` are the service's, with their
sentences. The other codes are ours: no recording shows what the service says there, only
that it refuses ("Deploy applications to compute nodes with Batch application packages",
`default_version` and `allow_updates` of azure-mgmt-batch).

Those of requests that reach no application (`SubscriptionNotFound`, …) are in Resource
Manager's manner.
"""

from __future__ import annotations

_STATUS = {
    "ApplicationNotFound": 404,
    "ApplicationPackageNotFound": 404,
    "ApplicationHasPackages": 409,
    "ApplicationPackageQuotaReached": 409,
    "ApplicationPackageUpdatesNotAllowed": 409,
    "ApplicationPackageBlobNotFound": 409,
    "AutoStorageNotLinked": 409,
    "AutoStorageUnavailable": 503,
    "AuthenticationFailed": 401,
    "InvalidApiVersionParameter": 400,
    "InvalidPropertyValue": 400,
    "InvalidRequestBody": 400,
    "MethodNotAllowed": 405,
    "MissingApiVersionParameter": 400,
    "NotImplemented": 501,
    "RequestEntityTooLarge": 413,
    "ResourceNotFound": 404,
    "SubscriptionNotFound": 404,
}


class ApplicationError(Exception):
    """Resource Manager refuses.

    Attributes:
        code: Such as `ApplicationNotFound`.
        message: A sentence for a person.
        status: HTTP status.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = _STATUS[code]


def no_application(name: str) -> ApplicationError:
    """The application is not there."""
    return ApplicationError(
        "ApplicationNotFound", f"The specified application does not exist: {name}."
    )


def no_package(name: str, version: str) -> ApplicationError:
    """The version is not there."""
    return ApplicationError(
        "ApplicationPackageNotFound",
        f"The specified application package does not exist: {name} {version}.",
    )
