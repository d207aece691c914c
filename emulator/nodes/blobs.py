"""Bytes between nodes and blob storage, streamed, with the access that a task has.

A node reads and writes a blob as the service's nodes do: by the signature in the URL, as
anybody where there is none, or as one of the pool's user-assigned identities. Locally an
identity is worth what the storage account's key is worth: the URL gets a short-lived
signature, made with the key by the storage SDK. A URL of another storage service than
the emulator's own has no such key, and is refused as the service refuses a token that
cannot be had.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET

import httpx
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from emulator.nodes.interface import NodeFacts

_logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
BLOCK_BYTES = 64 << 20
"""A file that is larger is put block by block."""
SIGNATURE_LIFE = timedelta(hours=6)
ATTEMPTS = 4
_MISSING = 404
_DENIED = frozenset({401, 403, 409})
"""409 is what storage answers an anonymous reader where public access is off."""
RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
API_VERSION = "2023-11-03"
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_SAFE = "/~"
_WRONG = (httpx.HTTPError, httpx.InvalidURL, UnicodeError)
"""What httpx raises for a server, a URL or a header of a task that is no good."""


class BlobError(Exception):
    """Storage refused, or could not be reached.

    Attributes:
        status: HTTP status; None when there was no answer.
        timed_out: Whether waiting for an answer took too long.
        may_pass: Whether another attempt may succeed.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        timed_out: bool = False,
        may_pass: bool = False,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.timed_out = timed_out
        self.may_pass = may_pass

    def code(self, *, missing: str, denied: str, other: str) -> str:
        """The one of three codes of failures that tells what storage said."""
        if self.status == _MISSING:
            return missing
        return denied if self.status in _DENIED else other


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStorage:
    """The emulator's own storage accounts, as nodes may use them.

    Attributes:
        endpoint: Tells the URL of Azurite without an account; None without blob storage.
        key: A storage account's key, base64; None for an account that is not there.
        auto_storage: A Batch account's auto-storage account; None where it has none.
        trust: Certificates that nodes trust; None for the usual ones.
    """

    endpoint: Callable[[], str | None]
    key: Callable[[str], str | None]
    auto_storage: Callable[[str], str | None]
    trust: ssl.SSLContext | None = None


NO_STORAGE = LocalStorage(
    endpoint=lambda: None, key=lambda _account: None, auto_storage=lambda _account: None
)
"""What an emulator without Azurite has."""


@dataclass(frozen=True, slots=True)
class ContainerUrl:
    """A container's URL, and the signature that opens it (without `?`; may be empty)."""

    base: str
    signature: str

    @classmethod
    def parse(cls, url: str) -> ContainerUrl:
        """Splits what a task names."""
        base, _, signature = url.partition("?")
        return cls(base.rstrip("/"), signature)

    def blob(self, name: str) -> str:
        """The URL of a blob in it."""
        return self.with_query(path="/" + quote(name, safe=_SAFE))

    def with_query(self, query: str = "", *, path: str = "") -> str:
        """Its URL with a query before the signature."""
        queries = "&".join(part for part in (query, self.signature) if part)
        return f"{self.base}{path}" + (f"?{queries}" if queries else "")


