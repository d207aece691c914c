"""What `python -m emulator serve` does: puts the parts together, and takes them apart again.

In this order: the locks and the port, so that a second emulator ends before it does any
harm; Azurite, because nodes need it; the Batch service, which takes up its tasks; Resource
Manager's provider; then it says that it is ready, on stdout and in `run.json`. It stops in
the reverse order, on SIGTERM, SIGINT, the end of its lifeline, or the end of one of its
parts.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from emulator.applications.blobs import AutoStorageBlobs
from emulator.azurite import Azurite, AzuriteError
from emulator.backend import EmulatorBackend, StorageAccounts, new_key, read_keys
from emulator.certificate import Certificate
from emulator.clock import Clock, ManualClock, SystemClock
from emulator.engine.settings import Settings
from emulator.errors import AlreadyRunningError, EmulatorError, LocalStateError
from emulator.http import LOOPBACK, listen, serving
from emulator.identity import PATH as IDENTITY_PATH
from emulator.identity import Issuer, machine_environment
from emulator.local import LocalDirectory, RunningEmulator, read_json
from emulator.nodes.blobs import LocalStorage
from emulator.nodes.directories import remove_tree
from emulator.nodes.runner import ProcessRunner
from emulator.page import PATH as PAGE
from emulator.server import Server

_logger = logging.getLogger(__name__)

_VOLATILE = "in-memory"
"""Where nodes of an emulator without state keep their files, in the local directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `serve` was asked for.

    Attributes:
        port: Of the Batch data plane; 0 picks a free one.
        account: The Batch account that exists from the start.
        key: Its key, or None for the one that it had, else a new one.
        data: Directory of the state; None keeps all in memory.
        blob: Whether Azurite runs.
        provider: Whether the Pulumi provider runs.
        service_speed: Divides what the service makes one wait for.
        lifeline: Descriptor at whose end it stops.
        tls: Whether it speaks https and takes tokens.
        manual_clock: Whether time passes only when `/_emulator/clock/advance` says so.
        requests_per_second: What is more is answered 429; None for no limit.
        quotas: Of every account, by their names in `Settings`; the usual ones are left out.
    """

    port: int
    account: str
    key: bytes | None
    data: Path | None
    blob: bool
    provider: bool
    service_speed: float
    lifeline: int | None
    tls: bool = False
    manual_clock: bool = False
    requests_per_second: float | None = None
    quotas: Mapping[str, int] = field(default_factory=dict)


async def run(options: Options, local: LocalDirectory) -> None:
    """Serves until it is told to stop.

    Raises:
        EmulatorError: It cannot start, or one of its parts ended by itself.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.lifeline is not None:
        _watch(options.lifeline, stop)
    serving = asyncio.create_task(_serve(options, local))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        _logger.info("stopping")
        serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _watch(lifeline: int, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    os.set_blocking(lifeline, False)

    def readable() -> None:
        try:
            ended = os.read(lifeline, 4096) == b""
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            loop.remove_reader(lifeline)
            stop.set()

    loop.add_reader(lifeline, readable)


async def _serve(options: Options, local: LocalDirectory) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_removed_last(local))
        stack.enter_context(_alone(local))
        if options.data is not None:
            _make_private(options.data)
        nodes = stack.enter_context(_nodes_directory(options.data, local))
        listener = stack.enter_context(listen(options.port))
        certificate = _certificate(local) if options.tls else None
        issuer = Issuer.load(local.identity_file) if options.tls else None
        names = options.data / "storage-accounts.json" if options.data else None
        storage = StorageAccounts(local, names)
        azurite: Azurite | None = None
        of_nodes = LocalStorage(
            endpoint=lambda: azurite.endpoint if azurite else None,
            key=storage.keys.get,
            auto_storage=storage.auto_storage,
            trust=certificate.trust() if certificate else None,
        )

        async def end_azurite() -> None:
            if azurite is not None:
                await azurite.close()

        stack.push_async_callback(end_azurite)  # last: until then, nodes may use it
        runner = ProcessRunner(
            nodes, of_nodes, identity=_identity(certificate, issuer, lambda: server.base_url)
        )
        server = Server(
            data=options.data,
            clock=_clock(options),
            requests_per_second=options.requests_per_second,
            runner=runner,
            settings=Settings(**options.quotas),
            issuer=issuer,
            packages=AutoStorageBlobs(of_nodes, certificate.bundle if certificate else None),
        )
        stack.push_async_callback(server.close)
        scheme = "https" if certificate else "http"
        server.base_url = f"{scheme}://{LOOPBACK}:{listener.getsockname()[1]}"
        if options.blob:
            blobs = options.data / "azurite" if options.data else None
            azurite = await Azurite.start(
                data=blobs, accounts=storage.keys, certificate=certificate
            )
        key = options.key or server.accounts().get(options.account)
        known = read_keys(local).get("batch", {}).get(options.account)
        server.add_account(options.account, key or base64.b64decode(known or new_key()))
        storage.save(server.accounts())
        await _start(server, runner)
        backend = EmulatorBackend(
            server, azurite, storage, certificate.bundle if certificate else None
        )
        provider_address = None
        if options.provider:
            provider_address = await stack.enter_async_context(_provider(backend, options.data))
        http = await stack.enter_async_context(serving(server.app, listener, certificate))
        running = RunningEmulator(
            pid=os.getpid(),
            batch_endpoint=server.base_url,
            blob_endpoint=azurite.endpoint if azurite else None,
            provider_address=provider_address,
            account=options.account,
            certificate=str(certificate.authority) if certificate else None,
            identity_endpoint=f"{server.base_url}{IDENTITY_PATH}" if issuer else None,
        )
        local.write_running(running)
        stack.callback(local.run_file.unlink, missing_ok=True)
        _announce(running, options.data)
        parts = [http]
        if azurite is not None:
            parts.append(asyncio.create_task(azurite.wait()))
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts[1:]:
                part.cancel()
        if http.done():
            http.result()
        raise AzuriteError("Azurite ended by itself, and the emulator with it: start it again")


