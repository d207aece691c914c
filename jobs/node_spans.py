"""When nodes had a job's tasks: attempts as spans of time, each on a node.

Of a task the service keeps the last attempt. Those before it are taken to have followed each
other at once until that one started (`TaskEnd.earlier_s`), on the same node: as far as it had
slots to spare then, since no node has more tasks at a time than it has slots. The rest was on
nodes that nobody can name. What all that is worth is in `jobs.prices`.

A multi-instance task has its nodes for itself: the service runs it only in pools of one
slot a node. Which they are but the first it does not tell with the task: what counts is how
many.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from jobs.looks import TaskEnd

UNNAMED_NODE = "not known"
"""`not known 1` and so on: nodes that only attempts before the last were on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A task on one node for a time without a break.

    Attributes:
        node: The node, as of `places`, or an unnamed one.
        end: The task.
        begun: When it came: with an attempt before its last, or at `started`.
        started: When its last attempt started; `stop`, if that was not part of this.
        stop: When it was over.
    """

    node: str
    end: TaskEnd
    begun: float
    started: float
    stop: float


def places(end: TaskEnd) -> tuple[str, ...]:
    """A name for each node that a task had; those that are not known are numbered by its first."""
    if _is_located(end):
        return (end.node_id, *end.beside)
    return (end.node_id, *(f"{end.node_id} +{number}" for number in range(1, end.instances)))


def _is_located(end: TaskEnd) -> bool:
    """Whether all of its nodes are known."""
    return len(end.beside) == end.instances - 1


def stays(ends: Iterable[TaskEnd], slots: int) -> Iterator[Stay]:
    """Tasks that ran, on their nodes; in no order.

    Args:
        ends: The tasks.
        slots: Of each node.
    """
    by_node: dict[str, list[TaskEnd]] = defaultdict(list)
    for end in ends:
        if end.started is not None:
            for node in places(end):
                by_node[node].append(end)
    elsewhere: dict[bool, list[_Piece]] = {False: [], True: []}
    for node, mine in by_node.items():
        pieces = _pieces(mine, slots)
        for index, end in enumerate(mine):
            before = pieces.get(index, [])
            yield from _here(node, end, [piece for piece in before if piece.here])
            elsewhere[end.on_spot] += [piece for piece in before if not piece.here]
    unnamed = 0
    for pieces_of_kind in elsewhere.values():
        most = 0
        for number, piece in _packed(pieces_of_kind, slots):
            most = max(most, number)
            yield piece.stay(f"{UNNAMED_NODE} {unnamed + number}")
        unnamed += most


def _here(node: str, end: TaskEnd, before: Sequence[_Piece]) -> Iterator[Stay]:
    """A task where its last attempt was; `before`: when it was there, too, in order."""
    begun = started = end.started or 0.0
    if before and before[-1].stop == started:
        begun, before = before[-1].start, before[:-1]
    yield from (piece.stay(node) for piece in before)
    yield Stay(node=node, end=end, begun=begun, started=started, stop=max(started, end.ended))


def busy_spans(ends: Iterable[TaskEnd], slots: int) -> dict[str, list[tuple[float, float]]]:
    """When each node had a task: spans that do not touch, in order."""
    return merged(stays(ends, slots))


def merged(found: Iterable[Stay]) -> dict[str, list[tuple[float, float]]]:
    """When each node had a task, of all that were there."""
    by_node: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for stay in found:
        by_node[stay.node].append((stay.begun, stay.stop))
    whole: dict[str, list[tuple[float, float]]] = {}
    for node, spans in by_node.items():
        spans.sort()
        kept: list[tuple[float, float]] = []
        for start, stop in spans:
            if kept and start <= kept[-1][1]:
                kept[-1] = (kept[-1][0], max(kept[-1][1], stop))
            else:
                kept.append((start, stop))
        whole[node] = kept
    return whole


def nodes_at_least(ends: Collection[TaskEnd], slots: int) -> int:
    """How many different nodes ran tasks: those that are told, or as many as had one at once."""
    told = len({node for end in ends for node in (end.node_id, *end.beside)})
    if all(map(_is_located, ends)):
        return told
    spans = [span for node in busy_spans(ends, slots).values() for span in node]
    steps = sorted([(start, 1) for start, _ in spans] + [(stop, -1) for _, stop in spans])
    return max(told, *accumulate(step for _, step in steps))


def busy_s(ends: Iterable[TaskEnd], slots: int) -> float:
    """Seconds in which nodes had a task, summed over nodes."""
    return sum(stop - start for spans in busy_spans(ends, slots).values() for start, stop in spans)


# Attempts before the last


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A part of the time of a task's earlier attempts; `here`: where its last one was."""

    end: TaskEnd
    start: float
    stop: float
    here: bool

    def stay(self, node: str) -> Stay:
        return Stay(node=node, end=self.end, begun=self.start, started=self.stop, stop=self.stop)


