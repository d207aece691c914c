"""Azurite, the official blob emulator, as a child that ends with us.

It listens on loopback only and knows exactly the accounts that it was given; there is no
well-known one. How accounts get in without its environment: `azurite_host.js`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from emulator.certificate import Certificate
from emulator.errors import AlreadyRunningError, EmulatorError, MissingToolError
from emulator.local import PROJECT_ROOT

_logger = logging.getLogger(__name__)

PACKAGE = PROJECT_ROOT / "bootstrap" / "azurite" / "node_modules" / "azurite"
HOST = Path(__file__).with_name("azurite_host.js")
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 45.0
_LISTENS = re.compile(r"successfully listens on (https?://\S+)")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_KEY = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG")


class AzuriteError(EmulatorError):
    """Azurite does not start, or does not answer."""


class Azurite:
    """A running Azurite.

    Attributes:
        endpoint: URL without an account and without a trailing slash.
        pid: Its process.
    """

    def __init__(self, process: asyncio.subprocess.Process, data: Path | None) -> None:
        self.endpoint = ""
        self.pid = process.pid
        self._process = process
        self._data = data
        self._said: list[str] = []
        self._listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers: asyncio.Queue[str | None] = asyncio.Queue()
        self._changing = asyncio.Lock()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        *,
        data: Path | None,
        accounts: Mapping[str, str],
        port: int = 0,
        package: Path = PACKAGE,
        certificate: Certificate | None = None,
    ) -> Azurite:
        """Starts it and returns when it listens.

        Args:
            data: Directory of its blobs, made if need be; None keeps them in memory.
            accounts: Keys (base64) by account name.
            port: TCP port; 0 picks a free one.
            package: Where Azurite is installed.
            certificate: Makes it speak https, and take bearer tokens beside keys; it
                checks their claims, not who signed them (`--oauth basic`).

        Raises:
            MissingToolError: Node or Azurite is not installed.
            AlreadyRunningError: The port is in use.
            AzuriteError: It ends instead of listening.
        """
        node = shutil.which("node")
        if node is None:
            raise MissingToolError(
                "node is not on PATH, and Azurite, which keeps the blobs, runs on it.\n"
                "Install Node.js 18 or newer, then run: make setup\n"
                "Or go without blob storage: python -m emulator serve --no-blob"
            )
        if not (package / "package.json").is_file():
            raise MissingToolError(
                f"Azurite, which keeps the blobs, is not installed in {package}.\n"
                "Install it: make setup\n"
                "Or go without blob storage: python -m emulator serve --no-blob"
            )
        place = ["--inMemoryPersistence"] if data is None else ["--location", str(data)]
        secure = ["--oauth", "basic"] if certificate else []
        if certificate:
            secure += ["--cert", str(certificate.server), "--key", str(certificate.key)]
        process = await asyncio.create_subprocess_exec(
            *(node, str(HOST), str(package), "--blobHost", "127.0.0.1"),
            *("--blobPort", str(port), "--silent", "--disableTelemetry"),
            *("--skipApiVersionCheck", *secure, *place),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            start_new_session=True,
        )
        azurite = cls(process, data)
        try:
            await azurite.set_accounts(accounts)
            async with asyncio.timeout(START_TIMEOUT_S):
                azurite.endpoint = await azurite._listening
        except BaseException as error:
            await azurite.close()
            if isinstance(error, TimeoutError):
                raise AzuriteError(f"Azurite does not listen after {START_TIMEOUT_S} s") from error
            raise
        return azurite

    async def set_accounts(self, accounts: Mapping[str, str]) -> None:
        """Replaces the accounts; returns when requests with their keys are let in.

        Raises:
            AzuriteError: It has ended.
            ValueError: A name or key is not what Azure would make.
        """
        for name, key in accounts.items():
            if not _ACCOUNT.fullmatch(name) or not _KEY.fullmatch(key):
                raise ValueError(f"not a storage account and its key: {name!r}")
        line = ";".join(f"{name}:{key}" for name, key in accounts.items())
        async with self._changing:
            stdin = self._process.stdin
            if stdin is None or self._reading.done():
                raise self._ended()
            with contextlib.suppress(ConnectionError):
                stdin.write(line.encode() + b"\n")
                await stdin.drain()
            if await self._answers.get() is None:
                raise self._ended()

    async def wait(self) -> None:
        """Returns when it has ended, by itself or not."""
        await asyncio.shield(self._reading)

    async def close(self) -> None:
        """Stops it, its data saved."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            _logger.warning("Azurite does not stop; killing it")
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        stdout = self._process.stdout
        while stdout is not None and (raw := await stdout.readline()):
            line = raw.decode(errors="replace").rstrip()
            if line.startswith("accounts "):
                self._answers.put_nowait(line)
            elif listens := _LISTENS.search(line):
                if not self._listening.done():  # nobody waits any more when the start is canceled
                    self._listening.set_result(listens[1])
            else:
                self._said = [*self._said[-20:], line]
                _logger.debug("azurite: %s", line)
        await self._process.wait()
        self._answers.put_nowait(None)
        if not self._listening.done():
            self._listening.set_exception(self._ended())
            self._listening.exception()  # whoever waits hears of it; nobody need wait

    def _ended(self) -> EmulatorError:
        said = "\n".join(f"    {line}" for line in self._said)
        if "EADDRINUSE" in said:
            return AlreadyRunningError(
                f"Azurite's port is in use:\n{said}\nStop what uses it, or choose another port."
            )
        return AzuriteError(
            f"Azurite ended with exit status {self._process.returncode}:\n{said}\n"
            "If its installation is damaged, run: make setup. If its data is, move it away and\n"
            f"start again: mv '{self._data}' '{self._data}.damaged'"
        )
