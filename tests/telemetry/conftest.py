"""Azure as the collector sees it: the metadata service and the ingestion endpoint, on loopback."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


@dataclass(frozen=True)
class Call:
    """A call of the ingestion API."""

    path: str
    authorization: str
    rows: list[dict[str, Any]]


@dataclass
class Azure:
    """What was asked, and what to answer next; 204 when nothing is said."""

    url: str = ""
    tokens: int = 0
    token_queries: list[dict[str, list[str]]] = field(default_factory=list)
    token_answers: list[tuple[int, str]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for call in self.calls for row in call.rows]


@pytest.fixture
def azure() -> Iterator[Azure]:
    state = Azure()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path != "/metadata/identity/oauth2/token" or not self.headers["Metadata"]:
                self.send_error(400)
                return
            state.token_queries.append(parse_qs(parts.query))
            state.tokens += 1
            status, body = (
                200,
                json.dumps({"access_token": f"token-{state.tokens}", "expires_in": "86399"}),
            )
            if state.token_answers:
                status, body = state.token_answers.pop(0)
            self.answer(status, body.encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = state.answers.pop(0) if state.answers else (204, {})
            if status == 0:
                self.close_connection = True
                return
            if status == 204:
                assert self.headers["Content-Encoding"] == "gzip"
                assert self.headers["Content-Type"] == "application/json"
                rows = json.loads(gzip.decompress(body))
                state.calls.append(Call(self.path, self.headers["Authorization"], rows))
                state.arrived.set()
            self.answer(status, b"", headers)

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()
