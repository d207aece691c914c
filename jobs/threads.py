"""Many things at once, in threads; the first that fails ends it.

Not `concurrent.futures`: each of its futures wakes several threads several times, which for a
small file costs more than the file (benchmarks/staging.py).
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from queue import SimpleQueue
from typing import Any, TypeVar, overload

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")

AHEAD = 2
"""Items that are on their way for each thread, so that none waits for the caller."""
_SLOW_S = 0.002
_SLOW_IN_A_ROW = 16
GRACE_S = 5.0
"""How long what is under way is waited for when it is no longer wanted."""
_LOOK_UP_S = 0.1
"""How often what waits within other work looks whether that is still wanted."""
_END: Any = object()
_THREAD = threading.local()
_LEFT: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def _same(value: Any) -> Any:
    return value


@overload
def in_threads(
    act: Callable[[T], R], items: Iterable[T], *, at_once: int, name: str
) -> Iterator[R]: ...
@overload
def in_threads(
    act: Callable[[S], R],
    items: Iterable[T],
    *,
    at_once: int,
    name: str,
    before: Callable[[T], S],
) -> Iterator[R]: ...
@overload
def in_threads(
    act: Callable[[T], S],
    items: Iterable[T],
    *,
    at_once: int,
    name: str,
    after: Callable[[S], R],
) -> Iterator[R]: ...
def in_threads(
    act: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    at_once: int,
    name: str,
    before: Callable[[Any], Any] = _same,
    after: Callable[[Any], Any] = _same,
) -> Iterator[Any]:
    """What is made of each item, as it comes: not in the order of the items.

    After a failure, of one or where the results are used (Ctrl-C is one), no further item is
    begun; those that are under way are told (`stopping`) and waited for, but no longer than
    `GRACE_S`: a service may leave them without an answer. At most `AHEAD` times `at_once` items
    are taken of which the result is not.

    What comes `before` and `after` is done in the caller's thread as long as it keeps up, and
    else in the others. Small files are best read and written so: a hundred threads would wait
    for each other, for the directory and for the interpreter; but where a file system answers
    over a network, one thread would wait for it.

    Args:
        act: Waits for something; is called in any of the threads, with the item.
        items: Are taken in the caller's thread as results are.
        at_once: Threads, if there are as many items and the system gives so many.
        name: How the threads' names begin.
        before: Makes of an item what `act` is called with instead.
        after: Makes the result of what `act` gave.

    Raises:
        Exception: What is raised first in one of them.
    """
    work = _Work(
        act=act,
        before=_ByCaller(before),
        after=_ByCaller(after),
        parent=getattr(_THREAD, "work", None),
    )
    threads: list[threading.Thread] = []
    source = iter(items)
    taken = 0
    try:
        while True:
            _go_on()
            for item in islice(source, max(0, AHEAD * at_once - taken)):
                work.give(item)
                taken += 1
                if len(threads) < at_once and not _started(work.run, threads, name):
                    at_once = len(threads)
            if not taken:
                return
            yield work.take()
            taken -= 1
    finally:
        try:
            work.end(at_once)
        finally:
            if taken:
                _wait_for(threads)


class StoppedError(Exception):
    """What is done in threads by a thread that is to stop; nobody gets to see it."""


def stopping() -> bool:
    """Whether what this thread does is no longer wanted: it should not be tried again."""
    work: _Work | None = getattr(_THREAD, "work", None)
    while work is not None and not work.over.is_set():
        work = work.parent
    return work is not None


def _go_on() -> None:
    """Ends what is done, where nobody wants it.

    Raises:
        StoppedError: Nobody does.
    """
    if stopping():
        raise StoppedError


def pause(seconds: float) -> None:
    """Waits, no longer than what this thread does is wanted."""
    work: _Work | None = getattr(_THREAD, "work", None)
    if work is None:
        time.sleep(seconds)
    elif work.parent is None:
        work.over.wait(seconds)
    else:
        until = time.monotonic() + seconds
        while not stopping() and (left := until - time.monotonic()) > 0:
            work.over.wait(min(left, _LOOK_UP_S))


def apart(act: Callable[[], R]) -> R:
    """What `act` gives, called in another thread than the main one: Ctrl-C ends waiting for it.

    A signal reaches the main thread only between two of Python's own steps, so that a library
    written in something else keeps it from us for as long as a service does not answer.

    Raises:
        Exception: What `act` raises.
    """
    if threading.current_thread() is not threading.main_thread():
        return act()
    (result,) = in_threads(lambda _: act(), (None,), at_once=1, name="apart")
    return result


def left_behind() -> bool:
    """Whether threads are still waiting for an answer that nobody wants any more.

    The interpreter cannot end in order then: a thread that comes back from outside while it ends
    would abort the process.
    """
    return any(thread.is_alive() for thread in _LEFT)


def _wait_for(threads: list[threading.Thread]) -> None:
    deadline = time.monotonic() + GRACE_S
    try:
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    finally:  # Ctrl-C may come again, while they are waited for
        _LEFT.update(thread for thread in threads if thread.is_alive())


def _started(run: Callable[[], None], threads: list[threading.Thread], name: str) -> bool:
    """Starts one more thread; whether the system gives one. It has to give the first."""
    thread = threading.Thread(target=run, name=f"{name}_{len(threads)}", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        if not threads:
            raise
        return False
    threads.append(thread)
    return True


@dataclass(slots=True)
class _ByCaller:
    """A step that the caller's thread takes, until so many in a row have taken it too long."""

    step: Callable[[Any], Any]
    slow: int = 0

    @property
    def keeps_up(self) -> bool:
        return self.slow < _SLOW_IN_A_ROW

    def __call__(self, value: Any) -> Any:
        began = time.perf_counter()
        result = self.step(value)
        self.slow = self.slow + 1 if time.perf_counter() - began > _SLOW_S else 0
        return result


@dataclass(slots=True)
class _Step:
    """An item on its way, or what came of it: whether `before` or `after` has been done."""

    value: Any
    done: bool = False
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    """What lies between the caller's thread and the others."""

    act: Callable[[Any], Any]
    before: _ByCaller
    after: _ByCaller
    parent: _Work | None
    over: threading.Event = field(default_factory=threading.Event)
    _given: SimpleQueue[_Step] = field(default_factory=SimpleQueue)
    _results: SimpleQueue[_Step] = field(default_factory=SimpleQueue)

    def give(self, item: Any) -> None:
        """Hands an item to the threads."""
        done = self.before.keeps_up
        self._given.put(_Step(self.before(item) if done else item, done=done))

    def take(self) -> Any:
        """The next result."""
        step = self._results.get()
        if step.error is not None:
            raise step.error
        return step.value if step.done else self.after(step.value)

    def run(self) -> None:
        """Acts on items until the end."""
        _THREAD.work = self
        for step in iter(self._given.get, _END):
            try:
                _go_on()
                value = self.act(step.value if step.done else self.before.step(step.value))
                done = not self.after.keeps_up
                self._results.put(_Step(self.after.step(value) if done else value, done=done))
            except BaseException as error:  # noqa: BLE001 - `take` raises it
                # In this order: else another thread's `StoppedError` could come before it.
                self._results.put(_Step(None, error=error))
                self.over.set()
                return

    def end(self, threads: int) -> None:
        """Has no further item begun."""
        self.over.set()
        for _ in range(threads):
            self._given.put(_END)
