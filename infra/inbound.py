"""The ports that a pool's config lets in, as the subnet's rules have them."""

from __future__ import annotations

from infra.equipment import EquipmentConfig
from infra.security_rules import InboundPort


def inbound_ports(equipment: EquipmentConfig) -> tuple[InboundPort, ...]:
    """What the subnet must let in for a pool; Batch's own rules alone would not do."""
    return tuple(
        InboundPort(
            name=name,
            protocol="Tcp" if port.protocol == "TCP" else "Udp",
            port=port.port,
            sources=tuple(str(source) for source in port.allow_from),
        )
        for name, port in sorted(equipment.inbound.items())
    )
