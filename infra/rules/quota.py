"""Rules of core quota, summed over pools."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from infra.estate import Estate
from infra.findings import near_misses
from infra.rules.rule import Problem, Rule
from infra.sizes import SIZES


def vcpus_by_series(estate: Estate) -> dict[str, int]:
    """Most dedicated vCPUs of all pools together, by series; unknown sizes are left out."""
    total: dict[str, int] = defaultdict(int)
    for pool in estate.pools:
        if pool.size is not None and pool.scale.max_dedicated_nodes:
            total[pool.size.series] += pool.scale.max_dedicated_nodes * pool.size.vcpus
    return dict(sorted(total.items()))


def spot_vcpus(estate: Estate) -> int:
    """Most spot vCPUs of all pools together; unknown sizes are left out."""
    return sum(pool.scale.max_spot_nodes * pool.size.vcpus for pool in estate.pools if pool.size)


def _dedicated_quota_suffices(estate: Estate) -> Iterator[Problem]:
    """Pools together stay within the vCPU quota of each series."""
    quota = estate.config.batch.vcpu_quota_by_series
    for series, wanted in vcpus_by_series(estate).items():
        if series in quota and wanted > quota[series]:
            pools = ", ".join(
                pool.name
                for pool in estate.pools
                if pool.size is not None and pool.size.series == series
            )
            yield Problem(
                f"batch.vcpu_quota_by_series.{series}",
                f"pools {pools} ask for {wanted} vCPUs together and the quota is "
                f"{quota[series]}: they would stop growing with AccountCoreQuotaReached; "
                "lower their most nodes or request quota",
            )


def _spot_quota_suffices(estate: Estate) -> Iterator[Problem]:
    """Spot nodes together stay within the spot vCPU quota."""
    quota = estate.config.batch.spot_vcpu_quota
    wanted = spot_vcpus(estate)
    if quota is not None and wanted > quota:
        yield Problem(
            "batch.spot_vcpu_quota",
            f"spot nodes ask for {wanted} vCPUs together and the quota is {quota}; lower "
            "the pools' most spot nodes or request quota",
        )


def _quota_names_series(estate: Estate) -> Iterator[Problem]:
    """Quota is given for series that the table of sizes has."""
    known = sorted({size.series for size in SIZES.values()})
    for series in estate.config.batch.vcpu_quota_by_series:
        if series not in known:
            close = near_misses(series, known)
            yield Problem(
                f"batch.vcpu_quota_by_series.{series}",
                f"no size of the table (infra/sizes.py) is of this series, so nothing is "
                f"compared with its quota{close or '; series are ' + ', '.join(known)}",
            )


_QUOTA = "https://learn.microsoft.com/azure/batch/batch-quota-limit"

RULES = (
    Rule(code="QUO001", severity="error", source=_QUOTA, judge=_dedicated_quota_suffices),
    Rule(code="QUO002", severity="error", source=_QUOTA, judge=_spot_quota_suffices),
    Rule(code="QUO003", severity="error", source=_QUOTA, judge=_quota_names_series),
)
