"""Who may talk to nodes and whom nodes may talk to, as data.

Nothing comes in but, where pools run MPI, traffic inside the subnet, and what a pool's
config lets in by port and address. Out goes what Batch
itself needs and no more:
https://learn.microsoft.com/azure/batch/simplified-compute-node-communication.
The platform's addresses (DNS, instance metadata and with it managed identity) are not
subject to these rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Final, Literal

ANY: Final = "*"
VIRTUAL_NETWORK: Final = "VirtualNetwork"
"""The service tag of a subnet's network, those that it is peered with, and on-premises ones."""

_FIRST_INBOUND_PRIORITY: Final = 300
# Of the 80 letters that a rule's name may have, some are needed beside it.
_LONGEST_PORT_NAME: Final = 60
# No one holder was ever assigned more of the internet than this.
_LARGEST_HOLDING: Final = {4: 8, 6: 16}

Protocol = Literal["Tcp", "Udp", "*"]


def is_everybody(sources: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether addresses together, such as two halves, are more than anybody's own.

    A /8 of IPv4 is the most that one holder was assigned, by IANA's registry.
    """
    found = list(sources)
    joined: list[IPv4Network | IPv6Network] = [
        *collapse_addresses(one for one in found if isinstance(one, IPv4Network)),
        *collapse_addresses(one for one in found if isinstance(one, IPv6Network)),
    ]
    return any(one.prefixlen < _LARGEST_HOLDING[one.version] for one in joined)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRule:
    """One rule of a network security group, in Resource Manager's terms."""

    name: str
    description: str
    priority: int
    direction: Literal["Inbound", "Outbound"]
    access: Literal["Allow", "Deny"]
    protocol: Protocol
    source: str
    destination: str
    ports: tuple[str, ...] = (ANY,)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundPort:
    """A port of nodes that named addresses may reach."""

    name: str
    protocol: Literal["Tcp", "Udp"]
    port: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class OutboundPorts:
    """A TCP port that nodes reach for a file system.

    Attributes:
        destination: Addresses or a service tag.
    """

    destination: str
    port: int


def pool_subnet_rules(
    *,
    location: str,
    prefix: IPv4Network,
    inter_node: bool,
    allow_package_sources: bool,
    allow_registries: bool = False,
    endpoints: str | None = None,
    file_systems: Collection[OutboundPorts] = (),
    inbound: Sequence[InboundPort] = (),
) -> tuple[SecurityRule, ...]:
    """The rules of a subnet with pools in it, in order of direction and priority.

    Args:
        location: Azure region, which names the service tags.
        prefix: The subnet's addresses.
        inter_node: Whether nodes of the subnet may talk to each other.
        allow_package_sources: Whether nodes may reach the internet on ports 80 and 443.
        allow_registries: Whether nodes may reach Azure's container registries.
        endpoints: Addresses of private endpoints, or a service tag; None without any.
        file_systems: What file systems of nodes in it need.
        inbound: Ports of nodes in it that named addresses may reach.
    """
    subnet = str(prefix)
    rules = []
    if inter_node:
        rules += [
            SecurityRule(
                name=f"allow-subnet-{direction.lower()}",
                description="MPI between nodes of this subnet",
                priority=100,
                direction=direction,
                access="Allow",
                protocol=ANY,
                source=subnet,
                destination=subnet,
            )
            for direction in _DIRECTIONS
        ]
    # The service names any protocol for node management, and TCP alone for the rest.
    rules.append(
        _out("batch", 110, ANY, f"BatchNodeManagement.{location}", "Batch node management")
    )
    rules.append(_out("storage", 120, "Tcp", f"Storage.{location}", "Programs, inputs, outputs"))
    rules.append(_out("monitor", 130, "Tcp", "AzureMonitor", "Node telemetry"))
    if endpoints is not None:
        rules.append(_out("endpoints", 140, ANY, endpoints, "Private endpoints"))
    rules += _to_file_systems(file_systems)
    if allow_registries:
        rules.append(_out("registries", 150, "Tcp", "AzureContainerRegistry", "Images"))
    if allow_package_sources:
        rules.append(
            SecurityRule(
                name="allow-packages-outbound",
                description="Package sources on the internet",
                priority=200,
                direction="Outbound",
                access="Allow",
                protocol="Tcp",
                source=subnet,
                destination="Internet",
                ports=("80", "443"),
            )
        )
    wanted = [(port, source) for port in inbound for source in port.sources]
    rules += [
        SecurityRule(
            # The index tells names apart that agree in so many letters.
            name=f"allow-{port.name[:_LONGEST_PORT_NAME]}-{index}-inbound",
            description="Asked for in the pool's config",
            priority=_FIRST_INBOUND_PRIORITY + index,
            direction="Inbound",
            access="Allow",
            protocol=port.protocol,
            source=source,
            destination=subnet,
            ports=(str(port.port),),
        )
        for index, (port, source) in enumerate(wanted)
    ]
    rules += [
        SecurityRule(
            name=f"deny-all-{direction.lower()}",
            description="All else, Azure's permissive default rules included",
            priority=4096,
            direction=direction,
            access="Deny",
            protocol=ANY,
            source=ANY,
            destination=ANY,
        )
        for direction in _DIRECTIONS
    ]
    return tuple(sorted(rules, key=lambda rule: (rule.direction, rule.priority)))


_DIRECTIONS: tuple[Literal["Inbound", "Outbound"], ...] = ("Inbound", "Outbound")


def _to_file_systems(wanted: Collection[OutboundPorts]) -> Iterator[SecurityRule]:
    destinations = sorted({one.destination for one in wanted})
    for index, destination in enumerate(destinations):
        ports = sorted(one.port for one in wanted if one.destination == destination)
        yield _out(
            f"file-systems-{index}",
            160 + index,
            "Tcp",
            destination,
            "File systems that pools mount",
            ports=tuple(str(port) for port in ports),
        )


def _out(
    name: str,
    priority: int,
    protocol: Protocol,
    destination: str,
    description: str,
    *,
    ports: tuple[str, ...] = ("443",),
) -> SecurityRule:
    return SecurityRule(
        name=f"allow-{name}-outbound",
        description=description,
        priority=priority,
        direction="Outbound",
        access="Allow",
        protocol=protocol,
        source=ANY,
        destination=destination,
        ports=ports,
    )
