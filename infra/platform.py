"""The whole estate, wired: the one place where components meet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pulumi_azure_native.authorization import get_client_config
from pulumi_azure_native.resources import ResourceGroup

from infra.checking import plan_stack
from infra.components.batch_account import BatchAccount, BatchAccountArgs
from infra.components.identity import (
    BLOB_DATA_CONTRIBUTOR,
    BLOB_DATA_READER,
    Grant,
    Identity,
    IdentityArgs,
)
from infra.components.monitoring import Monitoring, MonitoringArgs
from infra.components.network import Network, NetworkArgs
from infra.components.pool import Pool, PoolArgs
from infra.components.storage import Storage, StorageArgs
from infra.errors import InfraError
from infra.estate import Estate
from infra.names import PREFIX, account_name, resource_group_name
from infra.outputs import Provisioned, stack_outputs
from infra.sources import PROJECT_ROOT, decode_engine_config

# Azure draws subscription ids at random; the emulator's begins like no drawn one.
EMULATED_SUBSCRIPTION_PREFIX = "00000000-0000-"


def plan_from_engine(*, root: Path = PROJECT_ROOT) -> Estate:
    """The estate of the stack that the engine runs.

    Warnings and silenced findings go to the engine's log.

    Raises:
        ConfigError: The stack's config has errors.
    """
    values = CONFIG.get() or get_config_env()
    planned = plan_stack(pulumi.get_stack(), decode_engine_config(values), root=root)
    estate = planned.deployable()
    for finding in planned.findings:
        if finding.silenced is None:
            pulumi.log.warn(str(finding))
        else:
            pulumi.log.debug(f"{finding} (silenced: {finding.silenced})")
    return estate


class Platform(pulumi.ComponentResource):
    """Everything that a stack has.

    Attributes:
        outputs: The stack outputs, by name.
    """

    outputs: Mapping[str, Any]

    def __init__(
        self, name: str, estate: Estate, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Platform", name, {}, opts)
        config = estate.config
        shared_keys = config.authentication == "shared-key"
        if shared_keys:
            _refuse_shared_keys_in_azure()
        tags = {"project": PREFIX, "stack": estate.stack, **config.tags}
        child = pulumi.ResourceOptions(parent=self)
        group = ResourceGroup(
            resource_group_name(estate.stack), location=config.location, tags=tags, opts=child
        )
        containers = {
            kind: getattr(config.storage, f"{kind}_container")
            for kind in ("programs", "inputs", "outputs", "logs")
        }
        data = Storage(
            f"{name}-data",
            StorageArgs(
                resource_group_name=group.name,
                location=config.location,
                tags=tags,
                account=account_name(estate.stack, "data"),
                replication=config.storage.replication,
                public_network_access=config.storage.public_network_access,
                soft_delete_days=config.storage.soft_delete_days,
                versioning=config.storage.versioning,
                allow_shared_keys=shared_keys,
                protect=config.protect,
                containers=containers,
                delete_after_days={
                    containers[kind]: days
                    for kind, days in config.storage.delete_after_days.model_dump().items()
                    if days is not None
                },
            ),
            child,
        )
        packages = Storage(
            f"{name}-packages",
            StorageArgs(
                resource_group_name=group.name,
                location=config.location,
                tags=tags,
                account=account_name(estate.stack, "apps"),
                replication=config.storage.replication,
                # Batch itself reads packages, and a firewall would keep it out.
                public_network_access=True,
                soft_delete_days=config.storage.soft_delete_days,
                versioning=False,
                allow_shared_keys=shared_keys,
                protect=config.protect,
            ),
            child,
        )
        nodes = Identity(
            f"{name}-nodes",
            IdentityArgs(
                resource_group_name=group.name,
                location=config.location,
                tags=tags,
                grants={
                    "data": Grant(role=BLOB_DATA_CONTRIBUTOR, scope=data.account_id),
                    "packages": Grant(role=BLOB_DATA_READER, scope=packages.account_id),
                },
            ),
            child,
        )
        account_identity = Identity(
            f"{name}-account",
            IdentityArgs(
                resource_group_name=group.name,
                location=config.location,
                tags=tags,
                grants={"packages": Grant(role=BLOB_DATA_CONTRIBUTOR, scope=packages.account_id)},
            ),
            child,
        )
        account = BatchAccount(
            f"{name}-batch",
            BatchAccountArgs(
                resource_group_name=group.name,
                location=config.location,
                tags=tags,
                account=account_name(estate.stack),
                identity_id=account_identity.identity_id,
                node_identity_id=nodes.identity_id,
                packages_account_id=packages.account_id,
                public_network_access=config.batch.public_network_access,
                allow_shared_keys=shared_keys,
                protect=config.protect,
                after=account_identity.assignments,
            ),
            child,
        )
        subnet_ids = self._subnet_ids(name, estate, group.name, tags)
        monitoring = Monitoring(
            f"{name}-monitoring",
            MonitoringArgs(
                resource_group_name=group.name,
                location=config.location,
                tags=tags,
                retention_days=config.monitoring.retention_days,
                daily_cap_gib=config.monitoring.daily_cap_gib,
                batch_account_id=account.account_id,
                blob_service_ids={
                    "data": pulumi.Output.concat(data.account_id, "/blobServices/default"),
                    "packages": pulumi.Output.concat(packages.account_id, "/blobServices/default"),
                },
            ),
            child,
        )
        pool_ids = {
            plan.name: Pool(
                f"{name}-{plan.name}",
                PoolArgs(
                    resource_group_name=group.name,
                    plan=plan,
                    stack=estate.stack,
                    account_name=account.account_name,
                    subnet_id=subnet_ids[plan.name],
                    identity_id=nodes.identity_id,
                    public_addresses=config.network.public_addresses,
                    after=nodes.assignments,
                ),
                child,
            ).pool_id
            for plan in estate.pools
        }
        self.outputs = stack_outputs(
            estate,
            Provisioned(
                resource_group=group.name,
                batch_account_name=account.account_name,
                batch_endpoint=account.endpoint,
                storage_account_name=data.account_name,
                blob_endpoint=data.blob_endpoint,
                containers=data.containers,
                log_analytics_workspace_id=monitoring.workspace_id,
                pool_ids=pool_ids,
                nodes_identity_id=nodes.identity_id,
            ),
        )
        self.register_outputs({})

    def _subnet_ids(
        self,
        name: str,
        estate: Estate,
        resource_group: pulumi.Input[str],
        tags: Mapping[str, str],
    ) -> Mapping[str, pulumi.Input[str]]:
        network = estate.config.network
        if network.existing_subnet_id is not None:
            return dict.fromkeys((pool.name for pool in estate.pools), network.existing_subnet_id)
        if estate.network is None:
            raise InfraError(estate.network_problem)
        return Network(
            f"{name}-network",
            NetworkArgs(
                resource_group_name=resource_group,
                location=estate.config.location,
                tags=tags,
                plan=estate.network,
                nat_gateway=network.nat_gateway,
                allow_package_sources=network.allow_package_sources,
            ),
            pulumi.ResourceOptions(parent=self),
        ).pool_subnet_ids


def _refuse_shared_keys_in_azure() -> None:
    """Stops a stack meant for the emulator from being deployed to a subscription.

    Raises:
        InfraError: The provider is Azure's.
    """
    subscription = get_client_config().subscription_id
    if not subscription.startswith(EMULATED_SUBSCRIPTION_PREFIX):
        raise InfraError(
            f"this stack uses shared keys, which only the emulator accepts, and the provider "
            f"is subscription {subscription}.\n"
            "Deploy it with `python -m emulator stack up`, or set hpc:authentication to entra."
        )
