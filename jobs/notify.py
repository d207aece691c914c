"""Tells a web address that a job is over: one POST of JSON, signed if there is a secret.

The address may itself be a secret (those of chat rooms are), so that messages name its
host alone. A notification that does not arrive changes nothing: it is told, not raised.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from urllib.parse import urlsplit

import requests

from jobs.errors import InputError
from jobs.report import Report

NOTIFICATION_VERSION = 1
ENV_SECRET = "JOBS_NOTIFY_SECRET"  # noqa: S105 - a variable's name
SIGNATURE_HEADER = "X-Jobs-Signature-256"
TIMEOUT_S = 10.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def checked_url(url: str | None) -> str | None:
    """The address of `--notify`, if it can be one.

    Raises:
        InputError: It is no http or https URL, or would go over a network in clear.
    """
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if host is None or parts.scheme not in {"http", "https"}:
        raise InputError("--notify is no URL: write it like https://HOST/PATH")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise InputError(f"--notify: {host} is not this machine, so it must be https")
    return url


def notification(report: Report, *, succeeded: bool) -> bytes:
    """What is sent, as JSON."""
    value = {
        "version": NOTIFICATION_VERSION,
        "event": "finished",
        "job_id": report.job_id,
        "state": "succeeded" if succeeded else "failed",
        "tasks": report.tasks,
        "succeeded": report.succeeded,
        "failed": report.failed,
        "unfinished": report.unfinished,
        "elapsed_s": report.elapsed_s,
        "cost": report.cost,
        "currency": report.currency,
    }
    return json.dumps(value).encode()


def signature(body: bytes, secret: str) -> str:
    """`sha256=HEX`: the HMAC of the body."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def notify(url: str, report: Report, *, succeeded: bool) -> str | None:
    """Sends the notification once; why it did not arrive, or None."""
    body = notification(report, succeeded=succeeded)
    headers = {"Content-Type": "application/json"}
    if secret := os.environ.get(ENV_SECRET):
        headers[SIGNATURE_HEADER] = signature(body, secret)
    host = urlsplit(url).hostname
    try:
        with requests.post(
            url, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False, stream=True
        ) as response:
            status = response.status_code
    except requests.RequestException as error:
        return f"--notify: {host} was not reached: {type(error).__name__}"
    if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's successes
        return f"--notify: {host} answered with HTTP {status}"
    return None
