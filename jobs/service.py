"""Requests to the Batch data plane: the SDK's pipeline, our retries, plain JSON.

`BatchClient.send_request` carries requests through the SDK's authentication; its models
and its retries are left out. Models cost twenty times the request on the hot path
(docs/adr/0030-requests-without-models.md); and the SDK repeats a 503 without jitter, a
whole-request 5xx without end, and a POST whose answer was lost as if nothing had
happened. Here the error says whether an earlier attempt may have been carried out.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

import orjson
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.rest import HttpRequest, HttpResponse

from jobs.errors import ServiceError
from jobs.threads import pause, stopping
from jobs.translate import from_batch, is_untrusted

if TYPE_CHECKING:
    from azure.batch import BatchClient

_LOG = logging.getLogger(__name__)
API_VERSION = "2025-06-01"
_JSON = "application/json; odata=minimalmetadata"
T = TypeVar("T")
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to insist.

    Full jitter: a wait is anything up to its bound, so that many clients that were
    refused together do not come back together. Where no connection is made, not attempts
    count but time: a refused connection takes none, and a network is back when it is back.

    Attributes:
        attempts: Requests at most that are refused, or whose answer is lost.
        unreachable_s: How long a service is waited for to which no connection is made.
        first_contact_s: The same, of one that has never answered: its address may be wrong.
        first_wait_s: Bound of the first wait; it doubles.
        longest_wait_s: Bound of any wait, also of a Retry-After.
        total_s: No wait begins after this long.
    """

    attempts: int = 10
    unreachable_s: float = 20.0
    first_contact_s: float = 3.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    total_s: float = 600.0

    def wait_s(self, attempt: int, retry_after: str | None, draw: float) -> float:
        """Seconds before attempt `attempt` + 1, for a random `draw` in [0, 1).

        A Retry-After is a lower bound, with some of the backoff on top.
        """
        bound = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempt - 1))
        asked = _seconds(retry_after)
        if asked is not None:
            return min(self.longest_wait_s, asked + draw * min(bound, 1.0))
        return draw * bound