def _pieces(mine: Sequence[TaskEnd], slots: int) -> dict[int, list[_Piece]]:
    """When a node had room for attempts before the last: of its tasks that have such, by index."""
    again = [index for index, end in enumerate(mine) if end.earlier_s > 0]
    if not again:
        return {}
    taken = _Taken()
    for end in mine:
        taken.add(end.started or 0.0, end.ended, end.slots)
    found: dict[int, list[_Piece]] = {}
    for index in sorted(again, key=lambda index: mine[index].begun or 0.0):
        end = mine[index]
        needed = min(end.slots, slots)
        pieces: list[_Piece] = []
        for start, stop, level in taken.steps(end.begun or 0.0, end.started or 0.0):
            here = level + needed <= slots
            joins = bool(pieces) and pieces[-1].here == here
            since = pieces.pop().start if joins else start
            pieces.append(_Piece(end=end, start=since, stop=stop, here=here))
        for piece in pieces:
            if piece.here:
                taken.add(piece.start, piece.stop, needed)
        found[index] = pieces
    return found


class _Taken:
    """How many of a node's slots are taken, over time."""

    def __init__(self) -> None:
        self._times: list[float] = [float("-inf")]
        self._levels: list[int] = [0]

    def add(self, start: float, stop: float, slots: int) -> None:
        """Takes slots."""
        if stop > start:
            for index in range(self._at(start), self._at(stop)):
                self._levels[index] += slots

    def steps(self, start: float, stop: float) -> list[tuple[float, float, int]]:
        """A time's parts in which the number is the same: begin, end and number of each."""
        first, last = bisect_right(self._times, start) - 1, bisect_left(self._times, stop)
        edges = [start, *self._times[first + 1 : last], stop]
        return list(zip(edges, edges[1:], self._levels[first:last], strict=False))

    def _at(self, time: float) -> int:
        """The index of the step that begins at a time; it is made if there is none."""
        index = bisect_left(self._times, time)
        if index == len(self._times) or self._times[index] != time:
            self._times.insert(index, time)
            self._levels.insert(index, self._levels[index - 1])
        return index


def _packed(pieces: Iterable[_Piece], slots: int) -> Iterator[tuple[int, _Piece]]:
    """Puts pieces on as many nodes as they need at least at a time; nodes are numbered from 1."""
    free: dict[int, int] = {}
    by_free: list[list[int]] = [[] for _ in range(slots + 1)]
    ending: list[tuple[float, int, int]] = []

    def leave(node: int, now: int) -> None:
        free[node] = now
        heapq.heappush(by_free[now], node)

    for piece in sorted(pieces, key=lambda piece: (piece.start, piece.stop)):
        while ending and ending[0][0] <= piece.start:
            _, node, given = heapq.heappop(ending)
            leave(node, free[node] + given)
        needed = min(piece.end.slots, slots)
        for level in range(needed, slots + 1):
            while by_free[level] and free[by_free[level][0]] != level:
                heapq.heappop(by_free[level])
        room = [level for level in range(needed, slots + 1) if by_free[level]]
        # The fullest that has room: few nodes, each with much to do.
        node = heapq.heappop(by_free[room[0]]) if room else len(free) + 1
        leave(node, free.get(node, slots) - needed)
        heapq.heappush(ending, (piece.stop, node, needed))
        yield node, piece
