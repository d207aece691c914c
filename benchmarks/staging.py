"""How fast many small files are staged: `python benchmarks/staging.py [--files N] [--json]`.

Up: `jobs.stage` of files that are not there, with its listing. Again: the same a second time.
Down: the listing, and what `jobs.collect` fetches with. Peer: azure-storage-blob's async client
over aiohttp, 64 at a time, 8 blocks or ranges of a large file at a time; the same files, in turn.
The server answers each request after `--latency-ms`, as a storage account some way off does, and
keeps blobs in memory, in a process of its own. A large file: `--files 1 --size 1073741824`.

Found on two cores, 2,000 files of 4 KiB, 20 ms, medians of 3, directories in memory: up 0.30 to
0.34 s against 1.7 s (5.0 to 5.7 times as fast), down 0.32 to 0.38 s against 2.0 s (5.2 to 7.0; 4.7
and 5.1 on a disk), again 0.04 s: one listing and no file read. The peer's time is nearly all the
interpreter's. Ours:

- 128 at once take 0.37 s to wait and no less; 256 take 0.24 s, and more than that no less.
- Each call of the system that one of so many threads makes gives the interpreter to another: with
  four of them a file, written where it was fetched, 2,000 took 0.40 s in memory and 0.7 s on a
  disk; written by the thread that takes the results, 0.24 and 0.28 s.
- A future of `concurrent.futures` for each file cost another 0.1 s, a wait for the end of threads
  that have nothing more to do 0.02 s.
- The server itself took as much processor time as we do, with a timer for each request and an
  answer in two pieces; now a third.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PEER_AT_ONCE = 64
LARGE_AT_ONCE = 8
BLOCK_ID = re.compile(rb"<Latest>([^<]+)</Latest>")
RANGE = re.compile(rb"(?i)\n(?:x-ms-)?range: bytes=(\d+)-(\d+)")
SMALL = 64 << 10
"""What is copied rather than sent in another call of the system."""
DATE = "Sat, 21 Nov 2026 00:00:00 GMT"


Due: TypeAlias = "tuple[float, BlobServer, bytes, bytes]"
"""When to answer, on which connection, head and body of the request."""


class BlobServer(asyncio.Protocol):
    """Put, get and list of blobs, each after a delay."""

    blobs: dict[str, bytes] = {}  # noqa: RUF012 - one store for all connections
    blocks: dict[tuple[str, str], bytes] = {}  # noqa: RUF012 - as above
    delay_s = 0.0
    due: deque[Due] = deque()  # noqa: RUF012 - as above

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins a connection."""
        self.transport: Any = transport
        self.data = bytearray()

    def data_received(self, data: bytes) -> None:
        """Takes what arrived; answers what is complete after the delay."""
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.data[:end])
            at = head.lower().find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
            if len(self.data) < end + 4 + size:
                return
            body = bytes(self.data[end + 4 : end + 4 + size])
            del self.data[: end + 4 + size]
            loop = asyncio.get_running_loop()
            self.due.append((loop.time() + self.delay_s, self, head, body))
            if len(self.due) == 1:
                loop.call_later(self.delay_s, self.answer_due)

    @classmethod
    def answer_due(cls) -> None:
        """Answers what has waited, and comes again when the next has: one timer for all."""
        loop = asyncio.get_running_loop()
        while cls.due:
            at, connection, head, body = cls.due[0]
            if at > loop.time():
                loop.call_at(at, cls.answer_due)
                return
            cls.due.popleft()
            connection.answer(head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        """Carries one request out."""
        method, target, _ = head.decode().split(" ", 2)
        path, _, options = target.partition("?")
        query = parse_qs(options) if options else {}
        name = unquote(path).split("/", 3)[-1]
        status, extra = "200 OK", ""
        content: bytes | memoryview = b""
        if method == "PUT" and query.get("comp") == ["block"]:
            self.blocks[name, query["blockid"][0]] = body
            status = "201 Created"
        elif method == "PUT" and query.get("comp") == ["blocklist"]:
            ids = [found.decode() for found in BLOCK_ID.findall(body)]
            self.blobs[name] = b"".join([self.blocks.pop((name, found)) for found in ids])
            status = "201 Created"
        elif method == "PUT":
            self.blobs[name] = body
            status = "201 Created"
        elif query.get("comp") == ["blocklist"]:
            status, extra = "404 Not Found", "x-ms-error-code: BlobNotFound\r\n"
        elif "comp" in query:
            content = self.listing(query.get("prefix", [""])[0], query.get("marker", [""])[0])
            extra = "Content-Type: application/xml\r\n"
        elif name in self.blobs:
            whole = self.blobs[name]
            content = whole
            if whole and (span := RANGE.search(head)):
                first, last = int(span[1]), min(int(span[2]), len(whole) - 1)
                content = memoryview(whole)[first : last + 1]
                status = "206 Partial Content"
                extra = f"Content-Range: bytes {first}-{last}/{len(whole)}\r\n"
            extra += "x-ms-blob-type: BlockBlob\r\nContent-Type: application/octet-stream\r\n"
        else:
            status = "404 Not Found"
        answer = (
            f"HTTP/1.1 {status}\r\nETag: 0x1\r\nLast-Modified: {DATE}\r\n{extra}"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
        )
        if len(content) <= SMALL:
            self.transport.write(answer + content)
            return
        self.transport.write(answer)
        self.transport.write(content)

    def listing(self, prefix: str, marker: str) -> bytes:
        """5,000 names from a marker on."""
        names = sorted(n for n in self.blobs if n.startswith(prefix) and n >= marker)
        page, rest = names[:5000], names[5000:5001]
        items = "".join(
            f"<Blob><Name>{escape(n)}</Name><Properties><Last-Modified>{DATE}</Last-Modified>"
            f"<Etag>0x1</Etag><Content-Length>{len(self.blobs[n])}</Content-Length>"
            "<Content-Type>a/b</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
            for n in page
        )
        following = escape(rest[0]) if rest else ""
        return (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>'
            f"{items}</Blobs><NextMarker>{following}</NextMarker></EnumerationResults>"
        ).encode()


def serve(pipe: Connection, delay_s: float) -> None:
    """Runs the server until it is ended."""
    BlobServer.delay_s = delay_s

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(BlobServer, "127.0.0.1", 0, backlog=512)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def ours(url: str, files: list[Path], target: Path) -> dict[str, float]:
    """Seconds of each part with `jobs`."""
    from azure.core.credentials import AzureNamedKeyCredential  # noqa: PLC0415 - as below
    from azure.storage.blob import ContainerClient  # noqa: PLC0415 - as below
    from obstore.store import AzureStore  # noqa: PLC0415 - after the server is started

    from jobs.blobs import ObstoreContainer  # noqa: PLC0415
    from jobs.collect import fetched  # noqa: PLC0415
    from jobs.contents import ContentCache  # noqa: PLC0415
    from jobs.inputs import NodeFile  # noqa: PLC0415
    from jobs.stage import stage  # noqa: PLC0415

    store = AzureStore("c", account_name="data", account_key="a2V5", endpoint=url,
                       client_options={"allow_http": True})  # fmt: skip
    key = AzureNamedKeyCredential("data", "a2V5")
    container = ObstoreContainer(store, "c", lambda: ContainerClient(url, "c", credential=key))
    nodes = [NodeFile(local=f, node_path=f.name, executable=False) for f in files]
    times = {}
    with ContentCache(None) as cache:
        contents = cache.look(files)
    for part in ("up", "again"):
        began = time.perf_counter()
        stage(nodes, contents, container)
        times[part] = time.perf_counter() - began
    began = time.perf_counter()
    wanted = [(blob, target / blob.name) for blob in container.list("sha256/")]
    down = sum(problem is None for _, problem in fetched(container, wanted))
    times["down"] = time.perf_counter() - began
    if down != len(files):
        raise SystemExit(f"{down} of {len(files)} files came back")
    return times


def peer(url: str, files: list[Path], target: Path) -> dict[str, float]:
    """Seconds of each part with azure-storage-blob's async client."""
    return asyncio.run(_peer(url, files, target))


async def _peer(url: str, files: list[Path], target: Path) -> dict[str, float]:
    from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415 - as above
    from azure.storage.blob.aio import ContainerClient  # noqa: PLC0415

    key = {"account_name": "data", "account_key": "a2V5"}
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=PEER_AT_ONCE))
    transport = AioHttpTransport(session=session, session_owner=False)
    times = {}
    async with session, ContainerClient(url, "c", credential=key, transport=transport) as client:

        async def up(path: Path) -> None:
            with path.open("rb") as stream:
                await client.upload_blob(
                    f"peer/{path.name}", stream, overwrite=True, max_concurrency=LARGE_AT_ONCE
                )

        async def down(path: Path) -> None:
            blob = await client.download_blob(f"peer/{path.name}", max_concurrency=LARGE_AT_ONCE)
            with (target / path.name).open("wb") as stream:
                await blob.readinto(stream)

        for part, act in (("up", up), ("down", down)):
            waiting = iter(files)

            async def work(
                act: Callable[[Path], Awaitable[None]], waiting: Iterator[Path]
            ) -> None:
                for path in waiting:
                    await act(path)

            began = time.perf_counter()
            await asyncio.gather(*(work(act, waiting) for _ in range(PEER_AT_ONCE)))
            times[part] = time.perf_counter() - began
    return times


