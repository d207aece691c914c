"""Many things at once, in threads; the first that fails ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(
    act: Callable[[T], R], items: Iterable[T], *, at_once: int, name: str
) -> Iterator[R]:
    """What `act` makes of each item, as it comes: not in the order of the items.

    After a failure, of one or where the results are used (Ctrl-C is one), no further item is
    begun, and those that are under way are waited for.

    Args:
        act: Is called in any of the threads.
        items: All of them are taken at once.
        at_once: Threads, if there are as many items.
        name: How the threads' names begin.

    Raises:
        Exception: What `act` raises first.
    """
    with ThreadPoolExecutor(at_once, thread_name_prefix=name) as pool:
        futures = [pool.submit(act, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
