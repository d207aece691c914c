"""Rules of a network that exists already: what is named, and what has no effect there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from infra.estate import Estate
from infra.existing_network import name_of, subscription_of
from infra.findings import near_misses
from infra.private_endpoints import planned_endpoints
from infra.rules.rule import Problem, Rule


def _everything_has_a_subnet(estate: Estate) -> Iterator[Problem]:
    """Each pool, and private endpoints where there are any, have a subnet."""
    network = estate.config.network
    existing = network.existing
    if existing is None or existing.virtual_network_id is not None:
        return
    for pool in estate.pools:
        if existing.subnet_of(pool.name) is None:
            yield Problem(
                f"network.existing.pool_subnet_ids.{pool.name}",
                "the pool has no subnet to join; give it one here, one for all pools as "
                "subnet_id, or virtual_network_id and free_prefixes to make one in",
            )
    if network.private_endpoints and existing.endpoint_subnet_id is None:
        yield Problem(
            "network.existing.endpoint_subnet_id",
            "private endpoints have no subnet; give one here, or virtual_network_id and "
            "free_prefixes to make one in",
        )


def _subnets_are_of_pools(estate: Estate) -> Iterator[Problem]:
    """Subnets of pools are given for pools that exist."""
    existing = estate.config.network.existing
    names = [pool.name for pool in estate.pools]
    for name in existing.pool_subnet_ids if existing else ():
        if name not in names:
            close = near_misses(name, names)
            yield Problem(
                f"network.existing.pool_subnet_ids.{name}",
                f"there is no such pool, so nothing would join the subnet"
                f"{close or '; pools are ' + ', '.join(names)}",
            )


def _ranges_belong_to_a_network(estate: Estate) -> Iterator[Problem]:
    """A network to make subnets in comes with the ranges that are free in it."""
    existing = estate.config.network.existing
    if existing is None:
        return
    if existing.virtual_network_id is not None and not existing.free_prefixes:
        yield Problem(
            "network.existing.free_prefixes",
            "nobody can tell offline which addresses of the network are free, and Azure "
            "refuses subnets that overlap; write the ranges set aside for this stack, such as "
            "[10.20.4.0/22]",
        )
    if existing.virtual_network_id is None and existing.free_prefixes:
        yield Problem(
            "network.existing.virtual_network_id",
            "free_prefixes are of a network and it is not named; give its id, or leave "
            "free_prefixes out",
        )


def _ranges_are_apart(estate: Estate) -> Iterator[Problem]:
    """Free ranges do not overlap."""
    existing = estate.config.network.existing
    ranges = list(enumerate(existing.free_prefixes if existing else ()))
    for (_, first), (index, second) in combinations(ranges, 2):
        if first.overlaps(second):
            yield Problem(
                f"network.existing.free_prefixes.{index}",
                f"{second} overlaps {first}, so two subnets could get the same addresses; "
                "write each range once",
            )


def _nodes_are_in_one_subscription(estate: Estate) -> Iterator[Problem]:
    """All networks of nodes are in one subscription, which must be the stack's."""
    existing = estate.config.network.existing
    if existing is None:
        return
    ids = {
        **{f"pool_subnet_ids.{name}": one for name, one in existing.pool_subnet_ids.items()},
        "subnet_id": existing.subnet_id,
        "virtual_network_id": existing.virtual_network_id,
    }
    given = sorted((path, one) for path, one in ids.items() if one is not None)
    for path, one in given[1:]:
        if subscription_of(one) != subscription_of(given[0][1]):
            yield Problem(
                f"network.existing.{path}",
                "Batch joins nodes to networks of its own subscription only, and this is in "
                f"another one than {given[0][0]}; name a network of the stack's subscription",
            )


