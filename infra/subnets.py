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
    """The subnets that are made: those of pools, and one for private endpoints or None.

    Attributes:
        spaces: The ranges that they lie in.
    """

    spaces: tuple[IPv4Network, ...]
    subnets: tuple[SubnetPlan, ...]
    endpoint_prefix: IPv4Network | None

    def find_subnet(self, pool: str) -> SubnetPlan | None:
        """The subnet that is made for a pool's nodes, or None where they join another."""
        return next((subnet for subnet in self.subnets if pool in subnet.pools), None)


def usable_addresses(prefix: IPv4Network) -> int:
    """Addresses of a subnet that are not Azure's own."""
    return max(0, prefix.num_addresses - RESERVED_ADDRESSES)


def smallest_prefix(nodes: int) -> int:
    """Length of the smallest prefix whose usable addresses hold `nodes` nodes."""
    return 32 - (nodes + RESERVED_ADDRESSES - 1).bit_length()


def plan_network(
    spaces: Sequence[IPv4Network],
    demands: Sequence[SubnetDemand],
    *,
    per_pool: bool,
    private_endpoints: bool,
) -> NetworkPlan:
    """Lays subnets into the ranges, each into the first that has room for it.

    Endpoints take the last addresses, so that neither side pushes the other. Pools'
    own subnets have room to double and are laid out by size, then name, so that the
    order in the config does not matter.

    Args:
        spaces: Ranges without overlap; one at least.
        demands: What pools ask for; those of them that subnets are made for.
        per_pool: Whether each has a subnet of its own.
        private_endpoints: Whether there is a subnet for them.

    Raises:
        AddressSpaceError: They do not fit; the text says how large a space would do.
    """
    free = [_Range.of(space) for space in sorted(spaces)]
    endpoint_prefix = None
    if private_endpoints:
        endpoint_prefix = next(
            (taken for one in reversed(free) if (taken := one.take_last(_ENDPOINT_PREFIX))), None
        )
        if endpoint_prefix is None:
            raise _does_not_fit(spaces, _ENDPOINT_PREFIX - 1)
    ordered = sorted(demands, key=lambda demand: (-demand.max_nodes, demand.pool))
    groups: list[tuple[str, tuple[SubnetDemand, ...]]]
    groups = [(f"{_POOL_SUBNET}{demand.pool}", (demand,)) for demand in ordered]
    if demands and not per_pool:
        groups = [(SHARED_SUBNET, tuple(sorted(demands, key=lambda demand: demand.pool)))]
    subnets = []
    for name, members in groups:
        nodes = sum(member.max_nodes for member in members)
        length = _prefix_length(nodes, per_pool=per_pool, available=max(one.size for one in free))
        prefix = next((taken for one in free if (taken := one.take_first(length))), None)
        if prefix is None:
            wanted = 32 - (_total_size(groups, per_pool=per_pool) - 1).bit_length()
            raise _does_not_fit(spaces, wanted - int(private_endpoints))
        subnets.append(
            SubnetPlan(
                name=name,
                prefix=prefix,
                pools=tuple(member.pool for member in members),
                max_nodes=nodes,
                inter_node=any(member.inter_node for member in members),
            )
        )
    return NetworkPlan(
        spaces=tuple(spaces), subnets=tuple(subnets), endpoint_prefix=endpoint_prefix
    )


@dataclass(slots=True)
class _Range:
    """Addresses that are still free, from `start` up to `end`, which is not one of them."""

    start: int
    end: int

    @classmethod
    def of(cls, space: IPv4Network) -> _Range:
        start = int(space.network_address)
        return cls(start, start + space.num_addresses)

    @property
    def size(self) -> int:
        return self.end - self.start

    def take_first(self, length: int) -> IPv4Network | None:
        """The first aligned prefix, which is free no more; None without room."""
        size = 2 ** (32 - length)
        start = -(-self.start // size) * size
        if start + size > self.end:
            return None
        self.start = start + size
        return IPv4Network((start, length))

    def take_last(self, length: int) -> IPv4Network | None:
        """The last prefix, which is free no more; None without room."""
        size = 2 ** (32 - length)
        start = self.end - size
        if start < self.start:
            return None
        self.end = start
        return IPv4Network((start, length))


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


def _does_not_fit(spaces: Sequence[IPv4Network], wanted_length: int) -> AddressSpaceError:
    largest = min(space.prefixlen for space in spaces)
    return AddressSpaceError(
        f"the pools' subnets do not fit {', '.join(str(space) for space in spaces)}; "
        f"a /{max(8, min(wanted_length, largest - 1))} would hold them. "
        "Give a larger address space or lower the pools' most nodes"
    )
