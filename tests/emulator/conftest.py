"""What tests of several rooms of the emulator begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.emulator.service.wire import JOB, POOL, Wire


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    """A server with a pool `p` and a job `j`, both empty."""
    found = await Wire.start(tmp_path)
    await found.send("POST", "/pools", POOL)
    await found.send("POST", "/jobs", JOB)
    yield found
    await found.close()
