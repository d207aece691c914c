"""What keeps data, images and keys, wired: the part of `platform` that speaks of accounts.

Storage accounts, registry and vault follow from the config alone, file systems also from the
subnets of the pools that mount them. None knows of another; what is said of them together
(who may use them, where private endpoints lead) is said here. Components that most stacks
have not are imported where they are made, because their modules take time to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra.components.file_systems import FileSystems, FileSystemsArgs, MountedFileSystem
from infra.components.identity import (
    ACR_PULL,
    BLOB_DATA_CONTRIBUTOR,
    BLOB_DATA_READER,
    KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER,
    Grant,
)
from infra.components.lifecycle import Lifecycle
from infra.components.network import Network
from infra.components.place import Place
from infra.components.storage import Storage, StorageArgs
from infra.estate import Estate
from infra.file_systems import TYPES
from infra.names import account_name
from infra.outbound import mounting_pools

if TYPE_CHECKING:
    from infra.components.key_vault import KeyVault
    from infra.components.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The accounts that a stack keeps things in.

    Attributes:
        data: Programs, inputs, outputs and logs.
        packages: Application packages.
        file_systems: What pools mount by name, or None without any.
        registry: The stack's own, or None where the config names none.
        vault: What the Batch account is tied to, or None where it needs none.
    """

    data: Storage
    packages: Storage
    file_systems: FileSystems | None
    registry: Registry | None
    vault: KeyVault | None

    @property
    def node_grants(self) -> dict[str, Grant]:
        """What nodes may do with them, by a name for each grant."""
        grants = {
            "data": Grant(role=BLOB_DATA_CONTRIBUTOR, scope=self.data.account_id),
            "packages": Grant(role=BLOB_DATA_READER, scope=self.packages.account_id),
        }
        if self.file_systems is not None and "blobfuse" in self.file_systems.accounts:
            lake = self.file_systems.accounts["blobfuse"]
            grants["lake"] = Grant(role=BLOB_DATA_CONTRIBUTOR, scope=lake.account_id)
        if self.registry is not None:
            grants["registry"] = Grant(role=ACR_PULL, scope=self.registry.registry_id)
        return grants

    @property
    def account_grants(self) -> dict[str, Grant]:
        """What the Batch account may do with them, likewise."""
        grants = {"packages": Grant(role=BLOB_DATA_CONTRIBUTOR, scope=self.packages.account_id)}
        if self.vault is not None and self.vault.key_id is not None:
            grants["key"] = Grant(
                role=KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER, scope=self.vault.key_id
            )
        return grants

    @property
    def mounts(self) -> Mapping[str, MountedFileSystem]:
        """What pools must know of file systems, by name."""
        return self.file_systems.mounts if self.file_systems else {}

    @property
    def ready(self) -> tuple[pulumi.Resource, ...]:
        """What must exist before a node mounts anything."""
        return self.file_systems.ready if self.file_systems else ()

    @property
    def resource_ids(self) -> dict[str, pulumi.Output[str]]:
        """What private endpoints may lead to, by `EndpointPlan.resource`."""
        ids = {"data": self.data.account_id}
        if self.file_systems is not None:
            for kind, account in self.file_systems.accounts.items():
                ids[TYPES[kind].purpose] = account.account_id
        if self.registry is not None:
            ids["registry"] = self.registry.registry_id
        if self.vault is not None:
            ids["vault"] = self.vault.vault_id
        return ids


def declare_stores(
    name: str, estate: Estate, place: Place, network: Network, opts: pulumi.ResourceOptions
) -> Stores:
    """Declares what the config asks for.

    Args:
        name: What names of components begin with.
        estate: The stack.
        place: Where they go.
        network: Whose subnets reach file systems, and data where addresses are selected.
        opts: The components' parent.
    """
    return Stores(
        data=_data(name, estate, place, network, opts),
        packages=_packages(name, estate, place, opts),
        file_systems=_file_systems(name, estate, place, network, opts),
        registry=_registry(name, estate, place, opts),
        vault=_vault(name, estate, place, opts),
    )


