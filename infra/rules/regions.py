"""Rules of where a stack is."""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.findings import near_misses
from infra.regions import REGIONS, REGIONS_AS_OF
from infra.rules.rule import Problem, Rule


def _the_region_is_known(estate: Estate) -> Iterator[Problem]:
    """The region is one of Azure's."""
    location = estate.config.location
    if location not in REGIONS:
        close = near_misses(location, REGIONS) or (
            "; `az account list-locations --query [].name` lists those of a subscription."
        )
        yield Problem(
            "location",
            f"'{location}' is no region of Azure's, as of {REGIONS_AS_OF}, and nothing could be "
            f"made there{close} Where it opened since, silence this rule with that reason",
        )


RULES = (
    Rule(
        code="LOC001",
        severity="error",
        source="https://learn.microsoft.com/azure/reliability/regions-list",
        judge=_the_region_is_known,
    ),
)
