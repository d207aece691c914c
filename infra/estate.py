"""The planned estate: the one value that rules judge and components declare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from infra.config import StackConfig
from infra.errors import AddressSpaceError
from infra.pools import PoolPlan, plan_pool
from infra.subnets import NetworkPlan, SubnetDemand, plan_network


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """A stack's config with all that follows from it.

    Attributes:
        stack: The stack's name.
        config: What the person wrote, with defaults.
        pools: Pool plans in order of name.
        network: The subnets, or None where an existing subnet is used or none fit.
        network_problem: Why the subnets do not fit, else empty.
        today: The day that retirements are judged on.
    """

    stack: str
    config: StackConfig
    pools: tuple[PoolPlan, ...]
    network: NetworkPlan | None
    network_problem: str
    today: date


def plan_estate(stack: str, config: StackConfig, *, root: Path, today: date) -> Estate:
    """Plans pools and network of a valid config."""
    pools = tuple(plan_pool(name, config.pools[name], root=root) for name in sorted(config.pools))
    network, problem = None, ""
    if config.network.existing_subnet_id is None:
        try:
            network = plan_network(
                config.network.address_space,
                [
                    SubnetDemand(
                        pool=pool.name,
                        max_nodes=pool.scale.max_nodes,
                        inter_node=pool.inter_node_communication,
                    )
                    for pool in pools
                ],
                per_pool=config.network.subnets == "per-pool",
                private_endpoints=config.network.private_endpoints,
            )
        except AddressSpaceError as error:
            problem = str(error)
    return Estate(
        stack=stack,
        config=config,
        pools=pools,
        network=network,
        network_problem=problem,
        today=today,
    )
