"""Whatever is asked, the service answers as a service: never 500, always its own errors."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.service.errors import CATALOGUE
from emulator.service.routes import ROUTES
from tests.emulator.service.generated import body_model, requests
from tests.emulator.service.wire import JOB, POOL, Wire

Request = tuple[str, str, Any, dict[str, str], list[tuple[str, str]]]


async def ask(sequence: list[Request]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        wire = await Wire.start(Path(directory))
        try:
            await wire.send("POST", "/pools", {**POOL, "targetDedicatedNodes": 1})
            await wire.send("POST", "/jobs", JOB)
            await wire.send("POST", "/jobs/j/tasks", {"id": "t", "commandLine": "run"})
            wire.clock.advance(3600)
            await asyncio.sleep(0)
            for request in sequence:
                await ask_one(wire, *request)
                wire.clock.advance(1)
        finally:
            await wire.close()


async def ask_one(
    wire: Wire,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    query: list[tuple[str, str]],
) -> None:
    asked = "&".join(f"{quote(name, safe='$')}={quote(value)}" for name, value in query)
    try:
        reply = await wire.send(method, f"{path}?{asked}", body, headers=headers)
    except TypeError:
        return  # an integer that JSON writers of this project do not write
    assert reply.status_code not in {500, 501}, f"{method} {path} {body}: {reply.text}"
    if reply.status_code >= 400 and method != "HEAD":
        error = reply.json()
        assert CATALOGUE[error["code"]].status == reply.status_code
        assert error["message"]["value"].startswith(CATALOGUE[error["code"]].message)


def test_bodies_are_made_of_what_the_sdk_sends() -> None:
    with_body = {route.name for route in ROUTES if body_model(route) is not None}
    assert {"create_pool", "create_task", "resize_pool", "create_job_schedule"} <= with_body
    assert len(with_body) > 20


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(requests(), min_size=1, max_size=5))
def test_no_request_is_answered_500(sequence: list[Request]) -> None:
    asyncio.run(ask(sequence))


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(requests(), min_size=5, max_size=20))
def test_no_sequence_of_requests_breaks_the_service(sequence: list[Request]) -> None:
    asyncio.run(ask(sequence))
