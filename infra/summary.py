"""What an estate comes to, in numbers: nodes, vCPUs, addresses, price per hour.

Pure: `python -m infra plan` prints it, as a table or as JSON. Prices are the project's
(`infra.sizes`) or those of a table (`infra.prices`), for nodes alone: disks, gateways, logs
and traffic are not in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from infra.estate import Estate
from infra.live import LiveFacts, Unasked
from infra.live_use import QuotaUse, quota_use
from infra.pools import PoolPlan
from infra.prices import TABLE_SOURCE, PriceTable, with_prices
from infra.rules.quota import spot_vcpus, vcpus_by_series
from infra.sizes import PRICE_CURRENCY, PRICES_AS_OF


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSummary:
    """One pool in numbers.

    Attributes:
        idle_price_per_hour: Of the nodes that are always there; None where a price that
            it needs has no source.
        full_price_per_hour: Of the most nodes, likewise.
        full_price_is_bound: Spot nodes without a price are counted at the price on demand,
            which spot never exceeds.
        formula: As it will be sent, or None for a fixed pool.
    """

    name: str
    vm_size: str
    vcpus: int | None
    image: str
    task_slots_per_node: int
    min_nodes: int
    max_dedicated_nodes: int
    max_spot_nodes: int
    max_vcpus: int | None
    max_tasks: int
    idle_price_per_hour: float | None
    full_price_per_hour: float | None
    full_price_is_bound: bool
    subnet: str
    formula: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSummary:
    """Dedicated vCPUs of a series at most, against the quota that the config gives."""

    series: str
    max_vcpus: int
    quota: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetSummary:
    """A subnet's addresses against the nodes that may want them."""

    name: str
    prefix: str
    max_nodes: int
    usable_addresses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSummary:
    """What Azure says of the stack's account; None for an account that is not there yet."""

    account: str | None
    quotas: tuple[QuotaUse, ...]
    unasked: tuple[Unasked, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """An estate in numbers; prices as those of pools, None where one of them is.

    `live` is None where Azure was not asked.
    """

    stack: str
    location: str
    pools: tuple[PoolSummary, ...]
    series: tuple[SeriesSummary, ...]
    max_spot_vcpus: int
    spot_vcpu_quota: int | None
    subnets: tuple[SubnetSummary, ...]
    idle_price_per_hour: float | None
    full_price_per_hour: float | None
    full_price_is_bound: bool
    price_currency: str
    prices_as_of: str
    prices_source: str
    live: LiveSummary | None

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON has it."""
        return asdict(self)


def summarise(
    estate: Estate, *, prices: PriceTable | None = None, live: LiveFacts | None = None
) -> Summary:
    """The estate in numbers, at the project's prices or at those of a table.

    Args:
        estate: The plan.
        prices: A table to take prices from; the project's when absent.
        live: What Azure answered, to be told beside the plan.
    """
    if prices is not None:
        estate = with_prices(estate, prices)
    pools = tuple(_summarise_pool(pool, estate) for pool in estate.pools)
    quota = estate.config.batch.vcpu_quota_by_series
    return Summary(
        stack=estate.stack,
        location=estate.config.location,
        pools=pools,
        series=tuple(
            SeriesSummary(series=series, max_vcpus=vcpus, quota=quota.get(series))
            for series, vcpus in vcpus_by_series(estate).items()
        ),
        max_spot_vcpus=spot_vcpus(estate),
        spot_vcpu_quota=estate.config.batch.spot_vcpu_quota,
        subnets=tuple(
            SubnetSummary(
                name=subnet.name,
                prefix=str(subnet.prefix),
                max_nodes=subnet.max_nodes,
                usable_addresses=subnet.usable_addresses,
            )
            for subnet in (estate.network.subnets if estate.network else ())
        ),
        idle_price_per_hour=_sum(pool.idle_price_per_hour for pool in pools),
        full_price_per_hour=_sum(pool.full_price_per_hour for pool in pools),
        full_price_is_bound=any(pool.full_price_is_bound for pool in pools),
        price_currency=prices.currency if prices else PRICE_CURRENCY,
        prices_as_of=(prices.as_of if prices else PRICES_AS_OF).isoformat(),
        prices_source=prices.source if prices else TABLE_SOURCE,
        live=(
            LiveSummary(account=live.account, quotas=quota_use(estate, live), unasked=live.unasked)
            if live
            else None
        ),
    )


def _summarise_pool(pool: PoolPlan, estate: Estate) -> PoolSummary:
    scale = pool.scale
    if pool.image is not None:
        image = f"{pool.image.offer} {pool.image.sku} {pool.image_version}"
    else:
        image = str(pool.gallery_image_id)
    existing = estate.config.network.existing
    subnet = existing.subnet_of(pool.name) if existing else None
    if subnet is None:
        planned = estate.network.find_subnet(pool.name) if estate.network else None
        subnet = planned.name if planned else ""
    full_price = pool.price_per_hour(
        dedicated_nodes=scale.max_dedicated_nodes, spot_nodes=scale.max_spot_nodes
    )
    is_bound = full_price is None
    if is_bound:
        full_price = pool.price_per_hour(dedicated_nodes=scale.max_nodes, spot_nodes=0)
    return PoolSummary(
        name=pool.name,
        vm_size=pool.vm_size,
        vcpus=pool.size.vcpus if pool.size else None,
        image=image,
        task_slots_per_node=pool.task_slots_per_node,
        min_nodes=scale.min_nodes,
        max_dedicated_nodes=scale.max_dedicated_nodes,
        max_spot_nodes=scale.max_spot_nodes,
        max_vcpus=pool.size.vcpus * scale.max_nodes if pool.size else None,
        max_tasks=pool.task_slots_per_node * scale.max_nodes,
        idle_price_per_hour=pool.idle_price_per_hour,
        full_price_per_hour=full_price,
        full_price_is_bound=is_bound and full_price is not None,
        subnet=subnet,
        formula=scale.formula,
    )


def _sum(prices: Iterable[float | None]) -> float | None:
    total = 0.0
    for price in prices:
        if price is None:
            return None
        total += price
    return round(total, 4)
