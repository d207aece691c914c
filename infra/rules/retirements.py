"""What Azure retires, by date: an error after the day, a warning in the year before it.

Source: https://learn.microsoft.com/azure/virtual-machines/sizes/retirement/retired-sizes-list
and the retirement notices of Azure Batch. That list has dropped what went before 2025; those days
are of each series' own notice, in `articles/virtual-machines/sizes/migration-guides` of
https://github.com/MicrosoftDocs/azure-docs and, of H, on
https://learn.microsoft.com/azure/virtual-machines/h-series-retirement. A series whose day neither
tells, such as NDv2, is not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from infra.estate import Estate
from infra.regions import cloud_of
from infra.rules.pipeline import DEVOPS_HOST, credentials
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
        (date(2022, 8, 31), "H", r"H\d+m?r?(_Promo)?", "HB120rs_v3"),
        (date(2023, 9, 6), "NC", r"NC\d+r?(_Promo)?", "NC4as_T4_v3"),
        (date(2023, 9, 6), "NCv2", r"NC\d+r?s_v2", "NC24ads_A100_v4"),
        (date(2023, 9, 6), "ND", r"ND\d+r?s?", "NC24ads_A100_v4"),
        (date(2023, 9, 6), "NV", r"NV\d+(_Promo)?", "NV36ads_A10_v5"),
        (date(2024, 8, 31), "HB", r"HB60(-\d+)?rs", "HB120rs_v3"),
        (date(2024, 8, 31), "the first A series", r"A\d+", "D4s_v5"),
        (date(2025, 9, 30), "NCv3", r"NC\d+r?s_v3", "NC24ads_A100_v4"),
        (date(2026, 9, 30), "NVv3", r"NV\d+s_v3", "NV36ads_A10_v5"),
        (date(2026, 9, 30), "NVv4", r"NV\d+as_v4", "NV36ads_A10_v5"),
        (date(2027, 5, 31), "HC", r"HC44(-\d+)?rs", "HB176rs_v4"),
        (date(2027, 5, 31), "HBv2", r"HB120(-\d+)?rs_v2", "HB176rs_v4"),
        (date(2027, 5, 31), "NP", r"NP\d+s", "NC24ads_A100_v4"),
        (date(2027, 3, 31), "M192 of Msv2 and Mdsv2", r"M192id?m?s_v2", "E96s_v5"),
        (date(2028, 5, 1), "D, Ds, Dv2 and Dsv2", r"DS?\d+(-\d+)?i?(_v2)?(_Promo)?", "D4s_v5"),
        (date(2028, 5, 1), "Ls", r"L\d+s", "E96s_v5"),
        (date(2028, 11, 15), "B", r"B\d+(l|m)?s", "D2s_v5"),
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


# Azure DevOps' own issuer, in Azure's public cloud: service connections have Entra's instead.
_DEVOPS_ISSUER_UNTIL = date(2027, 7, 1)


def _issued_by_devops(estate: Estate) -> Iterator[str]:
    """Paths of the issuers that Azure DevOps gives up."""
    if cloud_of(estate.config.location) == "public":
        for path, credential in credentials(estate):
            if credential.issuer.startswith(f"https://{DEVOPS_HOST}"):
                yield f"{path}.issuer"


_CONVERT = (
    "convert the service connection to Entra's issuer and write the issuer and the subject that "
    "it shows then"
)


def _retired_issuers(estate: Estate) -> Iterator[Problem]:
    """No credential trusts an issuer that is retired."""
    if estate.today >= _DEVOPS_ISSUER_UNTIL:
        for path in _issued_by_devops(estate):
            yield Problem(
                path,
                f"Azure DevOps signs no tokens as {DEVOPS_HOST} since {_DEVOPS_ISSUER_UNTIL}, so "
                f"no run could sign in; {_CONVERT}",
            )


def _retiring_issuers(estate: Estate) -> Iterator[Problem]:
    """No credential trusts an issuer that is retired within a year."""
    if estate.today < _DEVOPS_ISSUER_UNTIL <= estate.today + _NOTICE:
        for path in _issued_by_devops(estate):
            yield Problem(
                path,
                f"Azure DevOps signs no tokens as {DEVOPS_HOST} from {_DEVOPS_ISSUER_UNTIL} on; "
                f"before that day, {_CONVERT}",
            )


_SIZES = "https://learn.microsoft.com/azure/virtual-machines/sizes/retirement/retired-sizes-list"
_ISSUERS = "https://learn.microsoft.com/azure/devops/pipelines/release/convert-service-connections"

RULES = (
    Rule(code="RET001", severity="error", source=_SIZES, judge=_retired_sizes),
    Rule(code="RET002", severity="warning", source=_SIZES, judge=_retiring_sizes),
    Rule(
        code="RET003",
        severity="warning",
        source="https://learn.microsoft.com/azure/batch/batch-linux-nodes",
        judge=_retiring_images,
    ),
    Rule(code="RET004", severity="error", source=_ISSUERS, judge=_retired_issuers),
    Rule(code="RET005", severity="warning", source=_ISSUERS, judge=_retiring_issuers),
)
