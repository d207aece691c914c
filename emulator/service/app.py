"""The ASGI application of the data plane: authentication, routing, headers, errors.

Plain ASGI rather than starlette's request and response, because the service's headers
are exact: which answers carry an ETag, a DataServiceId, a length, a content type.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import ExitStack
from typing import Any, Protocol
from uuid import uuid4

import orjson

from emulator.engine.refusal import Refused
from emulator.errors import LocalStateError
from emulator.faults import NOTHING, Strike
from emulator.service import job_tokens, routes
from emulator.service.auth import Address, VerifyToken, as_sent, authenticate
from emulator.service.call import Call, FileBody, Host, Reply
from emulator.service.errors import Failure, failure_of
from emulator.service.values import error_instant, etag, http_date
from emulator.service.versions import NEWEST

logger = logging.getLogger(__name__)

MAX_BODY = 1_048_576
"""Bytes of a request's body: the service's own limit."""

JSON_TYPE = "application/json;odata=minimalmetadata"
_ERROR_CONTEXT = "Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element"
_CHUNK = 262_144
_READING = ("GET", "HEAD")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[str, str]]


class Directory(Protocol):
    """The accounts behind the application."""

    def accounts(self) -> Mapping[str, bytes]:
        """Account name → key."""
        ...

    def host(self, account: str) -> Host:
        """The driver of an account."""
        ...

    def now(self) -> int:
        """This instant."""
        ...

    async def ready_for_changes(self) -> None:
        """Returns at once, unless earlier changes wait to be stored: LocalStateError then."""
        ...

    async def commit(self, *, reading: bool = False) -> None:
        """Returns when every change made so far is stored, or cannot be: no error to a reader."""
        ...


Strikes = Callable[[str], Strike]
"""Operation → what happens to the request, on purpose."""

TRANSPORT = "emulator.transport"
"""Where, in the connection's state, the server puts what can break it."""


class ConnectionBroken(Exception):  # noqa: N818 - a fault asked for, no error of ours
    """A connection that was to break, in a server that cannot break it."""


class DataPlane:
    """The application; one for all accounts, which are told apart by who signs."""

    def __init__(
        self,
        directory: Directory,
        *,
        before: Strikes = lambda _operation: NOTHING,
        verify_token: VerifyToken | None = None,
    ) -> None:
        self._directory = directory
        self._before = before
        self._verify_token = verify_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = _Request(scope)
        try:
            reply = await self._answer(request, receive)
        except Refused as refused:
            await self._fail(request, send, failure_of(refused))
        except _Failed as failed:
            await self._fail(request, send, failed.failure)
        except _Dropped:
            await _break_off(scope, receive)
        except LocalStateError:  # whoever could not store it has told why
            await self._fail(request, send, Failure(code="InternalError"))
        except Exception:
            logger.exception("%s %s failed", request.method, request.raw_path)
            await self._fail(request, send, Failure(code="InternalError"))
        else:
            await self._send(request, send, reply)

    async def _answer(self, request: _Request, receive: Receive) -> Reply:
        content = await _read_body(receive)
        keys = self._directory.accounts()
        of_task = job_tokens.read(keys, request.headers.get("authorization", ""), request.address)
        if of_task is not None:
            account = of_task[0]
        else:
            account = authenticate(
                keys,
                method=request.method,
                raw_path=request.address.prefix + request.raw_path,
                query=request.pairs,
                headers=request.headers,
                address=request.address,
                verify_token=self._verify_token,
            )
        _check_version(request)
        route, path = routes.find(request.method, request.raw_path)
        if of_task is not None:
            job_tokens.check(self._directory.host(account).world, path, *of_task[1:])
        strike = self._before(route.name)
        if strike is not NOTHING:
            await asyncio.sleep(strike.delay_s)
            if strike.failure is not None:
                raise _Failed(strike.failure)
            if strike.drop == "before":
                raise _Dropped
        if route.handler is None:
            raise Refused("NotImplemented", {"Operation": route.name})
        if request.method not in _READING:
            await self._directory.ready_for_changes()
        done = route.handler(
            Call(
                host=self._directory.host(account),
                method=request.method,
                base=request.base,
                raw_path=request.raw_path,
                path=path,
                pairs=request.pairs,
                headers=request.headers,
                request_id=request.id,
                content=content,
                fails_item=strike.fails_item,
            )
        )
        reply = done if isinstance(done, Reply) else await asyncio.to_thread(done)
        with ExitStack() as unsent:
            unsent.callback(reply.close)
            await self._directory.commit(reading=request.method in _READING)
            if strike.drop == "after":
                raise _Dropped
            unsent.pop_all()
        return reply

    async def _send(self, request: _Request, send: Send, reply: Reply) -> None:
        headers = request.common_headers(self._directory.now())
        if reply.modified is not None:
            headers.append(("Last-Modified", http_date(reply.modified)))
            headers.append(("ETag", etag(reply.modified)))
        if reply.service_id:
            own = f"{request.base}{request.raw_path}"
            headers.append(
                ("DataServiceId", own if reply.service_id is True else reply.service_id)
            )
        if reply.location:
            headers.append(("Location", reply.location))
        headers += reply.headers
        content = b""
        if reply.body is not None:
            headers.append(("Content-Type", JSON_TYPE))
            metadata = f"{request.base}/$metadata#{reply.context}"
            content = orjson.dumps({"odata.metadata": metadata, **reply.body})
        if reply.status == 204:  # noqa: PLR2004 - no content
            headers.append(("Content-Length", "0"))
        try:
            await _start(send, reply.status, headers)
            if reply.file is not None:
                await _send_file(send, reply.file)
            else:
                await send({"type": "http.response.body", "body": content})
        finally:
            reply.close()

    async def _fail(self, request: _Request, send: Send, failure: Failure) -> None:
        now = self._directory.now()
        headers = request.common_headers(now) + list(failure.headers)
        content = b""
        # The service's HEAD of what is not there has neither body nor length.
        if request.method != "HEAD":
            content = error_body(request.base, request.id, failure, now)
            headers.append(("Content-Type", JSON_TYPE))
            headers.append(("Content-Length", str(len(content))))
        await _start(send, failure.entry.status, headers)
        await send({"type": "http.response.body", "body": content})


