"""Rules of VM sizes against what a pool is for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from infra.estate import Estate
from infra.findings import near_misses
from infra.rules.rule import Problem, Rule
from infra.sizes import SIZES

_TOLD = 8
"""Sizes of a family that a message names."""
_FAMILY = re.compile(r"(?:[A-Za-z]+_)?([A-Za-z]+)\d")


def near_sizes(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` for sizes of the name's own family that look like it, else empty.

    A family is what stands before the first number: a pool of GPUs (`NC`) is never meant to be
    one of processors (`F`). Where none looks like the name the first of the family are told.
    """
    family = _family(name)
    same = [one for one in known if family and _family(one) == family]
    close = near_misses(name, same)
    if same and not close:
        return f"; of its family there are {', '.join(same[:_TOLD])}{', …' * (len(same) > _TOLD)}."
    return close


def _family(name: str) -> str:
    found = _FAMILY.match(name)
    return found[1].casefold() if found else ""


def _sizes_are_known(estate: Estate) -> Iterator[Problem]:
    """VM sizes are in the size table."""
    for pool in estate.pools:
        if pool.size is None:
            near = near_sizes(pool.vm_size, SIZES) or "."
            yield Problem(
                f"{pool.path}.vm_size",
                f"{pool.vm_size} is not in the size table{near} "
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