class Blobs:
    """A client for all nodes; one connection pool."""

    def __init__(self, storage: LocalStorage) -> None:
        self._storage = storage
        # A proxy that the machine is told to use leads away from the machine itself.
        direct = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            mounts=direct,
            follow_redirects=True,
            verify=storage.trust or True,
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    def auto_storage_url(self, account: str, container: str) -> str | None:
        """A signed URL of a container of a Batch account's auto-storage; None without one."""
        storage_account = self._storage.auto_storage(account)
        if storage_account is None:
            return None
        return self._signed(f"{self._storage.endpoint()}/{storage_account}/{container}")

    def as_identity(self, url: str, reference: Mapping[str, Any] | None, node: NodeFacts) -> str:
        """The URL as the node may use it with an `identityReference`, if there is one.

        Raises:
            BlobError: The node does not have the identity, or it is worth nothing there.
        """
        if not reference:
            return url
        wanted = str(reference.get("resourceId") or "")
        if wanted.lower() not in {identity.lower() for identity in node.identity_ids}:
            raise BlobError(
                f"HTTP 400: the identity {wanted or '(none)'} is not one of pool "
                f"{node.pool_id}'s: {', '.join(node.identity_ids) or 'it has none'}",
                status=400,
            )
        signed = self._signed(url)
        if signed is None:
            raise BlobError(
                "HTTP 400: an identity of the emulator opens only the emulator's own storage, "
                f"{self._storage.endpoint() or 'which was switched off by --no-blob'}",
                status=400,
            )
        return signed

    def _signed(self, url: str) -> str | None:
        base = url.partition("?")[0].rstrip("/")
        endpoint = self._storage.endpoint()
        if endpoint is None or not base.startswith(endpoint + "/"):
            return None
        account, _, path = urlsplit(base[len(endpoint) :]).path[1:].partition("/")
        key = self._storage.key(account)
        if key is None:
            return None
        signature = generate_container_sas(
            account_name=account,
            container_name=unquote(path.partition("/")[0]),
            account_key=key,
            permission=ContainerSasPermissions(read=True, write=True, create=True, list=True),
            expiry=datetime.now(UTC) + SIGNATURE_LIFE,
        )
        return f"{base}?{signature}"

    async def fetch(self, url: str, target: Path, mode: int) -> None:
        """Downloads a URL into a file, made anew.

        Raises:
            BlobError: It cannot be had.
            OSError: The file cannot be written.
        """
        for left in reversed(range(ATTEMPTS)):
            try:
                await self._fetch(url, target, mode)
            except BlobError as error:
                if not left or not error.may_pass:
                    raise
            else:
                return
            await _pause(left)

    async def _fetch(self, url: str, target: Path, mode: int) -> None:
        headers = {"Accept-Encoding": "identity", **_version(url)}
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            async with self._http.stream("GET", url, headers=headers) as response:
                _raise_for(response)
                descriptor = os.open(target, flags, 0o600)
                with os.fdopen(descriptor, "wb", buffering=0) as file:
                    os.fchmod(descriptor, mode)
                    async for chunk in response.aiter_raw(CHUNK_BYTES):
                        rest = memoryview(chunk)
                        while rest:
                            rest = rest[file.write(rest) :]
        except _WRONG as error:
            raise _unanswered(error) from error

    async def names(self, container: ContainerUrl, prefix: str) -> list[str]:
        """Names of the blobs that begin with a prefix.

        Raises:
            BlobError: The container cannot be listed.
        """
        query = "restype=container&comp=list"
        if prefix:
            query += "&prefix=" + quote(prefix, safe="")
        found: list[str] = []
        marker = ""
        while True:
            url = container.with_query(query + (f"&marker={marker}" if marker else ""))
            response = await self._send("GET", url, {})
            try:
                # S314: expat of the supported Pythons bounds entity expansion by itself.
                listing = ET.fromstring(response.content)  # noqa: S314
            except ET.ParseError as error:
                raise BlobError(f"not a list of blobs: {error}") from error
            found += [name.text or "" for name in listing.iterfind("./Blobs/Blob/Name")]
            marker = quote(listing.findtext("NextMarker") or "", safe="")
            if not marker:
                return found

    async def put(self, file: Path, url: str, headers: Mapping[str, str]) -> None:
        """Uploads a file as a block blob.

        Args:
            file: What to upload; it no longer changes.
            url: The blob's URL, with its signature.
            headers: `uploadHeaders`: of Put Blob, such as `x-ms-blob-content-type`.

        Raises:
            BlobError: Storage refused.
            OSError: The file cannot be read.
        """
        kind = {"x-ms-blob-type": "BlockBlob"}
        size = _size(file)
        if size <= BLOCK_BYTES:
            await self._send("PUT", url, {**headers, **kind}, part=_Part(file, 0, size))
            return
        blocks: list[str] = []
        for start in range(0, size, BLOCK_BYTES):
            blocks.append(f"{len(blocks):08d}")  # base64 of something: four letters by four
            part = _Part(file, start, min(BLOCK_BYTES, size - start))
            await self._send("PUT", f"{url}&comp=block&blockid={blocks[-1]}", {}, part=part)
        committed = "".join(f"<Latest>{block}</Latest>" for block in blocks)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{committed}</BlockList>'
        await self._send("PUT", f"{url}&comp=blocklist", dict(headers), content=body.encode())

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        part: _Part | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        length = {"Content-Length": str(part.size)} if part else {}
        for left in reversed(range(ATTEMPTS)):
            try:
                response = await self._http.request(
                    method,
                    url,
                    headers={**headers, **length, "x-ms-version": API_VERSION},
                    content=part.read() if part else content,
                )
                _raise_for(response)
            except (*_WRONG, BlobError) as error:
                refused = error if isinstance(error, BlobError) else _unanswered(error)
                if not left or not refused.may_pass:
                    raise refused from error
            else:
                return response
            await _pause(left)
        raise AssertionError  # the last attempt returned or raised


@dataclass(frozen=True, slots=True)
class _Part:
    """Some bytes of a file, read as they are sent."""

    file: Path
    start: int
    size: int

    async def read(self) -> AsyncIterator[bytes]:
        left = self.size
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            while left and (chunk := stream.read(min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk


def _size(file: Path) -> int:
    return file.stat().st_size


def _version(url: str) -> dict[str, str]:
    # A signature that names its version, or a server that is no blob service, needs none.
    return {"x-ms-version": API_VERSION} if "sig=" in url else {}


def _raise_for(response: httpx.Response) -> None:
    if not response.is_success:
        code = response.headers.get("x-ms-error-code", response.reason_phrase)
        raise BlobError(
            f"HTTP {response.status_code}: {code}",
            status=response.status_code,
            may_pass=response.status_code in RETRIED_STATUSES,
        )


def _unanswered(error: Exception) -> BlobError:
    return BlobError(
        f"{type(error).__name__}: {error}",
        timed_out=isinstance(error, httpx.TimeoutException),
        may_pass=isinstance(error, httpx.TransportError)
        and not isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol),
    )


async def _pause(left: int) -> None:
    await asyncio.sleep(0.1 * 2 ** (ATTEMPTS - 1 - left))
