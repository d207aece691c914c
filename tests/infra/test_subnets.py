"""Address arithmetic."""

from __future__ import annotations

from ipaddress import IPv4Network
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import AddressSpaceError
from infra.subnets import SubnetDemand, plan_network, smallest_prefix, usable_addresses

demands = st.lists(
    st.builds(
        SubnetDemand,
        pool=st.text("abcdefgh", min_size=1, max_size=6),
        max_nodes=st.integers(0, 3000),
        inter_node=st.booleans(),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda demand: demand.pool,
)
spaces = st.builds(
    lambda third, length: IPv4Network(
        (int(IPv4Network("10.0.0.0/8").network_address) + third * 2**16, length), strict=False
    ),
    st.integers(0, 255),
    st.integers(12, 26),
)


@given(st.integers(0, 100_000))
def test_the_smallest_prefix_holds_its_nodes_and_the_next_smaller_does_not(nodes: int) -> None:
    length = smallest_prefix(nodes)
    assert usable_addresses(IPv4Network(("10.0.0.0", length))) >= nodes
    assert 2 ** (32 - length - 1) - 5 < nodes or length == 29


@given(space=spaces, wanted=demands, per_pool=st.booleans(), endpoints=st.booleans())
def test_subnets_hold_their_pools_inside_the_space_without_overlap(
    space: IPv4Network, wanted: list[SubnetDemand], per_pool: bool, endpoints: bool
) -> None:
    try:
        plan = plan_network([space], wanted, per_pool=per_pool, private_endpoints=endpoints)
    except AddressSpaceError:
        # Refused only when it cannot be: alignment never wastes more than as much again.
        needed = sum(2 ** (32 - smallest_prefix(2 * demand.max_nodes)) for demand in wanted)
        least = 64 * len(wanted) + 32
        assert needed + least > space.num_addresses / 2
        return
    prefixes = [subnet.prefix for subnet in plan.subnets]
    if plan.endpoint_prefix is not None:
        prefixes.append(plan.endpoint_prefix)
    assert (plan.endpoint_prefix is not None) == endpoints
    for index, prefix in enumerate(prefixes):
        assert prefix.subnet_of(space)
        assert not any(prefix.overlaps(other) for other in prefixes[index + 1 :])
    for demand in wanted:
        subnet = plan.find_subnet(demand.pool)
        assert subnet is not None
        assert subnet.inter_node or not demand.inter_node
    for subnet in plan.subnets:
        assert subnet.usable_addresses >= subnet.max_nodes
        assert subnet.max_nodes == sum(d.max_nodes for d in wanted if d.pool in subnet.pools)


@given(demands, st.randoms())
def test_the_order_of_pools_does_not_move_subnets(
    wanted: list[SubnetDemand], random: Random
) -> None:
    space = IPv4Network("10.0.0.0/8")
    shuffled = random.sample(wanted, len(wanted))
    plans = [
        plan_network([space], order, per_pool=True, private_endpoints=True)
        for order in (wanted, shuffled)
    ]
    assert plans[0] == plans[1]


@given(st.integers(1, 2000), st.integers(0, 2000))
def test_a_shared_subnet_does_not_move_when_a_pool_grows(before: int, growth: int) -> None:
    prefixes = {
        plan_network(
            [IPv4Network("10.64.0.0/16")],
            [
                SubnetDemand(pool="a", max_nodes=nodes, inter_node=False),
                SubnetDemand(pool="b", max_nodes=91, inter_node=True),
            ],
            per_pool=False,
            private_endpoints=False,
        )
        .subnets[0]
        .prefix
        for nodes in (before, before + growth)
    }
    assert prefixes == {IPv4Network("10.64.0.0/20")}


def test_what_does_not_fit_says_how_large_a_space_would_do() -> None:
    wanted = [SubnetDemand(pool="cpu", max_nodes=2000, inter_node=False)]
    with pytest.raises(AddressSpaceError, match=r"do not fit 10\.0\.0\.0/24; a /21 would"):
        plan_network([IPv4Network("10.0.0.0/24")], wanted, per_pool=False, private_endpoints=False)
    plan_network([IPv4Network("10.0.0.0/21")], wanted, per_pool=False, private_endpoints=False)