class _Failed(Exception):  # noqa: N818 - carries an answer, is none of the tree of errors
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class _Dropped(Exception):  # noqa: N818 - as above
    pass


async def _break_off(scope: Scope, receive: Receive) -> None:
    """Breaks the connection without a byte of an answer."""
    transport = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionBroken
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


class _Request:
    """What every answer needs of a request, good or bad."""

    __slots__ = ("address", "base", "headers", "id", "method", "pairs", "raw_path", "warning")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        sent, self.pairs = as_sent(scope)
        host = self.headers.get("host", "localhost")
        self.address = Address.parse(sent, host)
        self.raw_path = sent.removeprefix(self.address.prefix)
        self.base = f"{scope['scheme']}://{host}{self.address.prefix}"
        self.id = str(uuid4())
        self.warning = ""

    def common_headers(self, now: int) -> Headers:
        headers: Headers = [
            ("Server", "Microsoft-HTTPAPI/2.0"),
            ("X-Content-Type-Options", "nosniff"),
            ("request-id", self.id),
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
            ("DataServiceVersion", "3.0"),
            ("Date", http_date(now)),
        ]
        if self.headers.get("return-client-request-id", "").lower() == "true":
            headers.append(("client-request-id", self.headers.get("client-request-id", "")))
        if self.warning:
            headers.append(("Warning", self.warning))
        return headers


def _check_version(request: _Request) -> None:
    version = next((v for n, v in request.pairs if n.lower() == "api-version"), None)
    if version is None:
        raise Refused("MissingRequiredQueryParameter", {"QueryParameterName": "api-version"})
    if version[:10] > NEWEST:  # it is served all the same
        request.warning = f'299 emulator "api-version {NEWEST} is emulated, not the one asked for"'


async def _read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused("InvalidRequestBody", {"Reason": "The client went away."})
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        # Read to the end all the same: a client that still writes would not see the answer.
        if size <= MAX_BODY:
            chunks.append(chunk)
        if not message.get("more_body", False):
            break
    if size > MAX_BODY:
        raise Refused("RequestBodyTooLarge", {"MaxLimit": str(MAX_BODY)})
    return b"".join(chunks)


def error_body(base: str, request_id: str, failure: Failure, now: int) -> bytes:
    """An error as the service lays it out, to the byte."""
    text = f"{failure.entry.message}\nRequestId:{request_id}\nTime:{error_instant(now)}"
    parts = [
        '{\r\n  "odata.metadata":',
        _quoted(f"{base}/$metadata#{_ERROR_CONTEXT}"),
        ',"code":',
        _quoted(failure.code),
        ',"message":{\r\n    "lang":"en-US","value":',
        _quoted(text),
        "\r\n  }",
    ]
    if failure.values:
        pairs = ",".join(
            f'{{\r\n      "key":{_quoted(key)},"value":{_quoted(value)}\r\n    }}'
            for key, value in failure.values.items()
        )
        parts += [',"values":[\r\n    ', pairs, "\r\n  ]"]
    return "".join([*parts, "\r\n}"]).encode()


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


async def _start(send: Send, status: int, headers: Headers) -> None:
    encoded = [(n.encode("latin-1"), _header_value(v)) for n, v in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


def _header_value(value: str) -> bytes:
    """A header's value; what a client put into it cannot begin another header."""
    return value.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")


async def _send_file(send: Send, body: FileBody) -> None:
    left = body.length
    while left > 0:
        chunk = await asyncio.to_thread(body.stream.read, min(left, _CHUNK))
        if not chunk:
            break
        left -= len(chunk)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
