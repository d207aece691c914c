"""What an estate may want of its account's quota, and what it has of it today.

Pure, over what Azure answered (`infra.live`). Families are Azure's, each with a quota of its
own, unless the account has one for all; `python -m infra plan --live` prints the numbers and
rules judge them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from infra.estate import Estate
from infra.live import LiveFacts, LiveSize

ALL_FAMILIES = "all families"
SPOT = "spot"
POOLS = "pools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """vCPUs of dedicated nodes at most, and whose: names of pools."""

    vcpus: int
    pools: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUse:
    """One quota of the account.

    Attributes:
        name: A family's, or what else it is of.
        unit: `vCPUs` or `pools`.
        most: What the estate may come to.
        now: What there is today; None where Azure did not say.
        quota: What there may be; None where Azure did not say.
    """

    name: str
    unit: str
    most: int
    now: int | None
    quota: int | None

    @property
    def suffices(self) -> bool:
        """Whether nothing is known to be too little."""
        return self.quota is None or self.most <= self.quota


def find_size(vm_size: str, facts: LiveFacts) -> LiveSize | None:
    """What Azure says of a size."""
    return (facts.sizes or {}).get(vm_size.casefold())


def wanted_by_family(estate: Estate, facts: LiveFacts) -> dict[str, Wanted]:
    """Dedicated vCPUs at most, by family in Azure's spelling; empty for a size unknown to it."""
    vcpus: dict[str, int] = defaultdict(int)
    pools: dict[str, list[str]] = defaultdict(list)
    for pool in estate.pools:
        size = find_size(pool.vm_size, facts)
        each = size.vcpus if size and size.vcpus else pool.size.vcpus if pool.size else None
        if each is None or not pool.scale.max_dedicated_nodes:
            continue
        family = size.family if size else ""
        vcpus[family] += each * pool.scale.max_dedicated_nodes
        pools[family].append(pool.name)
    return {
        family: Wanted(vcpus=vcpus[family], pools=tuple(pools[family])) for family in sorted(vcpus)
    }


def wanted_spot_vcpus(estate: Estate, facts: LiveFacts) -> int:
    """Spot vCPUs at most, of all pools together."""
    total = 0
    for pool in estate.pools:
        size = find_size(pool.vm_size, facts)
        each = size.vcpus if size and size.vcpus else pool.size.vcpus if pool.size else 0
        total += each * pool.scale.max_spot_nodes
    return total


def quota_use(estate: Estate, facts: LiveFacts) -> tuple[QuotaUse, ...]:
    """Each quota that the estate draws on, beside what it may come to and what there is."""
    return tuple(_quota_use(estate, facts))


def _quota_use(estate: Estate, facts: LiveFacts) -> Iterator[QuotaUse]:
    quota = facts.quota
    now = _vcpus_now(facts)
    wanted = wanted_by_family(estate, facts)
    by_family = quota.vcpus_by_family if quota else None
    if quota is not None and by_family is None:
        yield QuotaUse(
            name=ALL_FAMILIES,
            unit="vCPUs",
            most=sum(one.vcpus for one in wanted.values()),
            now=None if now is None else sum(now[0].values()),
            quota=quota.dedicated_vcpus,
        )
    else:
        for family, one in wanted.items():
            if family:
                yield QuotaUse(
                    name=family,
                    unit="vCPUs",
                    most=one.vcpus,
                    now=None if now is None else now[0][family.casefold()],
                    quota=None if by_family is None else by_family.get(family.casefold(), 0),
                )
    spot = wanted_spot_vcpus(estate, facts)
    if spot:
        yield QuotaUse(
            name=SPOT,
            unit="vCPUs",
            most=spot,
            now=None if now is None else now[1],
            quota=quota.spot_vcpus if quota else None,
        )
    yield QuotaUse(
        name=POOLS,
        unit=POOLS,
        most=len(estate.pools),
        now=None if facts.nodes is None else len(facts.nodes),
        quota=quota.pools if quota else None,
    )


def _vcpus_now(facts: LiveFacts) -> tuple[dict[str, int], int] | None:
    """Dedicated vCPUs of today by family in lower case, and spot vCPUs."""
    if facts.nodes is None or facts.sizes is None:
        return None
    dedicated: dict[str, int] = defaultdict(int)
    spot = 0
    for one in facts.nodes:
        size = find_size(one.vm_size, facts)
        if size is None or size.vcpus is None:
            return None
        dedicated[size.family.casefold()] += one.dedicated * size.vcpus
        spot += one.spot * size.vcpus
    return dedicated, spot