@dataclass(slots=True, kw_only=True)
class BatchService:
    """The data plane of one account. Threads may share it.

    Attributes:
        client: The SDK's client, without retries of its own.
        policy: How long to insist.
        pause: Waits; tests put a clock of their own here. Ends early where nobody wants the
            answer any more (`jobs.threads`), and then nothing is sent again.
        now: Monotonic seconds.
        requests_sent: How many requests went out, retries included.
        reached: Whether it has ever answered.
        date: When the service answered last, by its own clock, seconds since the epoch.
    """

    client: BatchClient
    policy: RetryPolicy = RetryPolicy()
    pause: Callable[[float], None] = pause
    now: Callable[[], float] = time.monotonic
    requests_sent: int = 0
    reached: bool = False
    date: float | None = None
    _count_lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, path: str, doing: str, **query: str) -> Any:
        """The JSON of a GET.

        Raises:
            ServiceError: Refused, or unavailable for longer than the policy allows.
        """
        return self.call("GET", path, doing, query=query)

    def pages(self, path: str, doing: str, **query: str) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page."""
        body = self.get(path, doing, **query)
        while True:
            yield from body.get("value", ())
            link = body.get("odata.nextLink")
            if not link:
                return
            parts = urlsplit(link)
            # the signature covers the path as it is sent: nextLink's own host is not ours
            body = self.call("GET", f"{parts.path}?{parts.query}", doing, raw=True)

    def call(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | dict[str, Any] | None = None,
        raw: bool = False,
    ) -> Any:
        """Sends a request until it is answered for good; the JSON of the answer, or None.

        Args:
            method: HTTP method.
            path: Below the endpoint, its parts already quoted.
            doing: What for, to begin an error's text.
            query: Besides the api-version.
            body: JSON.
            raw: Whether `path` already has its query.

        Raises:
            ServiceError: Refused, or unavailable for longer than the policy allows.
        """
        content = orjson.dumps(body) if isinstance(body, dict) else body
        request = partial(_request, method, path, {} if raw else query or {}, content, raw=raw)
        return self._exchange(request, _parsed, doing)

    def content(self, path: str, doing: str, *, start: int, length: int) -> bytes:
        """Bytes of a file of a task or node; fewer than `length` where it ends.

        Raises:
            ServiceError: As `call`; NotFoundError also for files that are gone.
        """
        headers = {"ocp-range": f"bytes={start}-{start + length - 1}"}
        request = partial(_request, "GET", path, {}, None, raw=False, headers=headers)
        try:
            return self._exchange(request, _bytes, doing)
        except ServiceError as error:
            if error.code == "InvalidRange":
                return b""
            raise

    def size(self, path: str, doing: str) -> int:
        """How many bytes a file of a task or node has now.

        That is `Content-Length` of Get Node File Properties (azure-batch,
        `get_node_file_properties`).

        Raises:
            ServiceError: As `content`.
        """
        request = partial(_request, "HEAD", path, {}, None, raw=False)
        return self._exchange(request, _size, doing)

    def _exchange(
        self, request: Callable[[], HttpRequest], read: Callable[[HttpResponse], T], doing: str
    ) -> T:
        """Sends a request, made anew each time, until it is answered for good."""
        insisting = _Insisting(policy=self.policy, began=self.now())
        unclear = False
        while True:
            with self._count_lock:
                self.requests_sent += 1
            try:
                response = self.client.send_request(request())
                response.raise_for_status()
                self.reached = True
                self.date = _date(response) or self.date
                return read(response)
            except AzureError as error:
                self.reached = self.reached or not _not_sent(error)
                wait = insisting.wait_s(error, self.now(), reached=self.reached)
                if wait is None or stopping():
                    translated = from_batch(error, doing)
                    translated.unclear = unclear
                    raise translated from error
                unclear = unclear or _maybe_done(error)
                _LOG.info("%s: %s; again in %.1f s", doing, _brief(error), wait)
                self.pause(wait)
                if stopping():
                    raise from_batch(error, doing) from error


@dataclass(slots=True, kw_only=True)
class _Insisting:
    """What one request has met so far.

    Attributes:
        policy: How long to insist.
        began: When it was sent first.
        refused: How often it was refused, or its answer lost.
        unreached: How often in a row no connection was made.
        away_at: Since when none is made.
    """

    policy: RetryPolicy
    began: float
    refused: int = 0
    unreached: int = 0
    away_at: float = 0.0

    def wait_s(self, error: AzureError, now: float, *, reached: bool) -> float | None:
        """How long to wait before the next attempt; None: there is to be none."""
        if now - self.began > self.policy.total_s:
            return None
        if _not_sent(error):
            # a credential that was good before is had again with the network, or by signing in
            if is_untrusted(error) or not (reached or isinstance(error, ServiceRequestError)):
                return None
            return self._wait_for_connection(now, reached=reached)
        self.unreached = 0
        self.refused += 1
        retry_after = _retry_after(error)
        if retry_after is None or self.refused >= self.policy.attempts:
            return None
        return self.policy.wait_s(self.refused, retry_after or None, _draw())

    def _wait_for_connection(self, now: float, *, reached: bool) -> float | None:
        if not self.unreached:
            self.away_at = now
        self.unreached += 1
        policy = self.policy
        longest = policy.unreachable_s if reached else policy.first_contact_s
        left = self.away_at + longest - now
        return min(left, policy.wait_s(self.unreached, None, _draw())) if left > 0 else None


def _not_sent(error: AzureError) -> bool:
    """Whether a request has not reached the service: no connection, or no credential."""
    return isinstance(error, ServiceRequestError) or (
        isinstance(error, ClientAuthenticationError) and error.response is None
    )


def _retry_after(error: AzureError) -> str | None:
    """None: another attempt would end alike. Else the Retry-After, perhaps empty."""
    if isinstance(error, ServiceResponseError | DecodeError):
        return ""
    if isinstance(error, HttpResponseError) and error.status_code in _TRANSIENT:
        return str(getattr(error.response, "headers", {}).get("Retry-After") or "")
    return None


def _draw() -> float:
    return random.random()  # noqa: S311 - jitter


def segment(text: str) -> str:
    """A path segment, quoted."""
    return quote(text, safe="")


def _request(
    method: str,
    path: str,
    query: Mapping[str, str],
    content: bytes | None,
    *,
    raw: bool,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> HttpRequest:
    params = None if raw else {"api-version": API_VERSION, **query}
    headers = {"Accept": "application/json", **headers}
    if content is not None:
        headers["Content-Type"] = _JSON
    return HttpRequest(method, path, params=params, headers=headers, content=content)


def _date(response: HttpResponse) -> float | None:
    """When an answer was given, as its Date says; None without one."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def _maybe_done(error: AzureError) -> bool:
    """Whether the service may have carried a failed request out."""
    if isinstance(error, HttpResponseError) and not isinstance(error, DecodeError):
        return error.status_code in {408, 500, 502, 504}
    return isinstance(error, ServiceResponseError | DecodeError)


def _size(response: HttpResponse) -> int:
    return int(response.headers.get("Content-Length", 0))


def _bytes(response: HttpResponse) -> bytes:
    return response.content


def _parsed(response: HttpResponse) -> Any:
    """The JSON of an answer, or None for an empty one.

    Raises:
        DecodeError: It is cut short, or something between us and the service answered.
    """
    data = response.content
    try:
        return orjson.loads(data) if data else None
    except ValueError as error:
        raise DecodeError(message="the answer is no JSON", error=error) from error


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None


def _brief(error: AzureError) -> str:
    status = getattr(error, "status_code", None)
    return f"HTTP {status}" if status else type(error).__name__
