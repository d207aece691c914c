"""Tells a web address that a job is over: one POST of JSON, signed if there is a secret.

`teams+URL` is sent an Adaptive Card instead, as the "Workflows" webhook of a Teams channel
takes it (https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors).

The address may itself be a secret (those of chat rooms are), so that messages name its
host alone. A notification that does not arrive changes nothing: it is told, not raised.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from jobs.durations import spoken
from jobs.errors import InputError
from jobs.prices import money
from jobs.report import Report
from jobs.report_text import failure_lines

NOTIFICATION_VERSION = 1
ENV_SECRET = "JOBS_NOTIFY_SECRET"  # noqa: S105 - a variable's name
SIGNATURE_HEADER = "X-Jobs-Signature-256"
TIMEOUT_S = 10.0
TEAMS = "teams+"
_FEW = 3
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def checked_url(url: str | None, option: str = "--notify") -> str | None:
    """The address that is told at the end, if it can be one.

    Args:
        url: The address; None: there is none.
        option: What it is called where it was given.

    Raises:
        InputError: It is no http or https URL, or would go over a network in clear.
    """
    if url is None:
        return None
    try:
        parts = urlsplit(url.removeprefix(TEAMS))
        host = parts.hostname
    except ValueError:
        host = None
    if host is None or parts.scheme not in {"http", "https"}:
        raise InputError(f"{option} is no URL: write it like https://HOST/PATH")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise InputError(f"{option}: {host} is not this machine, so it must be https")
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
        "stale": report.stale,
        "elapsed_s": report.elapsed_s,
        "cost": report.cost,
        "currency": report.currency,
        "failures": [asdict(group) for group in report.failures[:_FEW]],
    }
    return json.dumps(value).encode()


def teams_card(report: Report, *, succeeded: bool) -> bytes:
    """The same for a Teams channel: a message with one Adaptive Card (version 1.4).

    What tasks wrote is text there (`TextBlock` reads markdown, so a `RichTextBlock` holds it).
    """
    state = "succeeded" if succeeded else "failed"
    facts = [
        {"title": "Tasks", "value": f"{report.succeeded:,} of {report.tasks:,} succeeded"},
        {"title": "Time", "value": spoken(report.elapsed_s)},
    ]
    if report.stale:
        facts.append({"title": "Stale", "value": f"{report.stale:,} of outputs replaced since"})
    if report.cost is not None:
        facts.append({"title": "Cost", "value": money(report.cost, report.currency)})
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": f"{report.job_id} {state}",
            "size": "large",
            "weight": "bolder",
            "color": "good" if succeeded else "attention",
            "wrap": True,
        },
        {"type": "FactSet", "facts": facts},
    ]
    if lines := failure_lines(report.failures[:_FEW]):
        runs = [{"type": "TextRun", "text": "\n".join(lines), "fontType": "monospace"}]
        body.append({"type": "RichTextBlock", "inlines": runs})
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": f"{report.job_id} {state}",
        "body": body,
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return json.dumps({"type": "message", "attachments": [attachment]}).encode()


def signature(body: bytes, secret: str) -> str:
    """`sha256=HEX`: the HMAC of the body."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def notify(url: str, report: Report, *, succeeded: bool) -> str | None:
    """Sends the notification once; why it did not arrive, or None."""
    # Takes time to import, and few ask to be told.
    import requests  # noqa: PLC0415

    make = teams_card if url.startswith(TEAMS) else notification
    body, url = make(report, succeeded=succeeded), url.removeprefix(TEAMS)
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
