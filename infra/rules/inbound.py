"""Rules of ports that a pool lets in."""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.rules.rule import Problem, Rule
from infra.security_rules import is_everybody

_MOST_PORTS = 5
_MOST_RULES = 25
_LEAST_RANGE = 100
_LAST_FRONTEND_PORT = 65534
_RESERVED_FRONTEND = (50000, 55000)
_RESERVED_BACKEND = frozenset({29876, 29877})


def _nodes_have_addresses(estate: Estate) -> Iterator[Problem]:
    """Only nodes with public addresses are reached from outside."""
    if estate.config.network.public_addresses:
        return
    for pool in estate.pools:
        if pool.equipment.inbound:
            yield Problem(
                f"{pool.path}.inbound",
                "nodes have no public address, so Batch refuses ports to them; leave this key "
                "out, or set network.public_addresses: true",
            )


def _ports_are_few(estate: Estate) -> Iterator[Problem]:
    """A pool lets in at most 5 ports by at most 25 rules."""
    for pool in estate.pools:
        inbound = pool.equipment.inbound
        # Each port has one more rule, which denies everybody else.
        rules = sum(len(port.allow_from) + 1 for port in inbound.values())
        if len(inbound) > _MOST_PORTS or rules > _MOST_RULES:
            yield Problem(
                f"{pool.path}.inbound",
                f"{len(inbound)} ports and {rules} rules are more than Batch's {_MOST_PORTS} "
                f"and {_MOST_RULES} (each port has one rule that denies the rest); join "
                "addresses to larger prefixes or let in fewer ports",
            )


def _frontend_ports_are_free(estate: Estate) -> Iterator[Problem]:
    """Ranges of public ports are large enough, unreserved and apart."""
    for pool in estate.pools:
        taken: list[range] = []
        for name, port in sorted(pool.equipment.inbound.items()):
            ports = range(port.first_frontend_port, port.last_frontend_port + 1)
            path = f"{pool.path}.inbound.{name}.first_frontend_port"
            if len(ports) < _LEAST_RANGE or port.last_frontend_port > _LAST_FRONTEND_PORT:
                yield Problem(
                    path,
                    f"Batch takes ranges of at least {_LEAST_RANGE} ports up to "
                    f"{_LAST_FRONTEND_PORT}, a port for each node; write such as 10000 to 10099",
                )
            elif len(ports) < pool.scale.max_nodes:
                yield Problem(
                    path,
                    f"{len(ports)} public ports are too few for {pool.scale.max_nodes} nodes, of "
                    "which each takes one; write a larger range, or lower the most nodes",
                )
            elif _overlap(ports, range(_RESERVED_FRONTEND[0], _RESERVED_FRONTEND[1] + 1)):
                yield Problem(
                    path,
                    f"ports {_RESERVED_FRONTEND[0]} to {_RESERVED_FRONTEND[1]} are Batch's own; "
                    "write a range outside them",
                )
            elif any(_overlap(ports, other) for other in taken):
                yield Problem(
                    path, "another port of this pool has a part of this range; write a free one"
                )
            taken.append(ports)


def _overlap(one: range, other: range) -> bool:
    return max(one.start, other.start) < min(one.stop, other.stop)


def _backend_ports_are_free(estate: Estate) -> Iterator[Problem]:
    """Ports on the node are unreserved and let in once."""
    for pool in estate.pools:
        seen: set[int] = set()
        for name, port in sorted(pool.equipment.inbound.items()):
            if port.port in _RESERVED_BACKEND or port.port in seen:
                yield Problem(
                    f"{pool.path}.inbound.{name}.port",
                    f"port {port.port} is Batch's own or let in twice; write another, each once",
                )
            seen.add(port.port)


def _the_world_stays_out(estate: Estate) -> Iterator[Problem]:
    """No port is open to the whole internet."""
    for pool in estate.pools:
        for name, port in sorted(pool.equipment.inbound.items()):
            if is_everybody(port.allow_from):
                yield Problem(
                    f"{pool.path}.inbound.{name}.allow_from",
                    "that is everybody, or more than anybody's own addresses, and nodes have the "
                    "identity that reads and writes your data; name the addresses that need it, "
                    "such as 203.0.113.7/32",
                )


def _existing_subnets_let_it_in(estate: Estate) -> Iterator[Problem]:
    """Whoever keeps an existing subnet opens the ports that pools in it let in."""
    existing = estate.config.network.existing
    for pool in estate.pools:
        if existing is not None and existing.subnet_of(pool.name) and pool.equipment.inbound:
            yield Problem(
                f"{pool.path}.inbound",
                "the pool joins a subnet that exists, whose security group is left alone and "
                "may keep these ports shut; have them opened there, then silence this rule",
            )


_POOLS = "https://learn.microsoft.com/rest/api/batchservice/pool/add-pool"
_ENDPOINTS = "https://learn.microsoft.com/azure/batch/pool-endpoint-configuration"

RULES = (
    Rule(
        code="INB001",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/"
        "simplified-node-communication-pool-no-public-ip",
        judge=_nodes_have_addresses,
    ),
    Rule(code="INB002", severity="error", source=_POOLS, judge=_ports_are_few),
    Rule(code="INB003", severity="error", source=_POOLS, judge=_frontend_ports_are_free),
    Rule(code="INB004", severity="error", source=_POOLS, judge=_backend_ports_are_free),
    Rule(code="INB005", severity="error", source=_ENDPOINTS, judge=_the_world_stays_out),
    Rule(code="INB006", severity="warning", source=_ENDPOINTS, judge=_existing_subnets_let_it_in),
)
