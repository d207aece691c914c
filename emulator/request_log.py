"""A line of the log for each request to the Batch API: `serve --verbose`.

    GET /jobs/j/tasks?api-version=2025-06-01&$filter=… → 200, 1.8 ms
    POST /pools?api-version=2025-06-01 → 409 PoolExists, 0.6 ms

Without `--verbose` nothing is looked at: tens of thousands of requests a second are no log.
"""

from __future__ import annotations

import logging
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

_CODE = re.compile(rb'"code":"(\w+)"')
_REFUSED = 400
_SHOWN = 500
"""Characters of a path and query."""


class RequestLog:
    """Notes what an application answers, and how long that took."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, and notes it when it is answered, or was not."""
        if not logger.isEnabledFor(logging.DEBUG):
            await self._app(scope, receive, send)
            return
        status, code = 0, ""

        async def noted(message: Message) -> None:
            nonlocal status, code
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status >= _REFUSED and not code:
                found = _CODE.search(message.get("body", b""))
                code = f" {found[1].decode()}" if found else ""
            await send(message)

        began = time.monotonic()
        try:
            await self._app(scope, receive, noted)
        finally:
            took_ms = (time.monotonic() - began) * 1000
            answer = f"{status}{code}" if status else "no answer"
            logger.debug("%s %s → %s, %.1f ms", scope["method"], _target(scope), answer, took_ms)


def _target(scope: Scope) -> str:
    path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
    query = scope["query_string"]
    text: str = (path + b"?" + query if query else path).decode("latin-1")
    # What a client put into it begins no line of its own.
    return text[:_SHOWN].encode("unicode_escape").decode()
