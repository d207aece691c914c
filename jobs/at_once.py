"""How many files go to or from storage at a time: many small ones, few large ones.

Small files wait for the network, and so many at once cost little (benchmarks/staging.py); of
others, a part of each under way is in memory, and the large ones go in several parts at a time.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

SMALL_BYTES = 256 << 10
"""Files up to this size are small: all of one is in memory while it is on its way."""
SMALL_AT_ONCE = 256
MIDDLE_AT_ONCE = 32
LARGE_AT_ONCE = 4
_DESCRIPTORS_A_FILE = 2
"""The file and its connection."""
_OTHER_DESCRIPTORS = 64


def by_size(
    items: Iterable[T], size: Callable[[T], int], *, large: int
) -> Iterator[tuple[int, list[T]]]:
    """How many at once, and which items, for each size that there is; the small ones first.

    Args:
        items: What is to be sent or fetched.
        size: Bytes of one.
        large: From how many bytes on one is large.
    """
    sizes: dict[int, list[T]] = {SMALL_AT_ONCE: [], MIDDLE_AT_ONCE: [], LARGE_AT_ONCE: []}
    for item in items:
        bytes_ = size(item)
        if bytes_ >= large:
            sizes[LARGE_AT_ONCE].append(item)
        else:
            sizes[SMALL_AT_ONCE if bytes_ <= SMALL_BYTES else MIDDLE_AT_ONCE].append(item)
    for at_once, found in sizes.items():
        if found:
            yield _with_descriptors(min(at_once, len(found))), found


def _with_descriptors(at_once: int) -> int:
    """As many of them as there can be descriptors for, once more of those are allowed.

    A shell on macOS allows 256, most on Linux 1,024; a process may raise that to the hard limit.
    """
    needed = _DESCRIPTORS_A_FILE * at_once + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return at_once
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(1, (soft - _OTHER_DESCRIPTORS) // _DESCRIPTORS_A_FILE)