def _what_exists_is_left_alone(estate: Estate) -> Iterator[Problem]:
    """Nothing is asked for that would have to change what exists."""
    network = estate.config.network
    if network.existing is None:
        return
    if "address_space" in network.model_fields_set:
        yield Problem(
            "network.address_space",
            "an existing network has its own addresses; leave this key out, and name ranges "
            "to make subnets in as network.existing.free_prefixes",
        )
    if (estate.network is not None and estate.network.subnets) or estate.network_problem:
        return
    for key, is_asked in (
        ("nat_gateway", network.nat_gateway),
        ("allow_package_sources", network.allow_package_sources),
        ("subnets", network.subnets == "per-pool"),
        ("existing.route_table_id", network.existing.route_table_id is not None),
    ):
        if is_asked:
            yield Problem(
                f"network.{key}",
                "every pool joins a subnet that exists and stays as it is: its gateway, rules "
                "and routes belong to its network; set them up there and leave this key out",
            )


def _endpoints_are_asked_for(estate: Estate) -> Iterator[Problem]:
    """A subnet and zones for private endpoints are given where there are endpoints."""
    network = estate.config.network
    if network.existing is None or network.private_endpoints:
        return
    for key, is_given in (
        ("endpoint_subnet_id", network.existing.endpoint_subnet_id is not None),
        ("private_dns_zone_ids", bool(network.existing.private_dns_zone_ids)),
    ):
        if is_given:
            yield Problem(
                f"network.existing.{key}",
                "there are no private endpoints that it would be for; set "
                "network.private_endpoints: true, or leave this key out",
            )


def _zones_are_those_of_endpoints(estate: Estate) -> Iterator[Problem]:
    """Private zones are those that endpoints of the stack have names in, each once."""
    network = estate.config.network
    needed = sorted({one.zone for one in planned_endpoints(estate.config).values()})
    seen: set[str] = set()
    if network.existing is None or not network.private_endpoints:
        return
    for index, zone_id in enumerate(network.existing.private_dns_zone_ids):
        zone = name_of(zone_id).casefold()
        if zone not in needed or zone in seen:
            close = near_misses(zone, needed) if zone not in seen else ""
            yield Problem(
                f"network.existing.private_dns_zone_ids.{index}",
                f"no endpoint of this stack has its name in '{zone}', or it is given twice"
                f"{close or '; zones are ' + ', '.join(needed)}",
            )
        seen.add(zone)


def _endpoints_have_a_subnet_apart(estate: Estate) -> Iterator[Problem]:
    """Private endpoints are not in a subnet of nodes."""
    existing = estate.config.network.existing
    if existing is None or existing.endpoint_subnet_id is None:
        return
    of_nodes = {existing.subnet_id, *existing.pool_subnet_ids.values()} - {None}
    if existing.endpoint_subnet_id.casefold() in {str(one).casefold() for one in of_nodes}:
        yield Problem(
            "network.existing.endpoint_subnet_id",
            "nodes join this subnet too: endpoints take addresses that pools are planned "
            "with, and its rules are for both; give endpoints a subnet of their own",
        )


_NETWORK = "https://learn.microsoft.com/azure/batch/batch-virtual-network"
_ENDPOINTS = "https://learn.microsoft.com/azure/batch/private-connectivity"
_ZONES = "https://learn.microsoft.com/azure/private-link/private-endpoint-dns"

RULES = (
    Rule(code="EXI001", severity="error", source=_NETWORK, judge=_everything_has_a_subnet),
    Rule(code="EXI002", severity="error", source=_NETWORK, judge=_subnets_are_of_pools),
    Rule(code="EXI003", severity="error", source=_NETWORK, judge=_ranges_belong_to_a_network),
    Rule(code="EXI004", severity="error", source=_NETWORK, judge=_ranges_are_apart),
    Rule(code="EXI005", severity="error", source=_NETWORK, judge=_nodes_are_in_one_subscription),
    Rule(code="EXI006", severity="error", source=_NETWORK, judge=_what_exists_is_left_alone),
    Rule(code="EXI007", severity="error", source=_ENDPOINTS, judge=_endpoints_are_asked_for),
    Rule(code="EXI008", severity="error", source=_ZONES, judge=_zones_are_those_of_endpoints),
    Rule(
        code="EXI009", severity="warning", source=_ENDPOINTS, judge=_endpoints_have_a_subnet_apart
    ),
)
