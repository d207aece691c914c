"""Stack outputs: the contract with `jobs`, told in `docs/stack-outputs.md`.

Values that only the engine knows come in as outputs; everything else is the plan's, so
that what a job is planned with is what was declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.estate import Estate
from infra.pools import PoolPlan
from infra.sizes import PRICE_CURRENCY, PRICES_AS_OF

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """What the engine knows after a deployment.

    Attributes:
        registry_server: What names of images in the stack's registry begin with, or None.
        containers: Container names by what they hold (`programs`, `inputs`, …).
        management_endpoint: Resource Manager's URL, where applications are published.
        pool_ids: Pool ids by logical name.
        nodes_identity_id: Identity with which nodes read and write blobs.
        telemetry: Where nodes report to, as the page has it, or None where they do not.
        pipeline: Who the pipeline signs in as, as the page has it, or None without one.
    """

    resource_group: pulumi.Input[str]
    batch_account_id: pulumi.Input[str]
    batch_account_name: pulumi.Input[str]
    management_endpoint: pulumi.Input[str]
    batch_endpoint: pulumi.Input[str]
    storage_account_name: pulumi.Input[str]
    blob_endpoint: pulumi.Input[str]
    containers: Mapping[str, pulumi.Input[str]]
    log_analytics_workspace_id: pulumi.Input[str]
    pool_ids: Mapping[str, pulumi.Input[str]]
    nodes_identity_id: pulumi.Input[str]
    registry_server: pulumi.Input[str] | None = None
    telemetry: Mapping[str, pulumi.Input[str]] | None = None
    pipeline: Mapping[str, pulumi.Input[str]] | None = None


def stack_outputs(estate: Estate, provisioned: Provisioned) -> dict[str, Any]:
    """The outputs by name, as `docs/stack-outputs.md` has them."""
    return {
        "schema_version": SCHEMA_VERSION,
        "stack": estate.stack,
        "location": estate.config.location,
        "resource_group": provisioned.resource_group,
        "batch_account_id": provisioned.batch_account_id,
        "batch_account_name": provisioned.batch_account_name,
        "management_endpoint": provisioned.management_endpoint,
        "batch_endpoint": provisioned.batch_endpoint,
        "authentication": estate.config.authentication,
        "nodes_submit_jobs": estate.config.batch.nodes_submit_jobs,
        "storage_account_name": provisioned.storage_account_name,
        "blob_endpoint": provisioned.blob_endpoint,
        **{f"{kind}_container": name for kind, name in provisioned.containers.items()},
        "registry_server": provisioned.registry_server,
        "log_analytics_workspace_id": provisioned.log_analytics_workspace_id,
        "telemetry": provisioned.telemetry,
        "pipeline": provisioned.pipeline,
        "applications": {
            name: {"default_version": config.default_version}
            for name, config in sorted(estate.config.applications.items())
        },
        "pools": {
            pool.name: {
                **_pool_output(
                    pool, provisioned.pool_ids[pool.name], provisioned.nodes_identity_id
                ),
                "registries": _registries(pool, estate.config.registry.server),
            }
            for pool in estate.pools
        },
    }


def _pool_output(
    plan: PoolPlan, pool_id: pulumi.Input[str], identity_id: pulumi.Input[str]
) -> dict[str, Any]:
    size = plan.size
    return {
        "id": pool_id,
        "vm_size": plan.vm_size,
        "vcpus": size.vcpus if size else None,
        "os": plan.os,
        "task_slots_per_node": plan.task_slots_per_node,
        "min_nodes": plan.scale.min_nodes,
        "max_nodes": plan.scale.max_nodes,
        "max_dedicated_nodes": plan.scale.max_dedicated_nodes,
        "max_spot_nodes": plan.scale.max_spot_nodes,
        "inter_node_communication": plan.inter_node_communication,
        "identity_id": identity_id,
        "dedicated_price_per_hour": size.dedicated_price_per_hour if size else None,
        "spot_price_per_hour": size.spot_price_per_hour if size else None,
        "price_currency": PRICE_CURRENCY,
        "prices_as_of": PRICES_AS_OF.isoformat(),
    }


def _registries(plan: PoolPlan, own: str | None) -> list[str] | None:
    """The registries that nodes of a pool sign in to; None if they run no containers."""
    containers = plan.equipment.containers
    if containers is None:
        return None
    return sorted({*containers.registries, *(() if own is None else (own,))})
