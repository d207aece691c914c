"""Rules of VM sizes against what a pool is for."""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.findings import near_misses
from infra.rules.rule import Problem, Rule
from infra.sizes import SIZES


def _sizes_are_known(estate: Estate) -> Iterator[Problem]:
    """VM sizes are in the size table."""
    for pool in estate.pools:
        if pool.size is None:
            close = near_misses(pool.vm_size, SIZES)
            yield Problem(
                f"{pool.path}.vm_size",
                f"{pool.vm_size} is not in the size table{close or ''} "
                "Without it quota, price and slots cannot be checked",
            )


def _sizes_fit_their_preset(estate: Estate) -> Iterator[Problem]:
    """Gpu pools have GPUs, rdma pools InfiniBand."""
    for pool in estate.pools:
        if pool.size is None:
            continue
        if pool.preset == "gpu" and pool.size.gpu is None:
            choices = ", ".join(size.name for size in SIZES.values() if size.gpu)
            yield Problem(
                f"{pool.path}.vm_size", f"{pool.vm_size} has no GPU; write one of {choices}"
            )
        if pool.preset == "rdma" and not pool.size.has_rdma:
            choices = ", ".join(size.name for size in SIZES.values() if size.has_rdma)
            yield Problem(
                f"{pool.path}.vm_size", f"{pool.vm_size} has no InfiniBand; write one of {choices}"
            )


_TABLE = "https://learn.microsoft.com/azure/virtual-machines/sizes/overview"

RULES = (
    Rule(code="SIZ001", severity="warning", source=_TABLE, judge=_sizes_are_known),
    Rule(code="SIZ002", severity="error", source=_TABLE, judge=_sizes_fit_their_preset),
)