def _data(
    name: str, estate: Estate, place: Place, network: Network, opts: pulumi.ResourceOptions
) -> Storage:
    config, storage = estate.config, estate.config.storage
    # Nodes come by their subnets then, unless by private endpoints.
    pools = [] if config.network.private_endpoints else [pool.name for pool in estate.pools]
    return Storage(
        f"{name}-data",
        StorageArgs(
            place=place,
            account=account_name(estate.stack, "data"),
            replication=storage.replication,
            public_network_access=storage.public_network_access,
            subnet_ids=network.subnets_of(pools) if storage.allow_from else None,
            allow_from=storage.allow_from,
            soft_delete_days=storage.soft_delete_days,
            versioning=storage.versioning,
            allow_shared_keys=config.allows_shared_keys,
            protect=config.protect,
            containers=storage.containers,
            lifecycle={
                container: Lifecycle(
                    cool_after_days=getattr(storage.cool_after_days, kind),
                    delete_after_days=getattr(storage.delete_after_days, kind),
                    delete_versions_after_days=(
                        storage.delete_versions_after_days if storage.versioning else None
                    ),
                )
                for kind, container in storage.containers.items()
            },
        ),
        opts,
    )


def _packages(name: str, estate: Estate, place: Place, opts: pulumi.ResourceOptions) -> Storage:
    config = estate.config
    return Storage(
        f"{name}-packages",
        StorageArgs(
            place=place,
            account=account_name(estate.stack, "apps"),
            replication=config.storage.replication,
            # Batch itself reads packages, and a firewall would keep it out.
            public_network_access=True,
            soft_delete_days=config.storage.soft_delete_days,
            versioning=False,
            allow_shared_keys=config.allows_shared_keys,
            protect=config.protect,
        ),
        opts,
    )


def _file_systems(
    name: str, estate: Estate, place: Place, network: Network, opts: pulumi.ResourceOptions
) -> FileSystems | None:
    """The file systems that the config names, in accounts that pools' subnets reach."""
    config = estate.config
    named = config.storage.file_systems
    if not named:
        return None
    mounting = mounting_pools(estate)
    return FileSystems(
        f"{name}-file-systems",
        FileSystemsArgs(
            place=place,
            accounts={
                facts.purpose: account_name(estate.stack, facts.purpose)
                for facts in TYPES.values()
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
        opts,
    )


def _registry(
    name: str, estate: Estate, place: Place, opts: pulumi.ResourceOptions
) -> Registry | None:
    """The stack's own registry, which is made if it has a name."""
    config = estate.config
    if config.registry.name is None:
        return None
    from infra.components.registry import Registry, RegistryArgs  # noqa: PLC0415 - see above

    return Registry(
        f"{name}-registry",
        RegistryArgs(
            place=place,
            registry=config.registry.name,
            sku=config.registry.sku,
            public_network_access=config.registry.public_network_access,
            protect=config.protect,
        ),
        opts,
    )


def _vault(
    name: str, estate: Estate, place: Place, opts: pulumi.ResourceOptions
) -> KeyVault | None:
    """The vault that the Batch account is tied to, where it cannot be without one."""
    config, batch = estate.config, estate.config.batch
    if not batch.needs_key_vault:
        return None
    from infra.components.key_vault import KeyVault, KeyVaultArgs  # noqa: PLC0415 - see above

    return KeyVault(
        f"{name}-vault",
        KeyVaultArgs(
            place=place,
            vault=account_name(estate.stack, "kv"),
            has_key=batch.customer_managed_key,
            batch_service_id=batch.service_principal_id if batch.has_own_nodes else None,
            public_network_access=not config.network.private_endpoints,
            protect=config.protect,
        ),
        opts,
    )
