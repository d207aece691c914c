"""Rules of where a stack is."""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.findings import near_misses
from infra.regions import REGIONS, REGIONS_AS_OF, cloud_of
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


def _names_of_services_are_the_clouds(estate: Estate) -> Iterator[Problem]:
    """Names that the program gives services are those of the region's cloud."""
    config = estate.config
    if cloud_of(config.location) == "public":
        return
    for path, is_used, what in (
        ("network.private_endpoints", config.network.private_endpoints, "private zones"),
        ("registry.name", config.registry.name is not None, "the registry's server"),
        ("storage.file_systems", bool(config.storage.file_systems), "hosts of file systems"),
    ):
        if is_used:
            yield Problem(
                path,
                f"{what} would have the names of Azure's public cloud, which nothing in the "
                f"cloud of {config.location} resolves; leave this key out, and make it outside "
                "of this stack",
            )


RULES = (
    Rule(
        code="LOC001",
        severity="error",
        source="https://learn.microsoft.com/azure/reliability/regions-list",
        judge=_the_region_is_known,
    ),
    Rule(
        code="LOC002",
        severity="error",
        source="https://learn.microsoft.com/azure/azure-government/"
        "compare-azure-government-global-azure",
        judge=_names_of_services_are_the_clouds,
    ),
)
