"""The HTTP server in front of the application: uvicorn on a port of loopback, no other address."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from emulator.certificate import Certificate
from emulator.errors import AlreadyRunningError
from emulator.service.app import TRANSPORT

LOOPBACK = "127.0.0.1"
HTTP_STOP_TIMEOUT_S = 3


@contextlib.contextmanager
def listen(port: int) -> Iterator[socket.socket]:
    """Listens on a port of loopback; 0 picks a free one.

    Raises:
        AlreadyRunningError: The port cannot be used.
    """
    try:
        listener = socket.create_server((LOOPBACK, port), backlog=2048)
    except OSError as error:
        raise AlreadyRunningError(
            f"port {port} of {LOOPBACK} cannot be used: {os.strerror(error.errno or 0)}.\n"
            "Stop what uses it, or choose another one with --port (0 picks a free one)."
        ) from None
    with listener:
        yield listener


class _Connection(H11Protocol):
    """A connection that a request can break: a fault that clients must survive."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Shows the requests what they come by."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}


class _Http(uvicorn.Server):
    """A server that says when it is ready, and leaves signals to who started it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to serve."""
        await super().startup(sockets)
        self.ready.set()


@contextlib.asynccontextmanager
async def serving(
    app: Starlette, listener: socket.socket, certificate: Certificate | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """Serves an application, over TLS if there is a certificate; gives the task that does."""
    config = uvicorn.Config(
        app,
        http=_Connection,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=HTTP_STOP_TIMEOUT_S,
        ssl_certfile=certificate.server if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )
    http = _Http(config)
    task = asyncio.create_task(http.serve(sockets=[listener]))
    ready = asyncio.create_task(http.ready.wait())
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        yield task
    finally:
        ready.cancel()
        http.should_exit = True
        await task
