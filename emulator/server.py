"""The driver: one event loop that owns clock, store and an engine for each account.

It gives the engines what happens (requests, timers, processes that start and end),
executes the effects that they leave, and stores what changed before anybody is told of
it. It never decides anything about pools, jobs or tasks.

`Server.app` is the data plane, and what is not of the Batch API under `/_emulator/`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from emulator.admin import Admin, nothing_there
from emulator.applications.blobs import AutoStorageBlobs, PackageBlobs
from emulator.applications.catalogue import Application, Catalogue
from emulator.applications.wire import ManagementPlane
from emulator.arm.backend import BackendError
from emulator.clock import Clock
from emulator.driver import AccountDriver
from emulator.engine import pool_specs
from emulator.engine import pools as pool_transitions
from emulator.engine.faults import set_quotas
from emulator.engine.records import DamagedRecordsError, Kind, Row
from emulator.engine.refusal import Refused
from emulator.engine.settings import Settings
from emulator.errors import LocalStateError
from emulator.faults import Faults
from emulator.identity import IdentityEndpoint, Issuer
from emulator.loopback import LoopbackOnly
from emulator.nodes.blobs import NO_STORAGE
from emulator.nodes.interface import NodeRunner
from emulator.page import Page
from emulator.request_log import RequestLog
from emulator.service import bodies, render
from emulator.service import pools as pool_handlers
from emulator.service.app import DataPlane
from emulator.service.errors import CATALOGUE
from emulator.service.values import instant
from emulator.store import Store

logger = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

UNSEEN_S = 0.02
"""So long what nodes report waits for more, to share a transaction. No answer tells what is not
stored: whoever asks has it stored at once."""


class Server:
    """The Batch service of one emulator.

    Args:
        data: Directory of the state; None keeps it in memory.
        clock: The time, and by its speed how long the service takes.
        runner: Runs the tasks.
        settings: Waits and quotas; their speed is the clock's.
        requests_per_second: What is more is answered 429; None for no limit.
        issuer: Of the tokens that are taken beside keys, with its endpoint; only behind TLS.
        packages: Where application packages are kept; without, every upload is refused.

    Raises:
        AlreadyRunningError: Another emulator uses the directory.
        LocalStateError: The state is damaged; it was set aside.

    Attributes:
        base_url: Where tasks reach the service: `AZ_BATCH_ACCOUNT_URL`. To be set when
            the port is known, before `start`.
        app: The ASGI application.
    """

    def __init__(
        self,
        *,
        data: Path | None,
        clock: Clock,
        runner: NodeRunner,
        settings: Settings | None = None,
        requests_per_second: float | None = None,
        issuer: Issuer | None = None,
        packages: PackageBlobs | None = None,
    ) -> None:
        self.base_url = "http://127.0.0.1"
        self._packages = packages or AutoStorageBlobs(NO_STORAGE)
        self.clock = clock
        self.runner = runner
        self.settings = replace(settings or Settings(), speed=clock.speed)
        self._usual = self.settings
        self.faults = Faults(clock.now)
        self._rate = requests_per_second
        self.faults.limit(self._rate)
        self._store = Store(data)
        self._keys = self._store.accounts()
        self._drivers = {name: self._driver(name) for name in self._keys}
        self._started = False
        self._flush: asyncio.Future[None] | None = None
        self._due: asyncio.TimerHandle | None = None
        self._unsaved: list[tuple[str, list[Row], list[tuple[Kind, str, str]]]] = []
        self._told = ""
        """Why the state could not be stored the last time, as it was logged."""
        self._gone: dict[tuple[str, str], list[asyncio.Future[None]]] = {}
        own = Admin(self).routes() + Page(self).routes()
        if issuer is not None:
            own += IdentityEndpoint(issuer).routes()
        own.append(Route("/_emulator/{path:path}", nothing_there, methods=METHODS))
        self.app = Starlette(routes=own, middleware=[Middleware(LoopbackOnly)])
        verify = issuer.verify if issuer is not None else None
        manage = issuer.verify_management if issuer is not None else None
        self.app.mount("/subscriptions", ManagementPlane(self, verify_token=manage))
        plane = DataPlane(self, before=self.faults.before, verify_token=verify)
        # Not mounted: a path with a line break would match no route. Nor is every request of the
        # Batch API held against all routes twice, in search of a slash too few.
        self.app.router.default = RequestLog(plane)
        self.app.router.redirect_slashes = False

    def _driver(self, name: str) -> AccountDriver:
        return AccountDriver(
            name,
            clock=self.clock,
            runner=self.runner,
            settings=self.settings,
            applications=self._catalogue(name),
            base_url=lambda: self.base_url,
            key=lambda: self._keys[name],
            changed=self._changed,
        )

    def _catalogue(self, account: str) -> Catalogue:
        def save(key: str, application: Application | None) -> None:
            kept = None if application is None else json.dumps(application.as_json())
            self._store.put_application(account, key, kept)

        try:
            kept = [
                Application.from_json(json.loads(o)) for o in self._store.applications(account)
            ]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            why = f"applications of account {account}: {type(error).__name__}: {error}"
            raise self._store.set_aside(why) from error
        return Catalogue(
            account, self._packages, now=lambda: instant(self.clock.now()), save=save, kept=kept
        )

    # Life

    async def start(self) -> None:
        """Takes up the world that was stored: from now on time passes.

        Raises:
            LocalStateError: The state is damaged; it was set aside, and nothing was begun.
        """
        for name, driver in self._drivers.items():
            try:
                driver.restore(list(self._store.rows(name)))
            except DamagedRecordsError as error:
                raise self._store.set_aside(f"records of account {name}: {error}") from error
        self._started = True
        for driver in self._drivers.values():
            driver.start()
        await self.commit()

    async def close(self) -> None:
        """Stops: what runs is ended, and requeued by the next start.

        Raises:
            LocalStateError: The last changes could not be stored; all is ended nevertheless.
        """
        for driver in self._drivers.values():
            driver.stop()
        try:
            await self.commit()
        finally:
            await self.runner.close()
            for driver in self._drivers.values():
                await driver.join()
            self._store.close()

    # Accounts

    def add_account(self, name: str, key: bytes) -> None:
        """Makes an account known, or changes its key."""
        if self._keys.get(name) != key:
            self._store.put_account(name, key)
            self._keys[name] = key
        if name not in self._drivers:
            driver = self._drivers[name] = self._driver(name)
            if self._started:
                driver.restore(())
                driver.start()

    async def remove_account(self, name: str) -> None:
        """Ends whatever runs for an account and forgets it; no error if there is none."""
        driver = self._drivers.get(name)
        if driver is None:
            return
        del self._keys[name]
        driver.stop()
        await driver.remove_nodes()
        await driver.join()
        del self._drivers[name]
        self._store.delete_account(name)

    def accounts(self) -> Mapping[str, bytes]:
        """Account name → key."""
        return self._keys

    def set_quotas(self, quotas: Mapping[str, int]) -> None:
        """Changes quotas of every account, also of those to come, until the next start."""
        self.settings = replace(self.settings, **quotas)
        for driver in self._drivers.values():
            driver.run(set_quotas, quotas)

    async def reset(self) -> None:
        """Ends and forgets everything but the accounts with their keys."""
        self.faults.clear()
        self.faults.limit(self._rate)
        self.settings = self._usual
        for name, key in list(self._keys.items()):
            await self.remove_account(name)
            self.add_account(name, key)
        await self.commit()

    # What the data plane needs of it

    def host(self, account: str) -> AccountDriver:
        """The driver of an account.

        Raises:
            KeyError: There is no such account.
        """
        return self._drivers[account]

    def applications(self, account: str) -> Catalogue:
        """The applications of an account.

        Raises:
            BackendError: There is no such account.
        """
        return self._account(account).applications

    def now(self) -> int:
        """This instant."""
        return self.clock.now()

    async def ready_for_changes(self) -> None:
        """Returns when every change that could not be stored before is stored.

        What cannot be stored is not begun: else whoever hears of it and tries again would be told
        that it is there already.

        Raises:
            LocalStateError: There still is no way to store them.
        """
        if self._unsaved:
            await self.commit()

    async def commit(self, *, reading: bool = False) -> None:
        """Returns when every change made so far is stored.

        All that wait in one round of the event loop share a transaction.

        Args:
            reading: Whether it is for somebody who only asks: he is answered from memory
                though it cannot be stored now.

        Raises:
            LocalStateError: It could not be stored; it is tried again by the next call.
        """
        if self._flush is None:
            if not self._unsaved:
                return
            self._changed()
        flush = self._flush
        if flush is None:
            raise AssertionError("changes wait for no flush")
        if self._due is not None:
            self._due.cancel()
            self._due = None
            asyncio.get_running_loop().call_soon(self._write)
        try:
            await asyncio.shield(flush)
        except LocalStateError:
            if not reading:
                raise

    def _changed(self) -> None:
        if self._flush is None:
            loop = asyncio.get_running_loop()
            self._flush = loop.create_future()
            self._due = loop.call_later(UNSEEN_S, self._write)

    def _write(self) -> None:
        self._due = None
        flush, self._flush = self._flush, None
        for name, driver in self._drivers.items():
            rows, removed = driver.take_changes()
            if rows or removed:
                self._unsaved.append((name, rows, removed))
        error: Exception | None = None
        try:
            if self._unsaved:
                self._store.write(self._unsaved)
        except Exception as failed:  # noqa: BLE001 - told to all who wait, and logged
            error = failed  # the changes are kept: the next flush writes them before its own
        else:
            self._unsaved.clear()
        self._log_stored(error)
        if flush is not None and not flush.done():
            if error is None:
                flush.set_result(None)
            else:
                flush.set_exception(error)
                flush.exception()
        self._tell_gone()

    def _log_stored(self, error: Exception | None) -> None:
        """Once when it cannot be stored, and once when it can again: everybody has it tried."""
        told, self._told = self._told, "" if error is None else str(error)
        if error is None:
            if told:
                logger.info("the state is stored again")
        elif not isinstance(error, LocalStateError):
            logger.error("the state could not be stored", exc_info=error)
        elif told != self._told:
            logger.error("%s", error)

    # Pools, for Resource Manager

    async def put_pool(self, account: str, pool_id: str, body: dict[str, Any]) -> None:
        """Creates a pool, or brings an existing one to `body`.

        Raises:
            BackendError: The service would refuse it, or it cannot be stored.
        """
        members = dict(body)
        identity = members.pop("identity", None)
        with _as_backend_error():
            await self.ready_for_changes()
            driver = self._account(account)
            checked = bodies.pool({**members, "id": pool_id}, "")
            pool = driver.world.pools.get(pool_id.lower())
            if pool is None:
                driver.run(pool_specs.create, pool_id, checked, identity)
            else:
                driver.run(pool_transitions.get_live, pool_id)
                if identity != pool.identity:
                    driver.run(pool_transitions.set_identity, pool, identity)
                pool_handlers.bring_to(driver, pool, checked)
            await self.commit()

    async def get_pool(self, account: str, pool_id: str) -> dict[str, Any] | None:
        """The pool as `GET /pools/{id}` answers it, or None."""
        driver = self._drivers.get(account)
        pool = driver.world.pools.get(pool_id.lower()) if driver else None
        return render.pool(self.base_url, pool) if pool else None

    async def delete_pool(self, account: str, pool_id: str) -> None:
        """Deletes a pool and returns when it is gone; no error if there is none."""
        driver = self._drivers.get(account)
        pool = driver.world.pools.get(pool_id.lower()) if driver else None
        if driver is None or pool is None:
            return
        if pool.state != "deleting":
            driver.run(pool_transitions.delete, pool)
        gone = asyncio.get_running_loop().create_future()
        self._gone.setdefault((account, pool.key), []).append(gone)
        self._changed()
        await gone
        with _as_backend_error():
            await self.commit()

    def _tell_gone(self) -> None:
        for (account, key), waiting in list(self._gone.items()):
            driver = self._drivers.get(account)
            if driver is None or key not in driver.world.pools:
                del self._gone[account, key]
                for future in waiting:
                    if not future.done():
                        future.set_result(None)

    def _account(self, account: str) -> AccountDriver:
        driver = self._drivers.get(account)
        if driver is None:
            raise BackendError("AccountNotFound", f"there is no Batch account {account}")
        return driver


@contextmanager
def _as_backend_error() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        detail = "; ".join(f"{name}: {value}" for name, value in refused.values.items())
        sentence = CATALOGUE[refused.code].message
        raise BackendError(refused.code, f"{sentence} {detail}".strip()) from refused
    except LocalStateError as error:
        raise BackendError("InternalError", str(error)) from error
