"""The whole estate, wired: the one place where components meet.

Two parts of it are modules of their own: accounts that keep things (`infra.stores`), and what
watches the rest (`infra.watching`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi_azure_native.resources import ResourceGroup

from infra.aliases import without_versions
from infra.components.batch_account import BatchAccount, BatchAccountArgs, VaultReference
from infra.components.identity import (
    BATCH_JOB_SUBMITTER,
    Grant,
    Identity,
    IdentityArgs,
    assign,
)
from infra.components.network import Network, NetworkArgs
from infra.components.place import Place
from infra.components.pool import Pool, PoolArgs
from infra.components.private_link import PrivateLink, PrivateLinkArgs
from infra.components.start_task import TelemetryTarget
from infra.endpoints import management_endpoint
from infra.engine import refuse_shared_keys_in_azure
from infra.errors import InfraError
from infra.estate import Estate
from infra.existing_network import name_of
from infra.hooks import Hooks
from infra.names import account_name, resource_group_name, subnet_prefix
from infra.outputs import Provisioned, stack_outputs
from infra.private_endpoints import planned_endpoints
from infra.stores import Stores, declare_stores
from infra.subnet_rules import subnet_rules
from infra.tagging import tagging
from infra.watching import Watched, Watching, watch

if TYPE_CHECKING:
    from infra.components.pipeline import Pipeline


class Platform(pulumi.ComponentResource):
    """Everything that a stack has.

    Attributes:
        outputs: The stack outputs, by name.
    """

    outputs: Mapping[str, Any]

    def __init__(
        self, name: str, estate: Estate, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        hooks = Hooks(estate.config.authentication)
        super().__init__(
            "hpc:index:Platform",
            name,
            {},
            pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(
                    transformations=[
                        without_versions,
                        hooks.transformation,
                        tagging(estate.tags),
                    ]
                ),
                opts,
            ),
        )
        self._name = name
        self._estate = estate
        if estate.config.allows_shared_keys:
            refuse_shared_keys_in_azure()
        group = ResourceGroup(
            resource_group_name(estate.stack),
            location=estate.config.location,
            opts=self._child(),
        )
        self._place = Place(resource_group_name=group.name, location=estate.config.location)
        network = self._network()
        stores = declare_stores(name, estate, self._place, network, self._child())
        nodes = self._identity("nodes", stores.node_grants)
        account = self._batch_account(
            stores, nodes=nodes, own=self._identity("account", stores.account_grants)
        )
        if estate.config.batch.nodes_submit_jobs:
            # By itself: the account needs the identity, so that it is there before the account.
            assign(
                f"{name}-nodes-jobs",
                Grant(role=BATCH_JOB_SUBMITTER, scope=account.account_id),
                principal_id=nodes.principal_id,
                opts=pulumi.ResourceOptions(parent=nodes),
            )
        pipeline = self._pipeline(group, stores, account)
        hooks.ask(account=account.account_name, endpoint=account.endpoint)
        applications = self._applications(account)
        links = self._private_link(network, stores, account)
        watching = self._watch(group, stores, account, nodes)
        pools = self._pools(
            account,
            nodes,
            network,
            stores,
            target=watching.target,
            application_ids=applications,
            after=(*nodes.assignments, *links, *stores.ready),
        )
        self.outputs = stack_outputs(
            estate,
            Provisioned(
                resource_group=group.name,
                batch_account_id=account.account_id,
                batch_account_name=account.account_name,
                management_endpoint=account.endpoint.apply(management_endpoint),
                batch_endpoint=account.endpoint,
                storage_account_name=stores.data.account_name,
                blob_endpoint=stores.data.blob_endpoint,
                registry_server=stores.registry.server if stores.registry else None,
                containers=stores.data.containers,
                log_analytics_workspace_id=watching.workspace_id,
                pool_ids={logical_name: pool.pool_id for logical_name, pool in pools.items()},
                nodes_identity_id=nodes.identity_id,
                telemetry=watching.output,
                pipeline=pipeline.output if pipeline else None,
            ),
        )
        self.register_outputs({})

    def _child(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self)

    def _identity(self, purpose: str, grants: Mapping[str, Grant]) -> Identity:
        return Identity(
            f"{self._name}-{purpose}",
            IdentityArgs(place=self._place, grants=grants),
            self._child(),
        )

    def _pipeline(
        self, group: ResourceGroup, stores: Stores, account: BatchAccount
    ) -> Pipeline | None:
        """Who the pipeline signs in as, where the config asks for it."""
        config = self._estate.config.pipeline
        if not config.has_identity:
            return None
        # Many stacks have none, and its module takes time to import.
        from infra.components.pipeline import Pipeline, PipelineArgs  # noqa: PLC0415

        return Pipeline(
            f"{self._name}-pipeline",
            PipelineArgs(
                place=self._place,
                config=config,
                resource_group_id=group.id,
                batch_account_id=account.account_id,
                container_ids=stores.data.container_ids,
            ),
            self._child(),
        )

    def _batch_account(self, stores: Stores, *, nodes: Identity, own: Identity) -> BatchAccount:
        config, vault = self._estate.config, stores.vault
        return BatchAccount(
            f"{self._name}-batch",
            BatchAccountArgs(
                place=self._place,
                account=account_name(self._estate.stack),
                identity_id=own.identity_id,
                node_identity_id=nodes.identity_id,
                packages_account_id=stores.packages.account_id,
                public_network_access=config.batch.public_network_access,
                allow_from=config.batch.allow_from,
                allow_shared_keys=config.allows_shared_keys,
                nodes_vault=(
                    VaultReference(vault_id=vault.vault_id, url=vault.url)
                    if vault and config.batch.has_own_nodes
                    else None
                ),
                encryption_key_url=vault.key_url if vault else None,
                protect=config.protect,
                after=(*own.assignments, *(vault.ready if vault else ())),
            ),
            self._child(),
        )

    def _network(self) -> Network:
        """Where nodes live, made or existing."""
        estate, config = self._estate, self._estate.config.network
        if estate.network_problem:
            raise InfraError(estate.network_problem)
        return Network(
            f"{self._name}-network",
            NetworkArgs(
                place=self._place,
                plan=estate.network,
                existing=config.existing,
                pools=[pool.name for pool in estate.pools],
                subnet_prefix="" if config.existing is None else subnet_prefix(estate.stack),
                nat_gateway=config.nat_gateway,
                rules=subnet_rules(estate),
            ),
            self._child(),
        )

    def _private_link(
        self,
        network: Network,
        stores: Stores,
        account: BatchAccount,
    ) -> tuple[pulumi.Resource, ...]:
        """Private endpoints where the config asks for them, and what nodes wait for."""
        config = self._estate.config.network
        if not config.private_endpoints or network.endpoint_subnet_id is None:
            return ()
        existing_zones = config.existing.private_dns_zone_ids if config.existing else ()
        return PrivateLink(
            f"{self._name}-link",
            PrivateLinkArgs(
                place=self._place,
                virtual_network_ids=network.virtual_network_ids,
                zone_ids={name_of(one).lower(): one for one in existing_zones},
                subnet_id=network.endpoint_subnet_id,
                endpoints=planned_endpoints(self._estate.config),
                resource_ids={**stores.resource_ids, "batch": account.account_id},
            ),
            self._child(),
        ).ready

    def _watch(
        self, group: ResourceGroup, stores: Stores, account: BatchAccount, nodes: Identity
    ) -> Watching:
        return watch(
            self._name,
            Watched(
                place=self._place,
                estate=self._estate,
                resource_group_id=group.id,
                account=account,
                nodes=nodes,
                storage={"data": stores.data, "packages": stores.packages},
            ),
            self._child(),
        )

    def _applications(self, account: BatchAccount) -> Mapping[str, pulumi.Output[str]]:
        """The applications, and their resource ids by name."""
        applications = self._estate.config.applications
        if not applications:
            return {}
        # Many stacks have none, and its module takes time to import.
        from infra.components.applications import Applications, ApplicationsArgs  # noqa: PLC0415

        return Applications(
            f"{self._name}-applications",
            ApplicationsArgs(
                place=self._place,
                account_name=account.account_name,
                account=account.resource,
                applications=applications,
            ),
            self._child(),
        ).ids

    def _pools(
        self,
        account: BatchAccount,
        nodes: Identity,
        network: Network,
        stores: Stores,
        *,
        target: TelemetryTarget | None,
        application_ids: Mapping[str, pulumi.Output[str]],
        after: tuple[pulumi.Resource, ...],
    ) -> dict[str, Pool]:
        config = self._estate.config.network
        return {
            plan.name: Pool(
                f"{self._name}-{plan.name}",
                PoolArgs(
                    place=self._place,
                    plan=plan,
                    stack=self._estate.stack,
                    account_name=account.account_name,
                    subnet_id=network.pool_subnet_ids[plan.name],
                    data_account_name=stores.data.account_name,
                    blob_endpoint=stores.data.blob_endpoint,
                    file_systems=stores.mounts,
                    identity_id=nodes.identity_id,
                    registry_server=self._estate.config.registry.server,
                    public_addresses=config.public_addresses,
                    telemetry=target if plan.os == "linux" else None,
                    application_ids=application_ids,
                    after=after,
                ),
                self._child(),
            )
            for plan in self._estate.pools
        }
