"""How long a request insists: on an answer, and on reaching the service at all."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError

from jobs.clients import Clients
from jobs.errors import CredentialError, UnavailableError
from jobs.service import BatchService, RetryPolicy
from jobs.stack import parse_stack

POLICY = RetryPolicy()


class Clock:
    """A clock that moves when somebody waits; what is due by then happens."""

    def __init__(self) -> None:
        self.time = 0.0
        self.due: list[tuple[float, Callable[[], object]]] = []

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds
        for item in [item for item in self.due if item[0] <= self.time]:
            self.due.remove(item)
            item[1]()


@pytest.fixture
def clock(service: BatchService) -> Clock:
    """The clock of the service."""
    clock = Clock()
    service.now, service.pause = clock.now, clock.pause
    return clock


@pytest.fixture
def away(values: Any) -> Iterator[Any]:
    """A client of an address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Clients(parse_stack(values(batch_endpoint=url), where="test")).batch as client:
            yield client


def ask(service: BatchService) -> Any:
    return service.get("/pools/pool-cpu", "looking for pool pool-cpu")


def test_an_address_where_nobody_answers_is_told_within_seconds(
    service: BatchService, clock: Clock, away: Any
) -> None:
    service.client = away
    with pytest.raises(UnavailableError, match="cannot be reached"):
        ask(service)
    assert 0 < clock.time <= POLICY.first_contact_s <= 5
    assert service.requests_sent > 1


@pytest.mark.parametrize("_draw", range(5))
def test_a_service_that_was_reached_before_is_waited_for_tens_of_seconds(
    service: BatchService, clock: Clock, away: Any, _draw: int
) -> None:
    ask(service)
    service.client = away
    with pytest.raises(UnavailableError, match="cannot be reached"):
        ask(service)
    assert clock.time == pytest.approx(POLICY.unreachable_s)
    assert 10 <= POLICY.unreachable_s <= 60


def test_a_connection_that_comes_back_in_time_is_used(
    service: BatchService, clock: Clock, away: Any
) -> None:
    ask(service)
    here = service.client
    service.client = away
    clock.due = [(POLICY.unreachable_s - 1, lambda: setattr(service, "client", here))]
    assert ask(service)["id"] == "pool-cpu"


def test_refusals_are_not_counted_against_connections_that_are_not_made(
    service: BatchService, batch: Any, fault: Any, clock: Clock, away: Any
) -> None:
    here, sent = service.client, []

    def refuse(*_: object) -> Any:
        sent.append(1)
        if len(sent) < 6:
            return fault(status=503)
        if len(sent) == 6:
            service.client = away
            clock.due = [(clock.time + 15, lambda: setattr(service, "client", here))]
            return fault(status=503)
        return None

    batch.fault = refuse
    assert ask(service)["id"] == "pool-cpu"


def test_a_service_that_is_busy_is_asked_so_often_and_so_long(
    service: BatchService, batch: Any, fault: Any, clock: Clock
) -> None:
    batch.fault = lambda *_: fault(status=503)
    with pytest.raises(UnavailableError, match="ServerBusy"):
        ask(service)
    assert len(batch.requests) == POLICY.attempts
    batch.requests.clear()
    clock.time = 0.0
    service.policy = RetryPolicy(total_s=150, attempts=1000)
    batch.fault = lambda *_: fault(status=429, headers={"Retry-After": "60"})
    with pytest.raises(UnavailableError, match="ServerBusy"):
        ask(service)
    assert len(batch.requests) == 4, "at 0, 60, 120 and 180 s; no wait begins after 150"


class Unsigned:
    """A client whose credential cannot be had, as without a network."""

    def __init__(self, client: Any, times: int) -> None:
        self.client, self.times = client, times

    def send_request(self, request: Any) -> Any:
        if self.times:
            self.times -= 1
            raise ClientAuthenticationError(message="DefaultAzureCredential failed")
        return self.client.send_request(request)


def test_a_credential_that_was_there_before_is_asked_for_again(
    service: BatchService, clock: Clock
) -> None:
    client: Any = Unsigned(service.client, 1)
    service.client = client
    with pytest.raises(CredentialError, match="no credential"):
        ask(service)
    assert clock.time == 0, "somebody must sign in first"
    ask(service)
    client.times = 3
    assert ask(service)["id"] == "pool-cpu"
    client.times = 1000
    with pytest.raises(CredentialError, match="no credential"):
        ask(service)
