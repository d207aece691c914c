"""Keys in order, with cheap insertion however many there are.

A list's `insort` moves half of it; at a hundred thousand keys that would be felt at
every task. Here keys lie in blocks of a bounded length.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

_BLOCK = 512


class KeyIndex:
    """A sorted set of strings that can be read from any key onwards."""

    __slots__ = ("_blocks", "_lasts", "_size")

    def __init__(self, keys: Iterable[str] = ()) -> None:
        ordered = sorted(set(keys))
        self._size = len(ordered)
        self._blocks = [ordered[i : i + _BLOCK] for i in range(0, len(ordered), _BLOCK)]
        self._lasts = [block[-1] for block in self._blocks]

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        for block in self._blocks:
            yield from block

    def add(self, key: str) -> None:
        """Adds a key; one that is there stays once."""
        if not self._blocks:
            self._blocks.append([key])
            self._lasts.append(key)
            self._size = 1
            return
        index = min(bisect_left(self._lasts, key), len(self._blocks) - 1)
        block = self._blocks[index]
        at = bisect_left(block, key)
        if at < len(block) and block[at] == key:
            return
        block.insert(at, key)
        self._size += 1
        self._lasts[index] = block[-1]
        if len(block) > 2 * _BLOCK:
            rest = block[_BLOCK:]
            del block[_BLOCK:]
            self._blocks.insert(index + 1, rest)
            self._lasts[index : index + 1] = [block[-1], rest[-1]]

    def discard(self, key: str) -> None:
        """Removes a key, if it is there."""
        index = bisect_left(self._lasts, key)
        if index == len(self._blocks):
            return
        block = self._blocks[index]
        at = bisect_left(block, key)
        if at == len(block) or block[at] != key:
            return
        del block[at]
        self._size -= 1
        if block:
            self._lasts[index] = block[-1]
        else:
            del self._blocks[index]
            del self._lasts[index]

    def after(self, key: str) -> Iterator[str]:
        """The keys that come after this one, in order; all of them after the empty one."""
        index = bisect_right(self._lasts, key)
        if index == len(self._blocks):
            return
        block = self._blocks[index]
        yield from block[bisect_right(block, key) :]
        for following in self._blocks[index + 1 :]:
            yield from following
