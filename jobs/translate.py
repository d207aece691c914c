"""The SDKs' errors as ours: the one place. Decides on `error.code`, never on the class.

Batch answers 409 for a job that exists, a quota that is used up and a pool that is being
deleted, and the SDK raises the same class for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import obstore.exceptions as blob_errors
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from jobs.errors import (
    CredentialError,
    NotFoundError,
    ServiceError,
    UnavailableError,
)

_ENVIRONMENT = 'eval "$(python -m emulator env)"'
_SIGN_IN = f"Azure: az login. Emulator: {_ENVIRONMENT}"
_NO_ROLE = "your account has no role for this: it needs Azure Batch Data Contributor"
_REMEDIES = {
    "PoolNotFound": "deploy the stack again (pulumi up), or name another pool",
    "JobNotFound": "it was deleted there, or never was; what was brought home of it is in "
    "its result tree (python -m jobs report). Those that are there: python -m jobs list",
    "ActiveJobAndScheduleQuotaReached": "the account's quota of active jobs is used up: end "
    "jobs that are done (python -m jobs list, cancel), or ask for more quota",
    "PoolBeingDeleted": "wait until it is gone and deploy the stack again",
    "AuthenticationFailed": "the credential is not this account's, or the clock is wrong. Azure: "
    "az login. Emulator: keys.json is of another run; start it again, or unset "
    "AZURE_BATCH_ACCESS_KEY",
    "PermissionDenied": _NO_ROLE,
    "AuthorizationFailed": _NO_ROLE,
}
_CREDENTIAL_CODES = frozenset(
    {
        "AuthenticationFailed",
        "PermissionDenied",
        "AuthorizationFailed",
        "InvalidAuthenticationInfo",
    }
)
_CAUSE = re.compile(r"\[Errno \d+\] ([\w ]+)")
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>([^\n<]+)")
_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|InvalidCertificate\(")
_LOOPBACK = re.compile(
    r"(?:host='|https://)(?:127\.0\.0\.1|\[?::1\]?|(?:[\w-]+\.)?localhost)[':/]"
)
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


def from_batch(error: AzureError, doing: str) -> ServiceError:
    """What a Batch client raised, while doing what `doing` says (`reading job x`)."""
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    # of its class is also what the service answers to a credential that it refuses
    if isinstance(error, ClientAuthenticationError) and error.response is None:
        return CredentialError(f"{doing}: no credential: {first}. {_SIGN_IN}")
    if isinstance(error, HttpResponseError) and not isinstance(error, DecodeError):
        return _from_answer(error, doing)
    if is_untrusted(error):
        return _distrust(error, doing)
    if isinstance(error, ServiceRequestError):
        cause = found[1] if (found := _CAUSE.search(first)) else first
        return UnavailableError(
            f"{doing}: the Batch endpoint cannot be reached: {cause}. Is the network up? For a "
            "local stack: is the emulator running (python -m emulator serve)? Once started "
            "again it may listen elsewhere: python -m emulator stack up"
        )
    if isinstance(error, ServiceResponseError | DecodeError):
        return UnavailableError(f"{doing}: the connection broke before the answer: {first}")
    return ServiceError(f"{doing}: {first}")


def is_untrusted(error: Exception) -> bool:
    """Whether the endpoint's certificate is wrong, which another attempt does not change."""
    return _UNTRUSTED.search(str(error)) is not None


def _distrust(error: Exception, doing: str) -> CredentialError:
    said = f"{doing}: the endpoint's certificate is not trusted here"
    if _LOOPBACK.search(str(error)):
        return CredentialError(
            f"{said}: it is the emulator's own (serve --tls). In this shell: {_ENVIRONMENT}"
        )
    return CredentialError(
        f"{said}. A proxy in between has one of its own: name a file with its authority in "
        "REQUESTS_CA_BUNDLE and SSL_CERT_FILE"
    )


