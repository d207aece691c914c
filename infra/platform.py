"""The whole estate, wired: the one place where components meet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pulumi_azure_native.authorization import get_client_config
from pulumi_azure_native.resources import ResourceGroup

from infra.aliases import without_versions
from infra.checking import plan_stack
from infra.components.batch_account import BatchAccount, BatchAccountArgs, VaultReference
from infra.components.file_systems import FileSystems, FileSystemsArgs
from infra.components.identity import (
    ACR_PULL,
    BLOB_DATA_CONTRIBUTOR,
    BLOB_DATA_READER,
    KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER,
    Grant,
    Identity,
    IdentityArgs,
)
from infra.components.lifecycle import Lifecycle
from infra.components.network import Network, NetworkArgs
from infra.components.place import Place
from infra.components.pool import Pool, PoolArgs
from infra.components.private_link import PrivateLink, PrivateLinkArgs
from infra.components.start_task import TelemetryTarget
from infra.components.storage import Storage, StorageArgs
from infra.errors import InfraError
from infra.estate import Estate
from infra.existing_network import name_of
from infra.file_systems import TYPES
from infra.hooks import Hooks
from infra.inbound import inbound_ports
from infra.names import account_name, resource_group_name
from infra.outbound import mount_ports, mounting_pools
from infra.outputs import Provisioned, management_endpoint, stack_outputs
from infra.private_endpoints import planned_endpoints
from infra.sources import PROJECT_ROOT, decode_engine_config
from infra.tagging import tagging
from infra.watching import Watched, Watching, watch

if TYPE_CHECKING:
    from infra.components.key_vault import KeyVault
    from infra.components.pipeline import Pipeline
    from infra.components.registry import Registry

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
        self._shared_keys = estate.config.authentication == "shared-key"
        if self._shared_keys:
            _refuse_shared_keys_in_azure()
        group = ResourceGroup(
            resource_group_name(estate.stack),
            location=estate.config.location,
            opts=self._child(),
        )
        self._place = Place(resource_group_name=group.name, location=estate.config.location)
        data, packages = self._data_storage(), self._packages_storage()
        registry = self._registry()
        network = self._network()
        file_systems = self._file_systems(network)
        nodes = self._identity(
            "nodes",
            data=Grant(role=BLOB_DATA_CONTRIBUTOR, scope=data.account_id),
            packages=Grant(role=BLOB_DATA_READER, scope=packages.account_id),
            **_lake_grants(file_systems),
            **_registry_grants(registry),
        )
        vault = self._key_vault()
        account = self._batch_account(
            packages=packages,
            nodes=nodes,
            own=self._identity(
                "account",
                packages=Grant(role=BLOB_DATA_CONTRIBUTOR, scope=packages.account_id),
                **_key_grants(vault),
            ),
            vault=vault,
        )
        pipeline = self._pipeline(group, data, account)
        hooks.ask(account=account.account_name, endpoint=account.endpoint)
        applications = self._applications(account)
        links = self._private_link(network, data, account, file_systems, vault, registry)
        watching = self._watch(group, account, nodes, data=data, packages=packages)
        ready = file_systems.ready if file_systems else ()
        pools = self._pools(
            account,
            nodes,
            network,
            data,
            file_systems,
            target=watching.target,
            application_ids=applications,
            after=(*nodes.assignments, *links, *ready),
        )
        self.outputs = stack_outputs(
            estate,
            Provisioned(
                resource_group=group.name,
                batch_account_id=account.account_id,
                batch_account_name=account.account_name,
                management_endpoint=account.endpoint.apply(management_endpoint),
                batch_endpoint=account.endpoint,
                storage_account_name=data.account_name,
                blob_endpoint=data.blob_endpoint,
                registry_server=registry.server if registry else None,
                containers=data.containers,
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

    def _data_storage(self) -> Storage:
        stack, config = self._estate.stack, self._estate.config
        storage = config.storage
        return Storage(
            f"{self._name}-data",
            StorageArgs(
                place=self._place,
                account=account_name(stack, "data"),
                replication=storage.replication,
                public_network_access=storage.public_network_access,
                soft_delete_days=storage.soft_delete_days,
                versioning=storage.versioning,
                allow_shared_keys=self._shared_keys,
                protect=config.protect,
                containers=storage.containers,
                lifecycle={
                    name: Lifecycle(
                        cool_after_days=getattr(storage.cool_after_days, kind),
                        delete_after_days=getattr(storage.delete_after_days, kind),
                        delete_versions_after_days=(
                            storage.delete_versions_after_days if storage.versioning else None
                        ),
                    )
                    for kind, name in storage.containers.items()
                },
            ),
            self._child(),
        )

    def _packages_storage(self) -> Storage:
        stack, config = self._estate.stack, self._estate.config
        return Storage(
            f"{self._name}-packages",
            StorageArgs(
                place=self._place,
                account=account_name(stack, "apps"),
                replication=config.storage.replication,
                # Batch itself reads packages, and a firewall would keep it out.
                public_network_access=True,
                soft_delete_days=config.storage.soft_delete_days,
                versioning=False,
                allow_shared_keys=self._shared_keys,
                protect=config.protect,
            ),
            self._child(),
        )

    def _identity(self, purpose: str, **grants: Grant) -> Identity:
        return Identity(
            f"{self._name}-{purpose}",
            IdentityArgs(place=self._place, grants=grants),
            self._child(),
        )

    def _pipeline(
        self, group: ResourceGroup, data: Storage, account: BatchAccount
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
                container_ids=data.container_ids,
            ),
            self._child(),
        )

    def _registry(self) -> Registry | None:
        """The stack's own registry, which is made if it has a name."""
        config = self._estate.config
        if config.registry.name is None:
            return None
        # Most stacks have none, and its module takes time to import.
        from infra.components.registry import Registry, RegistryArgs  # noqa: PLC0415

        return Registry(
            f"{self._name}-registry",
            RegistryArgs(
                place=self._place,
                registry=config.registry.name,
                sku=config.registry.sku,
                public_network_access=config.registry.public_network_access,
                protect=config.protect,
            ),
            self._child(),
        )

    def _key_vault(self) -> KeyVault | None:
        """The vault that the Batch account is tied to, where it cannot be without one."""
        config = self._estate.config
        if not config.batch.needs_key_vault:
            return None
        # Most stacks have none, and its module takes time to import.
        from infra.components.key_vault import KeyVault, KeyVaultArgs  # noqa: PLC0415

        own_nodes = config.batch.pool_allocation == "user-subscription"
        return KeyVault(
            f"{self._name}-vault",
            KeyVaultArgs(
                place=self._place,
                vault=account_name(self._estate.stack, "kv"),
                has_key=config.batch.customer_managed_key,
                batch_service_id=config.batch.service_principal_id if own_nodes else None,
                public_network_access=not config.network.private_endpoints,
                protect=config.protect,
            ),
            self._child(),
        )

    def _batch_account(
        self, *, packages: Storage, nodes: Identity, own: Identity, vault: KeyVault | None
    ) -> BatchAccount:
        config = self._estate.config
        own_nodes = config.batch.pool_allocation == "user-subscription"
        return BatchAccount(
            f"{self._name}-batch",
            BatchAccountArgs(
                place=self._place,
                account=account_name(self._estate.stack),
                identity_id=own.identity_id,
                node_identity_id=nodes.identity_id,
                packages_account_id=packages.account_id,
                public_network_access=config.batch.public_network_access,
                allow_shared_keys=self._shared_keys,
                nodes_vault=(
                    VaultReference(vault_id=vault.vault_id, url=vault.url)
                    if vault and own_nodes
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
                subnet_prefix=(
                    "" if config.existing is None else f"{resource_group_name(estate.stack)}-"
                ),
                nat_gateway=config.nat_gateway,
                allow_package_sources=config.allow_package_sources,
                container_pools=frozenset(
                    pool.name for pool in estate.pools if pool.equipment.containers is not None
                ),
                endpoints=estate.endpoint_addresses,
                file_systems={pool.name: mount_ports(estate, pool) for pool in estate.pools},
                inbound={pool.name: inbound_ports(pool.equipment) for pool in estate.pools},
            ),
            self._child(),
        )

    def _file_systems(self, network: Network) -> FileSystems | None:
        """The file systems that the config names, in accounts that pools' subnets reach."""
        stack, config = self._estate.stack, self._estate.config
        named = config.storage.file_systems
        if not named:
            return None
        mounting = mounting_pools(self._estate)
        return FileSystems(
            f"{self._name}-file-systems",
            FileSystemsArgs(
                place=self._place,
                accounts={
                    facts.purpose: account_name(stack, facts.purpose) for facts in TYPES.values()
                },
                file_systems=named,
                subnet_ids=(
                    None
                    if config.network.private_endpoints
                    else {kind: network.subnets_of(mounting[kind]) for kind in mounting}
                ),
                is_zone_redundant=config.storage.replication in {"ZRS", "GZRS"},
                soft_delete_days=config.storage.soft_delete_days,
                protect=config.protect,
            ),
            self._child(),
        )

    def _private_link(
        self,
        network: Network,
        data: Storage,
        account: BatchAccount,
        file_systems: FileSystems | None,
        vault: KeyVault | None,
        registry: Registry | None,
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
                resource_ids={
                    "data": data.account_id,
                    "batch": account.account_id,
                    **({"registry": registry.registry_id} if registry else {}),
                    **({"vault": vault.vault_id} if vault else {}),
                    **_file_system_ids(file_systems),
                },
            ),
            self._child(),
        ).ready

    def _watch(
        self,
        group: ResourceGroup,
        account: BatchAccount,
        nodes: Identity,
        *,
        data: Storage,
        packages: Storage,
    ) -> Watching:
        return watch(
            self._name,
            Watched(
                place=self._place,
                estate=self._estate,
                resource_group_id=group.id,
                account=account,
                nodes=nodes,
                storage={"data": data, "packages": packages},
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
        data: Storage,
        file_systems: FileSystems | None,
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
                    data_account_name=data.account_name,
                    blob_endpoint=data.blob_endpoint,
                    file_systems=file_systems.mounts if file_systems else {},
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


def _lake_grants(file_systems: FileSystems | None) -> dict[str, Grant]:
    """What nodes may do with blobs that they mount by identity."""
    lake = file_systems.accounts.get("blobfuse") if file_systems else None
    return {"lake": Grant(role=BLOB_DATA_CONTRIBUTOR, scope=lake.account_id)} if lake else {}


def _registry_grants(registry: Registry | None) -> dict[str, Grant]:
    """What nodes may do with the stack's own registry."""
    return {"registry": Grant(role=ACR_PULL, scope=registry.registry_id)} if registry else {}


def _file_system_ids(file_systems: FileSystems | None) -> dict[str, pulumi.Output[str]]:
    """Resource ids of the accounts of file systems, by purpose."""
    accounts = file_systems.accounts if file_systems else {}
    return {TYPES[kind].purpose: account.account_id for kind, account in accounts.items()}


def _key_grants(vault: KeyVault | None) -> dict[str, Grant]:
    """What the account's identity may do with the key that encrypts the account."""
    if vault is None or vault.key_id is None:
        return {}
    return {"key": Grant(role=KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER, scope=vault.key_id)}


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
