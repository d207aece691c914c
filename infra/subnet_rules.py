"""The security rules of the subnets that are made, from what the pools in each ask for."""

from __future__ import annotations

from infra.equipment import EquipmentConfig
from infra.estate import Estate
from infra.outbound import mount_ports
from infra.security_rules import InboundPort, SecurityRule, pool_subnet_rules


def subnet_rules(estate: Estate) -> dict[str, tuple[SecurityRule, ...]]:
    """The rules of each subnet with pools in it, by its name in the plan."""
    by_name = {pool.name: pool for pool in estate.pools}
    rules: dict[str, tuple[SecurityRule, ...]] = {}
    for subnet in estate.network.subnets if estate.network else ():
        pools = [by_name[name] for name in subnet.pools]
        rules[subnet.name] = pool_subnet_rules(
            location=estate.config.location,
            prefix=subnet.prefix,
            inter_node=subnet.inter_node,
            allow_package_sources=estate.config.network.allow_package_sources,
            allow_registries=any(pool.equipment.containers is not None for pool in pools),
            endpoints=estate.endpoint_addresses,
            file_systems={port for pool in pools for port in mount_ports(estate, pool)},
            inbound=[port for pool in pools for port in _inbound_ports(pool.equipment)],
        )
    return rules


def _inbound_ports(equipment: EquipmentConfig) -> list[InboundPort]:
    """What the subnet must let in for a pool; Batch's own rules alone would not do."""
    return [
        InboundPort(
            name=name,
            protocol="Tcp" if port.protocol == "TCP" else "Udp",
            port=port.port,
            sources=tuple(str(source) for source in port.allow_from),
        )
        for name, port in sorted(equipment.inbound.items())
    ]