def from_code(
    doing: str, *, code: str, message: str, details: str = "", status: int | None = None
) -> ServiceError:
    """An error of the service by its code, from an answer or from an item of one."""
    kind: type[ServiceError] = ServiceError
    if code in _CREDENTIAL_CODES or status == 401:  # noqa: PLR2004 - HTTP
        kind = CredentialError
    elif code.endswith("NotFound"):
        kind = NotFoundError
    elif status in _BUSY:
        kind = UnavailableError
    remedy = _REMEDIES.get(code)
    said = f"{code}: {message}" if code else message
    text = "; ".join(part.rstrip(". ") for part in (f"{doing}: {said}", details) if part)
    return kind(f"{text}\n  {remedy}" if remedy else text, code=code, status=status)


@contextmanager
def blob_errors_translated(doing: str) -> Iterator[None]:
    """Turns what obstore and storage's SDK raise into `ServiceError`s that say what was done."""
    try:
        yield
    except (blob_errors.BaseError, FileNotFoundError, PermissionError) as error:
        if is_untrusted(error):
            raise _distrust(error, doing) from error
        # obstore raises Python's own errors for 404, which a local file may raise too
        if isinstance(error, OSError) and "Debug source" not in str(error):
            raise
        raise _from_blobs(error, doing) from error
    except (ServiceRequestError, ServiceResponseError) as error:
        if is_untrusted(error):
            raise _distrust(error, doing) from error
        raise UnavailableError(f"{doing}: storage does not answer: {_first(error)}") from error
    except ClientAuthenticationError as error:
        if error.status_code is not None:
            raise _from_blobs(error, doing) from error
        raise CredentialError(f"{doing}: no credential: {_first(error)}. {_SIGN_IN}") from error
    except HttpResponseError as error:
        raise _from_blobs(error, doing) from error
    except AzureError as error:
        raise CredentialError(f"{doing}: no credential: {_first(error)}. {_SIGN_IN}") from error


def _from_blobs(error: Exception, doing: str) -> ServiceError:
    """By the status in the text: obstore's classes tell a 403 of a listing from no other."""
    text = str(error)
    status = int(found[1]) if (found := _STATUS.search(text)) else None
    code = found[1] if (found := _CODE.search(text)) else ""
    if isinstance(error, HttpResponseError):
        status, code = error.status_code, getattr(error, "error_code", None) or code
    said = f"{code}: {found[1]}" if (found := _MESSAGE.search(text)) else _first(error)
    refused = (blob_errors.PermissionDeniedError, blob_errors.UnauthenticatedError)
    if status in {401, 403} or isinstance(error, refused):
        return CredentialError(
            f"{doing}: storage refuses the credential ({said}). Azure: az login, and the role "
            "Storage Blob Data Contributor. Emulator: keys.json is of another run; start it "
            "again, or unset AZURE_STORAGE_KEY",
            code=code,
            status=status,
        )
    if status == 404 or isinstance(error, FileNotFoundError):  # noqa: PLR2004 - HTTP
        return NotFoundError(
            f"{doing}: {said}. Deploy the stack again: pulumi up", code=code, status=status
        )
    if status == 412 or isinstance(error, blob_errors.PreconditionError):  # noqa: PLR2004 - HTTP
        return UnavailableError(
            f"{doing}: it changed meanwhile: run the command again", code=code, status=status
        )
    return UnavailableError(f"{doing}: storage does not answer: {said}", code=code, status=status)


def _from_answer(error: HttpResponseError, doing: str) -> ServiceError:
    model = error.model
    code = str(getattr(model, "code", None) or getattr(error.error, "code", None) or "")
    text = getattr(getattr(model, "message", None), "value", None) or error.message or ""
    lines = [line for line in str(text).splitlines() if line]
    kept = [line for line in lines if not line.startswith(("RequestId:", "Time:"))]
    values = getattr(model, "values_property", None) or getattr(model, "values", None) or ()
    details = "" if callable(values) else "; ".join(f"{v.key}: {v.value}" for v in values)
    message = " ".join(kept) or f"HTTP status {error.status_code}"
    return from_code(doing, code=code, message=message, details=details, status=error.status_code)


def _first(error: Exception) -> str:
    """The first sentence of an error that may be pages long."""
    text = " ".join(str(error).split("\n\nDebug source")[0].split())
    return text if len(text) <= 300 else f"{text[:297]}..."  # noqa: PLR2004 - four lines
