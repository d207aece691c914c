"""Tokens of tasks: `authenticationTokenSettings` with access to the task's own job.

A task finds its token in `AZ_BATCH_AUTHENTICATION_TOKEN` and sends it as a bearer token. It
names the account and the job, and is signed with the account's key: it is good for that job
until the job is gone, and for no other, also not for a later one of the same id. The
service's own tokens are opaque; nobody can rely on what is in them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

import orjson

from emulator.engine.refusal import Refused
from emulator.engine.world import Job, World
from emulator.service.auth import Address

_PREFIX = "batchjob."


def issue(key: bytes, account: str, job: Job) -> str:
    """A token for the tasks of a job."""
    claims = _encoded(orjson.dumps([account, job.key, job.created]))
    return f"{_PREFIX}{claims}.{_signature(key, claims)}"


def read(
    keys: Mapping[str, bytes], authorization: str, address: Address
) -> tuple[str, str, int] | None:
    """Account, job and its creation of a task's token; None for what is no such token.

    Args:
        keys: Account name → key.
        authorization: The header.
        address: What the URL says of the account.

    Raises:
        Refused: `AuthenticationFailed`: it is one, and not a good one, or sent to another
            account than its own.
    """
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token.startswith(_PREFIX):
        return None
    claims, _, signature = token.removeprefix(_PREFIX).partition(".")
    try:
        account, job, created = orjson.loads(base64.urlsafe_b64decode(claims))
        key = keys[account]
    except (binascii.Error, ValueError, TypeError, KeyError):
        raise _bad() from None
    if not hmac.compare_digest(_signature(key, claims).encode(), signature.encode()):
        raise _bad()
    if address.account not in {None, account}:
        raise _bad()
    return account, job, created


def check(world: World, path: Mapping[str, str], job_key: str, created: int) -> None:
    """Refuses what a task's token is not for.

    Args:
        world: Of the account.
        path: What the route's placeholders stand for.
        job_key: Of the token.
        created: Likewise: when that job was created.

    Raises:
        Refused: `AuthenticationFailed` when the job is gone;
            `InsufficientAccountPermissions` for what is not of the job.
    """
    job = world.jobs.get(job_key)
    if job is None or job.created != created:
        raise _bad()
    if path.get("jobId", "").lower() != job_key:
        raise Refused("InsufficientAccountPermissions")


def _bad() -> Refused:
    detail = "The authentication token of a task is not valid, or its job is gone."
    return Refused("AuthenticationFailed", {"AuthenticationErrorDetail": detail})


def _signature(key: bytes, claims: str) -> str:
    return _encoded(hmac.digest(key, (_PREFIX + claims).encode(), hashlib.sha256))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()
