"""Address arithmetic: which subnets there are and how large each is.

Pure and without Azure. Two needs pull at each other: a subnet must hold its pools at
their largest, and it must not move when a pool grows, because Azure resizes no subnet
with nodes in it. So subnets are generous (a shared one has at least 4,091 usable
addresses where the space allows) and grow in powers of two only.

Azure reserves five addresses of a subnet:
https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from infra.errors import AddressSpaceError

RESERVED_ADDRESSES = 5
SHARED_SUBNET = "pools"
ENDPOINT_SUBNET = "endpoints"
_POOL_SUBNET = "pool-"
_SHARED_PREFIX = 20
_ENDPOINT_PREFIX = 27
_SMALLEST_POOL_PREFIX = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetDemand:
    """What one pool asks of the network.

    Attributes:
        pool: Logical name.
        max_nodes: Most nodes, each with one address.
        inter_node: Whether its nodes talk to each other.
    """

    pool: str
    max_nodes: int
    inter_node: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetPlan:
    """One subnet for nodes.

    Attributes:
        name: Its name in the network.
        prefix: Its addresses.
        pools: Logical names of the pools in it.
        max_nodes: Most nodes of them together.
        inter_node: Whether traffic inside it must be allowed.
    """

    name: str
    prefix: IPv4Network
    pools: tuple[str, ...]
    max_nodes: int
    inter_node: bool

    @property
    def usable_addresses(self) -> int:
        """Addresses that nodes can have."""
        return usable_addresses(self.prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """The network's subnets: those of pools, and one for private endpoints or None."""

    address_space: IPv4Network
    subnets: tuple[SubnetPlan, ...]
    endpoint_prefix: IPv4Network | None

    def subnet_of(self, pool: str) -> SubnetPlan:
        """The subnet that a pool's nodes join."""
        return next(subnet for subnet in self.subnets if pool in subnet.pools)


def usable_addresses(prefix: IPv4Network) -> int:
    """Addresses of a subnet that are not Azure's own."""
    return max(0, prefix.num_addresses - RESERVED_ADDRESSES)


def smallest_prefix(nodes: int) -> int:
    """Length of the smallest prefix whose usable addresses hold `nodes` nodes."""
    return 32 - (nodes + RESERVED_ADDRESSES - 1).bit_length()


def plan_network(
    address_space: IPv4Network,
    demands: Sequence[SubnetDemand],
    *,
    per_pool: bool,
    private_endpoints: bool,
) -> NetworkPlan:
    """Lays subnets into the address space.

    Endpoints take the last addresses, so that neither side pushes the other. Pools'
    own subnets have room to double and are laid out by size, then name, so that the
    order in the config does not matter.

    Raises:
        AddressSpaceError: They do not fit; the text says how large a space would do.
    """
    endpoint_prefix = None
    if private_endpoints:
        if address_space.prefixlen >= _ENDPOINT_PREFIX:
            raise _does_not_fit(address_space, _ENDPOINT_PREFIX - 1)
        # The space's broadcast end, found by arithmetic: listing a /8's subnets takes seconds.
        size = 2 ** (32 - _ENDPOINT_PREFIX)
        start = int(address_space.network_address) + address_space.num_addresses - size
        endpoint_prefix = IPv4Network((start, _ENDPOINT_PREFIX))
    ordered = sorted(demands, key=lambda demand: (-demand.max_nodes, demand.pool))
    groups: list[tuple[str, tuple[SubnetDemand, ...]]]
    groups = [(f"{_POOL_SUBNET}{demand.pool}", (demand,)) for demand in ordered]
    if not per_pool:
        groups = [(SHARED_SUBNET, tuple(sorted(demands, key=lambda demand: demand.pool)))]
    end = int(address_space.broadcast_address) + 1
    if endpoint_prefix is not None:
        end = int(endpoint_prefix.network_address)
    cursor = int(address_space.network_address)
    subnets = []
    for name, members in groups:
        nodes = sum(member.max_nodes for member in members)
        length = _prefix_length(nodes, per_pool=per_pool, available=end - cursor)
        size = 2 ** (32 - length)
        start = -(-cursor // size) * size
        if start + size > end:
            wanted = 32 - (_total_size(groups, per_pool=per_pool) - 1).bit_length()
            raise _does_not_fit(address_space, wanted - int(private_endpoints))
        cursor = start + size
        subnets.append(
            SubnetPlan(
                name=name,
                prefix=IPv4Network((start, length)),
                pools=tuple(member.pool for member in members),
                max_nodes=nodes,
                inter_node=any(member.inter_node for member in members),
            )
        )
    return NetworkPlan(
        address_space=address_space, subnets=tuple(subnets), endpoint_prefix=endpoint_prefix
    )


def _prefix_length(nodes: int, *, per_pool: bool, available: int) -> int:
    needed = smallest_prefix(nodes)
    if per_pool:
        return min(smallest_prefix(2 * nodes), _SMALLEST_POOL_PREFIX)
    # Generous where there is room; a small space gets what the pools need at least.
    largest = 32 - (available.bit_length() - 1) if available > 0 else needed
    return min(needed, max(_SHARED_PREFIX, largest))


def _total_size(groups: Sequence[tuple[str, tuple[SubnetDemand, ...]]], *, per_pool: bool) -> int:
    return sum(
        2 ** (32 - _prefix_length(
            sum(member.max_nodes for member in members), per_pool=per_pool, available=0
        ))
        for _, members in groups
    )  # fmt: skip


def _does_not_fit(address_space: IPv4Network, wanted_length: int) -> AddressSpaceError:
    return AddressSpaceError(
        f"the pools' subnets do not fit {address_space}; "
        f"a /{max(8, min(wanted_length, address_space.prefixlen - 1))} would hold them. "
        "Give a larger address space or lower the pools' most nodes"
    )
