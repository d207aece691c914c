"""What goes on in threads, and what in the caller's; after a failure as well."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.threads import AHEAD, in_threads, left_behind, pause, stopping


@given(count=st.integers(0, 60), at_once=st.integers(1, 9))
def test_of_each_item_one_thing_is_made(count: int, at_once: int) -> None:
    found = in_threads(
        lambda number: number * 2,
        range(count),
        at_once=at_once,
        name="test",
        after=lambda number: number + 1,
    )
    assert sorted(found) == [*range(1, 2 * count, 2)]


def test_items_are_taken_as_results_are() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    used = 0
    for _ in in_threads(abs, items(), at_once=3, name="test"):
        assert len(taken) - used <= AHEAD * 3
        used += 1
    assert used == 1000


def test_what_comes_before_and_after_is_the_callers_while_it_keeps_up() -> None:
    here = threading.current_thread()
    acted: set[bool] = set()

    def act(number: int) -> int:
        acted.add(threading.current_thread() is here)
        return number

    def by_caller(number: int) -> bool:
        return threading.current_thread() is here and number >= 0

    before = in_threads(act, range(100), at_once=3, name="test", before=by_caller)
    assert [*before] == [True] * 100
    after = in_threads(act, range(100), at_once=3, name="test", after=by_caller)
    assert [*after] == [True] * 100
    assert acted == {False}


@pytest.mark.parametrize("step", ["before", "after"])
def test_where_the_caller_is_slow_the_others_do_it(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr("jobs.threads.time.perf_counter", lambda: next(clock))
    here = threading.current_thread()
    by_caller: list[bool] = []

    def slow(number: int) -> int:
        by_caller.append(threading.current_thread() is here)
        return number

    found = in_threads(lambda number: number, range(500), at_once=3, name="test", **{step: slow})
    assert sorted(found) == [*range(500)]
    assert by_caller.count(True) < 100
    assert len(by_caller) == 500


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Is set when nothing more is begun, before what is under way is waited for."""
    event = threading.Event()

    class Joined(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            event.set()
            super().join(timeout)

    monkeypatch.setattr(threading, "Thread", Joined)
    return event


def test_a_failure_ends_it_though_an_earlier_item_takes_longer(ended: threading.Event) -> None:
    begun: list[int] = []
    earlier = threading.Event()

    def act(number: int) -> None:
        begun.append(number)
        if number == 1:
            assert earlier.wait(60)
            raise KeyError(number)
        earlier.set()
        assert ended.wait(60)

    with pytest.raises(KeyError):
        list(in_threads(act, range(100), at_once=2, name="test"))
    assert sorted(begun) == [0, 1]


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
    assert {0} <= set(begun) <= {0, 1, 2}
    assert len(begun) == len(set(begun))


@pytest.mark.parametrize("step", ["items", "before", "after"])
def test_a_failure_in_the_callers_thread_is_waited_for_too(
    step: str, ended: threading.Event
) -> None:
    begun: list[int] = []

    def act(number: int) -> int:
        begun.append(number)
        assert not number or ended.wait(60)
        return number

    def failing(number: int) -> int:
        if number == (0 if step == "after" else 2):
            raise KeyError(number)
        return number

    def items() -> Iterator[int]:
        return map(failing, range(100)) if step == "items" else iter(range(100))

    steps = {} if step == "items" else {step: failing}
    with pytest.raises(KeyError):
        list(in_threads(act, items(), at_once=2, name="test", **steps))
    assert ended.is_set()
    assert set(begun) <= {0, 1, 2}


def test_where_the_system_gives_few_threads_those_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Few(threading.Thread):
        started = 0

        def start(self) -> None:
            if Few.started == 2:
                raise RuntimeError("can't start new thread")
            Few.started += 1
            super().start()

    monkeypatch.setattr(threading, "Thread", Few)
    assert sorted(in_threads(abs, range(50), at_once=9, name="test")) == [*range(50)]
    with pytest.raises(RuntimeError, match="new thread"):
        list(in_threads(abs, range(50), at_once=9, name="test"))


def test_what_hangs_is_left_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.threads.GRACE_S", 0.01)
    answer, hangs, ended = threading.Event(), threading.Event(), threading.Event()
    told: list[bool] = []

    def act(number: int) -> int:
        if number:
            told.append(stopping())
            hangs.set()
            assert answer.wait(60)
            told.append(stopping())
            ended.set()
        else:
            assert hangs.wait(60)
        return number

    assert not left_behind()
    for number in in_threads(act, range(2), at_once=2, name="test"):
        assert number == 0
        break
    assert left_behind()
    assert not stopping()
    answer.set()
    assert ended.wait(60)
    assert told == [False, True]
    while left_behind():  # until the thread has ended, too: the next test begins with none
        pass


def test_a_wait_ends_when_it_is_for_nothing() -> None:
    waits = threading.Event()

    def act(number: int) -> int:
        if number:
            waits.set()
            pause(600)
            assert stopping()
        else:
            assert waits.wait(60)
        return number

    for number in in_threads(act, range(2), at_once=2, name="test"):
        assert number == 0
        break
    assert not left_behind()
    pause(0)


def test_threads_of_threads_stop_too(ended: threading.Event) -> None:
    begun: list[int] = []
    inside = threading.Event()

    def part(number: int) -> int:
        begun.append(number)
        inside.set()
        assert ended.wait(60)
        return number

    def act(number: int) -> list[int]:
        if not number:
            assert inside.wait(60)
            return []
        return list(in_threads(part, range(100), at_once=1, name="part"))

    for found in in_threads(act, range(2), at_once=2, name="test"):
        assert found == []
        break
    assert begun == [0]


def test_a_wait_within_ends_when_what_it_is_within_has_failed() -> None:
    waits = threading.Event()
    told: list[bool] = []

    def part(_number: int) -> None:
        waits.set()
        pause(600)
        told.append(stopping())

    def act(number: int) -> None:
        if number:
            assert waits.wait(60)
            raise KeyError(number)
        list(in_threads(part, (0,), at_once=1, name="part"))

    with pytest.raises(KeyError):
        list(in_threads(act, range(2), at_once=2, name="test"))
    assert told == [True]
    assert not left_behind()


def test_what_is_waited_for_when_ctrl_c_comes_again_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer, hangs = threading.Event(), threading.Event()
    started: list[threading.Thread] = []

    class Interrupted(threading.Thread):
        def start(self) -> None:
            started.append(self)
            super().start()

        def join(self, timeout: float | None = None) -> None:
            if timeout is not None:
                raise KeyboardInterrupt
            super().join()

    def act(number: int) -> int:
        if number:
            hangs.set()
            assert answer.wait(60)
        else:
            assert hangs.wait(60)
        return number

    monkeypatch.setattr(threading, "Thread", Interrupted)
    results = in_threads(act, range(2), at_once=2, name="test")
    assert next(results) == 0
    with pytest.raises(KeyboardInterrupt):
        results.close()  # type: ignore[attr-defined]  # is a generator
    assert left_behind()
    answer.set()
    for thread in started:
        thread.join()
    assert not left_behind()
