"""What a job may cost, before it is sent: a range, and what it is taken from.

The time of a task is known only from a run before or from its limit. A run before gives
a range between spot and dedicated prices; a limit gives an upper bound. Nothing else is
made up: without either there is no estimate. Booting and idle nodes are the pool's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobs.checking import Checked, CheckedStage
from jobs.errors import JobsError
from jobs.plan import JobPlan
from jobs.prices import money, money_about, most_per_hour
from jobs.reasons import last_tree
from jobs.results import read_json
from jobs.stack import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a job may cost.

    Attributes:
        least: In `currency`.
        most: In `currency`; None: no bound is known.
        currency: Such as `USD`.
        source: What it is taken from, for a person.
    """

    least: float
    most: float | None
    currency: str
    source: str

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        """For a person."""
        if self.most is None:
            return self.source
        low, high = money(self.least, self.currency), money(self.most, self.currency)
        if not self.least:
            amount = f"{high} at most"
        elif low == high:
            amount = money_about(self.most, self.currency)
        else:
            amount = f"{low} to {high}"
        return f"{amount}, {self.source}"


def estimate(job: JobPlan, root: Path) -> Estimate:
    """What a job may cost.

    Args:
        job: The plan.
        root: Where result trees are.
    """
    checked = job.checked
    pool = checked.pool
    prices = [
        price
        for price, nodes in (
            (pool.dedicated_price_per_hour, pool.max_dedicated_nodes),
            (pool.spot_rate, pool.max_spot_nodes),
        )
        if price is not None and nodes
    ]
    currency = pool.price_currency
    if not prices:
        return Estimate(least=0.0, most=None, currency=currency, source="no price is known")
    sent = [(stage, job.count_of(stage)) for stage in checked.stages]
    limits = [_most_node_s(stage, count, pool) for stage, count in sent]
    bounded = [limit for limit in limits if limit is not None]
    most = sum(bounded) / 3600 * max(prices) if len(bounded) == len(limits) else None
    seen = _mean_task_s(job, root)
    if seen is not None:
        mean, job_id = seen
        node_s = sum(mean * count * _share(stage, pool) for stage, count in sent)
        low, high = (node_s / 3600 * price for price in (min(prices), max(prices)))
        if most is not None:
            low, high = min(low, most), min(high, most)
        return Estimate(
            least=low,
            most=high,
            currency=currency,
            source=f"as {job_id} took ({mean:.1f} s a task), on full nodes",
        )
    if most is not None:
        return Estimate(least=0.0, most=most, currency=currency, source="by resources.wall_clock")
    return Estimate(
        least=0.0,
        most=None,
        currency=currency,
        source=f"unknown before a first run: {_unbounded([stage for stage, _ in sent])}",
    )


def _unbounded(stages: Sequence[CheckedStage]) -> str:
    """Why nothing limits what tasks cost, in words."""
    needs = [stage.view.spec.resources for stage in stages]
    timeless = any(one.wall_clock is None for one in needs)
    if not any(one.retries < 0 for one in needs):
        return "resources.wall_clock would be a bound"
    if not timeless:
        return "resources.retries is -1, so that a task may run for ever"
    return "resources.wall_clock would be a bound, with resources.retries other than -1"


def _share(stage: CheckedStage, pool: Pool) -> float:
    """Nodes that a task takes, of nodes that are full."""
    several = stage.view.spec.multi_instance
    if several is not None:
        return float(several.nodes)
    fitting = pool.task_slots_per_node // max(1, stage.view.spec.resources.slots)
    return 1 / max(1, fitting)


def _most_node_s(stage: CheckedStage, count: int, pool: Pool) -> float | None:
    """Node seconds if every task, and every retry, takes all the time that it may."""
    resources = stage.view.spec.resources
    if resources.wall_clock is None or resources.retries < 0:
        return None
    tries = 1 + resources.retries
    return count * tries * resources.wall_clock.total_seconds() * _share(stage, pool)


def _mean_task_s(job: JobPlan, root: Path) -> tuple[float, str] | None:
    """How long a task took in the last run of the workload, and which that was."""
    found = last_tree(job, root)
    if found is None:
        return None
    tree, manifest = found
    try:
        report = read_json(tree.report_file)
        ended = int(report["succeeded"]) + int(report["failed"])
        mean = float(report["task_s"]) / ended
    except (JobsError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return mean, manifest.job_id


def node_price(checked: Checked) -> str:
    """The price of a node, and of all that the pool may have."""
    pool = checked.pool
    price, most = pool.dedicated_price_per_hour, most_per_hour(pool)
    if price is None or most is None:
        return "price unknown"
    return (
        f"{money(price, pool.price_currency)} an hour each, "
        f"{money(most, pool.price_currency)} an hour at most"
    )
