"""What a job's use of nodes is worth: node time, its price, and each task's share of it.

Node seconds count the time in which a node had at least one of the job's tasks: that is
what the job keeps a node for, whatever number of its slots it fills. Boot and idle time
belong to the pool, not to the job, and are left out. What the nodes cost is divided among
the tasks by the slot time that each took, so that tasks and stages add up to the job.

A multi-instance task has its nodes for itself: the service runs it only in pools of one
slot a node. Which they are but the first it does not tell with the task: what counts is how
many. Of a task that ran again it keeps the last attempt only; the
earlier ones are taken to lie before it on the same node (`TaskEnd.earlier_s`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import accumulate

from jobs.looks import TaskEnd
from jobs.stack import Pool

_LEAST_SHOWN = 0.0001


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTime:
    """Node seconds, by what a node second costs.

    Attributes:
        dedicated_s: On dedicated nodes.
        spot_s: On spot nodes.
    """

    dedicated_s: float = 0.0
    spot_s: float = 0.0

    @property
    def total_s(self) -> float:
        """On nodes of both kinds."""
        return self.dedicated_s + self.spot_s

    def times(self, factor: float) -> NodeTime:
        """So many times as much."""
        return NodeTime(dedicated_s=self.dedicated_s * factor, spot_s=self.spot_s * factor)

    def cost(self, pool: Pool) -> float | None:
        """In the pool's currency; None if nodes of a kind were used whose price is not known."""
        total = 0.0
        for seconds, price in (
            (self.dedicated_s, pool.dedicated_price_per_hour),
            (self.spot_s, pool.spot_rate),
        ):
            if seconds and price is None:
                return None
            total += seconds / 3600 * (price or 0.0)
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What a second of one slot cost, so that all tasks together cost what the nodes did.

    Attributes:
        dedicated: On dedicated nodes; None where no price is known.
        spot: On spot nodes.
    """

    dedicated: float | None
    spot: float | None

    def of(self, end: TaskEnd) -> float | None:
        """A task's share of the cost."""
        rate = self.spot if end.on_spot else self.dedicated
        return None if rate is None else rate * slot_s(end)


def node_time(ends: Collection[TaskEnd]) -> NodeTime:
    """Node seconds of tasks, those of earlier attempts estimated."""
    return NodeTime(
        dedicated_s=busy_s(end for end in ends if not end.on_spot),
        spot_s=busy_s(end for end in ends if end.on_spot),
    )


def estimated_s(ends: Collection[TaskEnd]) -> float:
    """Of their node seconds, those that are an estimate: of attempts of which nothing is kept."""
    if not any(end.estimated for end in ends):
        return 0.0
    known = [replace(end, retries=0, requeues=0) if end.estimated else end for end in ends]
    return max(0.0, busy_s(ends) - busy_s(known))


def shares(ends: Collection[TaskEnd], pool: Pool, used: NodeTime | None = None) -> Shares:
    """Divides what the nodes cost among these tasks, all that the job ran.

    Args:
        ends: The tasks.
        pool: Where they ran.
        used: What is divided, if it is not just their own node time.
    """
    used = node_time(ends) if used is None else used
    rates: list[float | None] = []
    for on_spot, seconds, price in (
        (False, used.dedicated_s, pool.dedicated_price_per_hour),
        (True, used.spot_s, pool.spot_rate),
    ):
        taken = sum(slot_s(end) for end in ends if end.on_spot == on_spot)
        cost = None if price is None else seconds / 3600 * price
        rates.append(None if cost is None else cost / taken if taken else 0.0)
    return Shares(dedicated=rates[0], spot=rates[1])


def slot_s(end: TaskEnd) -> float:
    """Slot seconds: the time of all its attempts by the slots that it took on all its nodes."""
    return (end.earlier_s + end.run_s) * end.slots * end.instances


def places(end: TaskEnd) -> tuple[str, ...]:
    """A name for each node that a task had; those that are not known are numbered by its first."""
    if _is_located(end):
        return (end.node_id, *end.beside)
    return (end.node_id, *(f"{end.node_id} +{number}" for number in range(1, end.instances)))


def _is_located(end: TaskEnd) -> bool:
    """Whether all of its nodes are known."""
    return len(end.beside) == end.instances - 1


def busy_spans(ends: Iterable[TaskEnd]) -> dict[str, list[tuple[float, float]]]:
    """When each node had a task: by its name as of `places`, spans that do not touch, in order."""
    by_node: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for end in ends:
        if end.started is not None:
            span = (end.started - end.earlier_s, max(end.started, end.ended))
            for node in places(end):
                by_node[node].append(span)
    merged: dict[str, list[tuple[float, float]]] = {}
    for node, spans in by_node.items():
        spans.sort()
        kept: list[tuple[float, float]] = []
        for start, stop in spans:
            if kept and start <= kept[-1][1]:
                kept[-1] = (kept[-1][0], max(kept[-1][1], stop))
            else:
                kept.append((start, stop))
        merged[node] = kept
    return merged


def nodes_at_least(ends: Collection[TaskEnd]) -> int:
    """How many different nodes ran tasks: those that are told, or as many as had one at once."""
    told = len({node for end in ends for node in (end.node_id, *end.beside)})
    if all(map(_is_located, ends)):
        return told
    spans = [span for node in busy_spans(ends).values() for span in node]
    steps = sorted([(start, 1) for start, _ in spans] + [(stop, -1) for _, stop in spans])
    return max(told, *accumulate(step for _, step in steps))


def busy_s(ends: Iterable[TaskEnd]) -> float:
    """Seconds in which nodes had a task, summed over nodes: the union of the tasks' times."""
    return sum(stop - start for spans in busy_spans(ends).values() for start, stop in spans)


def most_per_hour(pool: Pool) -> float | None:
    """What all nodes that a pool may have cost an hour; None where no price is known."""
    price, spot = pool.dedicated_price_per_hour, pool.spot_rate
    if price is None or spot is None:
        return None
    return pool.max_dedicated_nodes * price + pool.max_spot_nodes * spot


def money_at_least(amount: float, currency: str) -> str:
    """An amount that is a part of what is meant, as words; empty where it tells nothing."""
    return f"more than {money(amount, currency)}" if amount >= _LEAST_SHOWN else ""


def money_about(amount: float, currency: str) -> str:
    """An amount that is not exact, as words."""
    least = 0 < amount < _LEAST_SHOWN
    return money(amount, currency) if least else f"about {money(amount, currency)}"


def money(amount: float, currency: str) -> str:
    """An amount with as many digits as it needs: `$1.84`, `$0.0003`."""
    sign = "$" if currency == "USD" else f"{currency} "
    if 0 < amount < _LEAST_SHOWN:
        return f"less than {sign}{_LEAST_SHOWN}"
    digits = 2 if amount >= 1 or amount == 0 else 4
    return f"{sign}{amount:,.{digits}f}"
