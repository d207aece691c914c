"""Azure's regions, as a dated table.

A default for finding typing errors offline, not an authority: a region that opened since is
refused with the way to silence that (`LOC001`), and whether Batch is in a region is for
`python -m infra check --live` to ask.

Sources: https://learn.microsoft.com/azure/reliability/regions-list for the public cloud,
https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure and
https://learn.microsoft.com/azure/china/overview-operations for the others.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

Cloud = Literal["public", "us-government", "china"]

REGIONS_AS_OF = date(2026, 11, 1)

REGIONS = (
    "australiacentral",
    "australiacentral2",
    "australiaeast",
    "australiasoutheast",
    "austriaeast",
    "belgiumcentral",
    "brazilsouth",
    "brazilsoutheast",
    "canadacentral",
    "canadaeast",
    "centralindia",
    "centralus",
    "chilecentral",
    "denmarkeast",
    "eastasia",
    "eastus",
    "eastus2",
    "francecentral",
    "francesouth",
    "germanynorth",
    "germanywestcentral",
    "indonesiacentral",
    "israelcentral",
    "italynorth",
    "japaneast",
    "japanwest",
    "jioindiacentral",
    "jioindiawest",
    "koreacentral",
    "koreasouth",
    "malaysiawest",
    "mexicocentral",
    "newzealandnorth",
    "northcentralus",
    "northeurope",
    "norwayeast",
    "norwaywest",
    "polandcentral",
    "qatarcentral",
    "southafricanorth",
    "southafricawest",
    "southcentralus",
    "southeastasia",
    "southindia",
    "spaincentral",
    "swedencentral",
    "swedensouth",
    "switzerlandnorth",
    "switzerlandwest",
    "uaecentral",
    "uaenorth",
    "uksouth",
    "ukwest",
    "westcentralus",
    "westeurope",
    "westindia",
    "westus",
    "westus2",
    "westus3",
    "usdodcentral",
    "usdodeast",
    "usgovarizona",
    "usgovtexas",
    "usgovvirginia",
    "chinaeast",
    "chinaeast2",
    "chinaeast3",
    "chinanorth",
    "chinanorth2",
    "chinanorth3",
)


def cloud_of(region: str) -> Cloud:
    """Which of Azure's clouds a region is in; clouds know nothing of each other's identities."""
    if region.startswith(("usgov", "usdod")):
        return "us-government"
    return "china" if region.startswith("china") else "public"
