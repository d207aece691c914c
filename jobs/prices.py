"""What a job's use of nodes is worth: node time, its price, and each task's share of it.

Node seconds count the time in which a node had at least one of the job's tasks: that is
what the job keeps a node for, whatever number of its slots it fills. Boot and idle time
belong to the pool, not to the job, and are left out. What the nodes cost is divided among
the tasks by the slot time that each took, so that tasks and stages add up to the job.

When nodes had which tasks, those that ran again included, is in `jobs.node_spans`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from jobs.looks import TaskEnd
from jobs.node_spans import busy_s
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


def node_time(ends: Collection[TaskEnd], slots: int) -> NodeTime:
    """Node seconds of tasks on nodes of so many slots, those of earlier attempts estimated."""
    return NodeTime(
        dedicated_s=busy_s((end for end in ends if not end.on_spot), slots),
        spot_s=busy_s((end for end in ends if end.on_spot), slots),
    )


def estimated_s(ends: Collection[TaskEnd], slots: int) -> float:
    """Of their node seconds, those that are an estimate: of attempts of which nothing is kept."""
    if not any(end.estimated for end in ends):
        return 0.0
    known = [replace(end, retries=0, requeues=0) if end.estimated else end for end in ends]
    return max(0.0, busy_s(ends, slots) - busy_s(known, slots))


def shares(ends: Collection[TaskEnd], pool: Pool, used: NodeTime | None = None) -> Shares:
    """Divides what the nodes cost among these tasks, all that the job ran.

    Args:
        ends: The tasks.
        pool: Where they ran.
        used: What is divided, if it is not just their own node time.
    """
    used = node_time(ends, pool.task_slots_per_node) if used is None else used
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