def main() -> None:
    """Measures both sides in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--latency-ms", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        here = Path(directory)
        for number in range(options.rounds):
            mine, theirs = context.Pipe()
            server = context.Process(
                target=serve, args=(theirs, options.latency_ms / 1000), daemon=True
            )
            server.start()
            url = f"http://127.0.0.1:{mine.recv()}/data"
            files = []
            for at in range(options.files):
                path = here / f"{number}-{at}"
                path.write_bytes(os.urandom(options.size))
                files.append(path)
            target = here / f"down-{number}"
            (target / "sha256").mkdir(parents=True)
            for part, seconds in ours(url, files, target).items():
                found.setdefault(f"jobs {part}", []).append(seconds)
            for part, seconds in peer(url, files, target).items():
                found.setdefault(f"azure-storage-blob {part}", []).append(seconds)
            server.terminate()
            server.join()
    medians = {name: round(statistics.median(times), 3) for name, times in found.items()}
    for part in ("up", "down"):
        ratio = medians[f"azure-storage-blob {part}"] / medians[f"jobs {part}"]
        medians[f"ratio {part}"] = round(ratio, 1)
    if options.json:
        print(json.dumps(medians))
        return
    for name, value in sorted(medians.items()):
        print(f"{name:24} {value:8.3f}" + ("" if name.startswith("ratio") else " s"))


if __name__ == "__main__":
    main()
