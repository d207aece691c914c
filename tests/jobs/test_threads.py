"""What goes on in threads after one of them failed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.threads import in_threads


def test_each_item_is_acted_on_once() -> None:
    found = in_threads(lambda number: number * 2, range(1000), at_once=7, name="test")
    assert sorted(found) == [*range(0, 2000, 2)]
    assert not list(in_threads(str, [], at_once=7, name="test"))


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Is set when what has not begun is cancelled, before what is under way is waited for."""
    event = threading.Event()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            event.set()
            super().shutdown(wait=wait)

    monkeypatch.setattr("jobs.threads.ThreadPoolExecutor", Pool)
    return event


def test_a_failure_ends_it_though_an_earlier_item_takes_longer(ended: threading.Event) -> None:
    begun: list[int] = []

    def act(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise KeyError(number)
        assert ended.wait(60)

    with pytest.raises(KeyError):
        list(in_threads(act, range(100), at_once=2, name="test"))
    assert sorted(begun) in ([0, 1], [0, 1, 2])


def test_whoever_stops_looking_stops_the_work(ended: threading.Event) -> None:
    begun: list[int] = []

    def act(number: int) -> int:
        begun.append(number)
        if number:
            assert ended.wait(60)
        return number

    for number in in_threads(act, range(100), at_once=2, name="test"):
        assert number == 0
        break
    assert ended.is_set()
    assert sorted(begun) in ([0], [0, 1], [0, 1, 2])
