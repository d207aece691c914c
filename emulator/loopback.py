"""Keeps other web sites away from `/_emulator/`, which asks for no authentication.

A page from elsewhere, open in a browser on this machine, can send requests to loopback:
as a form or script of its own origin, or by a host name of its own that it has made to
point at 127.0.0.1. The first betrays itself by `Origin` or `Sec-Fetch-Site`, the second
by `Host`. The Batch API needs no such care, because there every request is signed.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OWN = "/_emulator/"


class LoopbackOnly:
    """Answers 403 to a request below `OWN` that did not come from this machine's own pages."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        app = self._app
        if scope["type"] == "http" and scope["path"].startswith(OWN):
            reason = _refusal(Headers(scope=scope))
            if reason:
                app = PlainTextResponse(f"{OWN} is for this machine alone: {reason}\n", 403)
        await app(scope, receive, send)


def _refusal(headers: Headers) -> str:
    host = headers.get("host", "")
    origin = headers.get("origin")
    if not _is_loopback(f"//{host}"):
        return f"ask for it by 127.0.0.1 or localhost, not as {host[:100]!r}"
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return f"the request comes from {origin[:100]!r}"
    if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        return "the request comes from another site"
    return ""


def _is_loopback(url: str) -> bool:
    try:
        name = urlsplit(url).hostname or ""
        if name == "localhost" or name.endswith(".localhost"):
            return True
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
