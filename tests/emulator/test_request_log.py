"""The log of requests, as `serve --verbose` has it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from tests.emulator.service.wire import Wire

LOGGER = "emulator.request_log"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger=LOGGER):
        yield caplog


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Without the milliseconds."""
    told = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    return [re.sub(r", \d+\.\d ms$", "", line) for line in told]


async def test_each_request_is_a_line_with_the_code_of_its_error(
    wire: Wire, log: pytest.LogCaptureFixture
) -> None:
    await wire.send("GET", "/pools?$filter=id%20eq%20'p'")
    await wire.send("GET", "/jobs/none")
    await wire.send("HEAD", "/jobs/none/tasks/t/files/stdout.txt")
    assert lines(log) == [
        "GET /pools?$filter=id%20eq%20'p'&api-version=2025-06-01 → 200",
        "GET /jobs/none?api-version=2025-06-01 → 404 JobNotFound",
        "HEAD /jobs/none/tasks/t/files/stdout.txt?api-version=2025-06-01 → 404",
    ]


async def test_a_client_writes_no_line_of_its_own(
    wire: Wire, log: pytest.LogCaptureFixture
) -> None:
    reply = await wire.send("GET", "/pools/%0Aforged%1b")
    assert reply.json()["code"] == "PoolNotFound"
    (line,) = lines(log)
    assert "\n" not in line
    assert "%0Aforged" in line


async def test_nothing_is_noted_where_nobody_asked(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger=LOGGER):
        await wire.send("GET", "/pools")
    assert lines(caplog) == []
