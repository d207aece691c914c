"""What Azure retires, by date: an error after the day, a warning in the year before it.

Source: https://learn.microsoft.com/azure/virtual-machines/sizes/retirement/retired-sizes-list
and the retirement notices of Azure Batch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from infra.estate import Estate
from infra.rules.rule import Problem, Rule

_NOTICE = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """Sizes that go away on a day, and what to use instead."""

    series: str
    pattern: re.Pattern[str]
    on: date
    successor: str

    def is_past(self, today: date) -> bool:
        """Whether Azure has retired the series."""
        return self.on <= today

    def is_near(self, today: date) -> bool:
        """Whether Azure retires the series within a year."""
        return today < self.on <= today + _NOTICE

    def past_text(self, size: str) -> str:
        """What to say of a size whose day is past."""
        return (
            f"{size}: Azure retired {self.series} on {self.on}, so no node "
            f"would start; write {self.successor} or another current size"
        )

    def near_text(self, size: str) -> str:
        """What to say of a size whose day is near."""
        return (
            f"{size}: Azure retires {self.series} on {self.on}; move to "
            f"{self.successor} or another current size before that day"
        )


def _sizes(pattern: str) -> re.Pattern[str]:
    return re.compile(f"^Standard_{pattern}$", re.IGNORECASE)


RETIREMENTS = tuple(
    Retirement(series=series, pattern=_sizes(pattern), on=on, successor=f"Standard_{successor}")
    for on, series, pattern, successor in (
        (date(2025, 9, 30), "NCv3", r"NC\d+r?s_v3", "NC24ads_A100_v4"),
        (date(2026, 9, 30), "NVv3", r"NV\d+s_v3", "NV36ads_A10_v5"),
        (date(2026, 9, 30), "NVv4", r"NV\d+as_v4", "NV36ads_A10_v5"),
        (date(2027, 5, 31), "HC", r"HC44(-\d+)?rs", "HB176rs_v4"),
        (date(2027, 5, 31), "HBv2", r"HB120(-\d+)?rs_v2", "HB176rs_v4"),
        (date(2027, 5, 31), "NP", r"NP\d+s", "NC24ads_A100_v4"),
        (date(2028, 11, 15), "Av2", r"A\d+m?_v2", "D4s_v5"),
        (date(2028, 11, 15), "F, Fs and Fsv2", r"F\d+(s|s_v2)?", "D4s_v5"),
        (date(2028, 11, 15), "G and Gs", r"GS?\d+(-\d+)?", "E96s_v5"),
        (date(2028, 11, 15), "Lsv2", r"L\d+s_v2", "E96s_v5"),
        (date(2029, 11, 15), "Dv3 and Dsv3", r"D\d+s?_v3", "D4s_v5"),
        (date(2029, 11, 15), "Ev3 and Esv3", r"E\d+(-\d+)?i?s?_v3", "E4s_v5"),
    )
)


def retirements_of(size: str) -> Iterator[Retirement]:
    """The retirements that a size is part of, whatever their day."""
    return (one for one in RETIREMENTS if one.pattern.match(size))


def image_is_retiring(node_agent_sku_id: str) -> str:
    """What to say of an image whose end is announced, by its node agent; else empty."""
    if node_agent_sku_id != "batch.node.ubuntu 22.04":
        return ""
    return "Batch has announced the end of Ubuntu 22.04; write ubuntu-hpc-24.04 or ubuntu-24.04"


def _retired_sizes(estate: Estate) -> Iterator[Problem]:
    """No size is retired."""
    for pool in estate.pools:
        for one in retirements_of(pool.vm_size):
            if one.is_past(estate.today):
                yield Problem(f"{pool.path}.vm_size", one.past_text(pool.vm_size))


def _retiring_sizes(estate: Estate) -> Iterator[Problem]:
    """No size retires within a year."""
    for pool in estate.pools:
        for one in retirements_of(pool.vm_size):
            if one.is_near(estate.today):
                yield Problem(f"{pool.path}.vm_size", one.near_text(pool.vm_size))


def _retiring_images(estate: Estate) -> Iterator[Problem]:
    """No image whose end is announced is used."""
    for pool in estate.pools:
        text = image_is_retiring(pool.node_agent_sku_id)
        if text:
            yield Problem(f"{pool.path}.image", text)


_SIZES = "https://learn.microsoft.com/azure/virtual-machines/sizes/retirement/retired-sizes-list"

RULES = (
    Rule(code="RET001", severity="error", source=_SIZES, judge=_retired_sizes),
    Rule(code="RET002", severity="warning", source=_SIZES, judge=_retiring_sizes),
    Rule(
        code="RET003",
        severity="warning",
        source="https://learn.microsoft.com/azure/batch/batch-linux-nodes",
        judge=_retiring_images,
    ),
)