def _identity(
    certificate: Certificate | None, issuer: Issuer | None, endpoint: Callable[[], str]
) -> Callable[[], dict[str, str]]:
    """How tasks of nodes with an identity get tokens: only behind TLS are there any."""
    if certificate is None or issuer is None:
        return dict
    return lambda: machine_environment(endpoint(), issuer.header, certificate.bundle)


def _clock(options: Options) -> Clock:
    if options.manual_clock:
        return ManualClock(datetime.now(UTC), speed=options.service_speed)
    return SystemClock(options.service_speed)


def _announce(running: RunningEmulator, data: Path | None) -> None:
    """Says on stdout, in one line of JSON, that all is ready, and where."""
    where = {"data": str(data) if data else None, "page": f"{running.batch_endpoint}{PAGE}"}
    sys.stdout.write(json.dumps({**asdict(running), **where}) + "\n")
    sys.stdout.flush()


def _certificate(local: LocalDirectory) -> Certificate:
    certificate = Certificate(local.tls)
    certificate.ensure()
    return certificate


def _make_private(directory: Path) -> None:
    """Makes a directory for the user alone: the state in it holds the accounts' keys.

    Raises:
        LocalStateError: It cannot be made, or is another user's.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
    except OSError as error:
        raise LocalStateError(
            f"{directory} cannot hold the state: {error.strerror}.\n"
            "Make it a directory of your own, or use another: --data DIR"
        ) from error


@contextlib.contextmanager
def _alone(local: LocalDirectory) -> Iterator[None]:
    """Holds the local directory: `run.json` and `keys.json` are one emulator's."""
    local.ensure()
    with (local.root / "serve.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(_who_runs(local)) from None
        local.run_file.unlink(missing_ok=True)
        yield


def _who_runs(local: LocalDirectory) -> str:
    who, stop = "another emulator", "stop it"
    with contextlib.suppress(EmulatorError):
        pid = read_json(local.run_file).get("pid")
        who, stop = f"another emulator (process {pid})", f"stop it (kill {pid})"
    return (
        f"{who} uses {local.root}.\n"
        f"Use that one, {stop}, or give this one a directory of its own: HPC_LOCAL_DIR=DIR"
    )


def _known(server: Server) -> set[Path]:
    hosts = map(server.host, server.accounts())
    pools = ((host, pool) for host in hosts for pool in host.world.pools.values())
    return {host.node_directory(node) for host, pool in pools for node in pool.nodes.values()}


async def _start(server: Server, runner: ProcessRunner) -> None:
    """Lets time pass; what a killed emulator left of its nodes is ended and removed."""
    await runner.end_orphans()
    found = runner.node_directories()
    await server.start()
    if left := found - _known(server):
        _logger.info("removing the directories of %d nodes that are gone", len(left))
        try:
            await runner.sweep(left)
        except OSError as error:  # no reason not to serve
            _logger.warning("%s cannot be removed: %s", error.filename, error.strerror)


@contextlib.contextmanager
def _nodes_directory(data: Path | None, local: LocalDirectory) -> Iterator[Path]:
    """Where nodes keep their files; those of an emulator without state go with it."""
    if data is not None:
        yield data / "nodes"
        return
    volatile = local.root / _VOLATILE
    gone = local.root / f"{_VOLATILE}-gone-{secrets.token_hex(4)}"
    with contextlib.suppress(FileNotFoundError):  # a killed emulator left it
        volatile.rename(gone)
    _remove_volatile(local)
    try:
        yield volatile / "nodes"
    finally:
        with contextlib.suppress(FileNotFoundError):
            volatile.rename(gone)


@contextlib.contextmanager
def _removed_last(local: LocalDirectory) -> Iterator[None]:
    """Removes what was put away when the port and the locks are free: it may take minutes."""
    try:
        yield
    finally:
        _remove_volatile(local)


def _remove_volatile(local: LocalDirectory) -> None:
    for gone in local.root.glob(f"{_VOLATILE}-gone-*"):
        _logger.info("removing the files of nodes: %s", gone)
        try:
            remove_tree(gone)
        except OSError as error:
            _logger.warning("%s cannot be removed: %s", error.filename, error.strerror)


@contextlib.asynccontextmanager
async def _provider(backend: EmulatorBackend, data: Path | None) -> AsyncIterator[str]:
    # PLC0415: gRPC and Pulumi take long to import, and --no-provider does without.
    from emulator.arm.provider import start_provider  # noqa: PLC0415

    provider = await start_provider(backend, store=data / "arm.sqlite3" if data else None)
    try:
        yield provider.address
    finally:
        await provider.close()
