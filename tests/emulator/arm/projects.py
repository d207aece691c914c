"""A provider in a thread, and small projects for the engine."""

from __future__ import annotations

import asyncio
import textwrap
import threading
from dataclasses import dataclass, field
from pathlib import Path

from emulator.arm.deployment import Deployment
from emulator.arm.memory import MemoryBackend
from emulator.arm.provider import Provider, start_provider
from emulator.local import LocalDirectory


class Host:
    """Serves a provider from another thread, as a running emulator does."""

    def __init__(self, backend: MemoryBackend, store: Path | None) -> None:
        self.backend = backend
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.provider: Provider = asyncio.run_coroutine_threadsafe(
            start_provider(backend, store=store), self._loop
        ).result()

    @property
    def address(self) -> str:
        return self.provider.address

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.provider.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(slots=True)
class Project:
    """A Pulumi project whose program a test writes, and its stack."""

    directory: Path
    local: LocalDirectory
    host: Host
    lines: list[str] = field(default_factory=list)

    def write(self, program: str, config: str = "config: {}\n") -> None:
        self.directory.mkdir(exist_ok=True)
        (self.directory / "Pulumi.yaml").write_text("name: tried\nruntime: python\n")
        (self.directory / "Pulumi.local.yaml").write_text(config)
        (self.directory / "__main__.py").write_text(textwrap.dedent(program))

    def deployment(self) -> Deployment:
        return Deployment(
            "local",
            self.local,
            write=self.lines.append,
            project=self.directory,
            provider_address=self.host.address,
        )
