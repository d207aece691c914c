"""A provider of its own for each test, and a project that it deploys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.arm.memory import MemoryBackend
from emulator.local import LocalDirectory
from tests.emulator.arm.projects import Host, Project


@pytest.fixture
def start_host() -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def start(backend: MemoryBackend | None = None, store: Path | None = None) -> Host:
        hosts.append(Host(backend or MemoryBackend(), store))
        return hosts[-1]

    yield start
    for host in hosts:
        host.close()


@pytest.fixture
def project(tmp_path: Path, start_host: Callable[..., Host]) -> Project:
    host = start_host(store=tmp_path / "arm.db")
    return Project(tmp_path / "project", LocalDirectory(tmp_path / "local"), host)
