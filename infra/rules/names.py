"""Rules of names that the program puts together from those of stacks and pools.

What a name may be by itself is said in the config models; here is what becomes of it. Names
of accounts and of the resource group are cut to fit (`infra.names`), pools' own have room;
what carries a whole name of the config inside another's can be too long.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.names import PREFIX, RANDOM_DIGITS, security_group_name, subnet_prefix
from infra.rules.rule import Problem, Rule
from infra.subnets import ENDPOINT_SUBNET

_LONGEST = 80
"""Of subnets and of network security groups."""


def _network_names_fit(estate: Estate) -> Iterator[Problem]:
    """Subnets and their security groups have names of 80 characters at most."""
    plan = estate.network
    if plan is None:
        return
    existing = estate.config.network.existing
    prefix = subnet_prefix(estate.stack) if existing else ""
    for subnet in plan.subnets:
        group = len(security_group_name(f"{PREFIX}-network", subnet.name)) + RANDOM_DIGITS
        too_long = max(group, len(prefix + subnet.name)) - _LONGEST
        if too_long <= 0:
            continue
        carries_pool = estate.config.network.subnets == "per-pool" and len(subnet.pools) == 1
        where = f"pools.{subnet.pools[0]}" if carries_pool else "network.existing"
        whose = "the pool's or the stack's name" if existing else "the pool's name"
        yield Problem(
            where,
            f"the subnet {prefix}{subnet.name} or its security group would have a name of "
            f"{_LONGEST + too_long} characters, and Azure allows {_LONGEST}; shorten {whose} by "
            f"{too_long}, or write subnets: shared",
        )
    too_long = len(prefix + ENDPOINT_SUBNET) - _LONGEST
    if plan.endpoint_prefix is not None and too_long > 0:
        yield Problem(
            "network.existing",
            f"the subnet {prefix}{ENDPOINT_SUBNET} would have a name of {_LONGEST + too_long} "
            f"characters, and Azure allows {_LONGEST}; shorten the stack's name by {too_long}, or "
            "give an endpoint_subnet_id",
        )


RULES = (
    Rule(
        code="NAM001",
        severity="error",
        source="https://learn.microsoft.com/azure/azure-resource-manager/management/"
        "resource-name-rules",
        judge=_network_names_fit,
    ),
)
