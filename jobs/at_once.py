"""How many files go to or from storage at a time: many small ones, few large ones.

Small files wait for the network, and so many at once cost little (benchmarks/staging.py). All of
a file that is not large is in memory while it is sent, several times over in the library that
sends it: of each size there are so few that it is 200 MiB at most. Large ones go in several parts
at a time.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

SMALL_BYTES = 64 << 10
"""Files up to this size are small: the caller's thread reads and writes them."""
SMALL_AT_ONCE = 256
LARGE_AT_ONCE = 4
SIZES = ((SMALL_BYTES, SMALL_AT_ONCE), (1 << 20, 64), (1 << 63, 8))
"""Up to how many bytes a file is of a size, and how many of it go at a time; below `large`."""
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
    sizes: dict[int, list[T]] = {at_once: [] for at_once in (*dict(SIZES).values(), LARGE_AT_ONCE)}
    for item in items:
        there = size(item)
        which = (at_once for most, at_once in SIZES if there <= most)
        sizes[LARGE_AT_ONCE if there >= large else next(which)].append(item)
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
