"""What a second staging of many unchanged files costs: requests and reads are counted."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from jobs.contents import ContentCache
from jobs.inputs import NodeFile
from jobs.session import Session
from jobs.stack import parse_stack
from jobs.stage import stage
from jobs.task_bodies import blob_name

FILES = 10_000
PAGE = 5000
"""Blobs that a listing of the service tells of at most in one answer."""
DATE = "Sat, 21 Nov 2026 00:00:00 GMT"


class Listing:
    """A container that is only listed; its blobs and what was asked of it."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.requests: list[str] = []
        self.url = ""

    def page(self, marker: str) -> bytes:
        names = [name for name in sorted(self.sizes) if name >= marker]
        items = "".join(
            f"<Blob><Name>{name}</Name><Properties><Last-Modified>{DATE}</Last-Modified>"
            f"<Etag>0x1</Etag><Content-Length>{self.sizes[name]}</Content-Length>"
            "<Content-Type>a/b</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
            for name in names[:PAGE]
        )
        following = names[PAGE] if len(names) > PAGE else ""
        return (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>'
            f"{items}</Blobs><NextMarker>{following}</NextMarker></EnumerationResults>"
        ).encode()


@pytest.fixture
def listing() -> Iterator[Listing]:
    found = Listing()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found.requests.append(f"{self.command} {self.path}")
            data = found.page(parse_qs(urlsplit(self.path).query).get("marker", [""])[0])
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PUT = do_HEAD = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}/data"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


_opened: list[str] | None = None


@pytest.fixture(scope="module")
def opened() -> Callable[[], list[str]]:
    """Begins to note each path that this process opens; a hook of the interpreter, for good."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and _opened is not None:
            _opened.append(os.fsdecode(arguments[0]) if arguments[0] != -1 else "")

    sys.addaudithook(hook)

    def begin() -> list[str]:
        global _opened  # noqa: PLW0603 - the hook cannot be taken away
        _opened = []
        return _opened

    return begin


@pytest.mark.slow
def test_unchanged_files_are_not_read_and_one_request_lists_5000(
    tmp_path: Path,
    listing: Listing,
    values: Callable[..., dict[str, Any]],
    opened: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    global _opened  # noqa: PLW0603 - as above
    monkeypatch.setenv("AZURE_STORAGE_KEY", "a2V5")
    directory = tmp_path / "in"
    directory.mkdir()
    files = []
    for number in range(FILES):
        path = directory / str(number)
        path.write_text(str(number))
        files.append(NodeFile(local=path, node_path=path.name, executable=False))
    paths = [file.local for file in files]
    database = tmp_path / "contents.sqlite"
    # What was changed a moment ago is not remembered: the files are to be old ones.
    monkeypatch.setattr("jobs.contents._SETTLED_NS", -1)
    with ContentCache(database) as cache:
        first = cache.look(paths)
        assert cache.files_read == FILES
    listing.sizes = {blob_name(found.sha256): found.size for found in first.values()}
    session = Session(stack=parse_stack(values(blob_endpoint=listing.url), where="test"))
    container = session.container("inputs")

    noted = opened()
    try:
        with ContentCache(database) as cache:
            again = cache.look(paths)
            done = stage(files, again, container)
    finally:
        _opened = None

    assert (done.files, done.sent, cache.files_read) == (FILES, 0, 0)
    assert [path for path in noted if path.startswith(str(directory))] == []
    assert len(listing.requests) == FILES // PAGE
    assert all("comp=list" in request for request in listing.requests)
