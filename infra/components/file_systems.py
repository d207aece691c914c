"""The file systems that pools mount by name: an account for each type in use.

What it deliberately does not do: mount them, which is a pool's own setting, nor decide who
else may reach them. Without private endpoints the subnets of pools reach the accounts and
nobody else; with them not even these do but by the endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native.storage import list_storage_account_keys_output

from infra.components.lifecycle import Lifecycle
from infra.components.place import Place
from infra.components.storage import AccountKind, Share, Storage, StorageArgs
from infra.file_systems import DEFAULT_SIZE_GIB, TYPES, FileSystemConfig, FileSystemType

_KINDS: Final[Mapping[FileSystemType, AccountKind]] = {
    "blobfuse": AccountKind(is_hierarchical=True),
    "blob-nfs": AccountKind(is_hierarchical=True, has_nfs=True),
    # Of the protocols that secure transfer is about, NFS 4.1 is not encrypted.
    "files-nfs": AccountKind(kind="FileStorage", tier="Premium", requires_https=False),
    "files-smb": AccountKind(kind="FileStorage", tier="Premium"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedFileSystem:
    """What a pool must know to mount a file system.

    Attributes:
        account_name: Of its storage account.
        account_key: Where nothing else opens it, as a secret; else None.
    """

    config: FileSystemConfig
    account_name: pulumi.Output[str]
    account_key: pulumi.Output[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystemsArgs:
    """Args of `FileSystems`.

    Attributes:
        accounts: Logical names of the accounts, by what `TypeFacts.purpose` says.
        file_systems: The config's, by name; one at least.
        subnet_ids: Subnets of the pools that mount them, or None with private endpoints.
        is_zone_redundant: Whether there are copies in three zones.
    """

    place: Place
    accounts: Mapping[str, str]
    file_systems: Mapping[str, FileSystemConfig]
    subnet_ids: Mapping[FileSystemType, Sequence[pulumi.Input[str]]] | None
    is_zone_redundant: bool
    soft_delete_days: int
    protect: bool


class FileSystems(pulumi.ComponentResource):
    """Storage accounts of file systems.

    Attributes:
        mounts: What pools must know, by the file system's name.
        accounts: The accounts, by type.
        ready: What must exist before a node mounts anything.
    """

    mounts: Mapping[str, MountedFileSystem]
    accounts: Mapping[FileSystemType, Storage]
    ready: tuple[pulumi.Resource, ...]

    def __init__(
        self, name: str, args: FileSystemsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:FileSystems", name, {}, opts)
        self.accounts = {
            kind: self._account(name, args, kind)
            for kind in TYPES
            if any(one.type == kind for one in args.file_systems.values())
        }
        keys: dict[FileSystemType, pulumi.Output[str]] = {
            kind: _key(args.place, account)
            for kind, account in self.accounts.items()
            if TYPES[kind].needs_key
        }
        self.mounts = {
            logical_name: MountedFileSystem(
                config=config,
                account_name=self.accounts[config.type].account_name,
                account_key=keys.get(config.type),
            )
            for logical_name, config in args.file_systems.items()
        }
        self.ready = tuple(one for account in self.accounts.values() for one in account.ready)
        self.register_outputs({})

    def _account(self, name: str, args: FileSystemsArgs, kind: FileSystemType) -> Storage:
        facts = TYPES[kind]
        mine = {key: one for key, one in args.file_systems.items() if one.type == kind}
        return Storage(
            f"{name}-{facts.purpose}",
            StorageArgs(
                place=args.place,
                account=args.accounts[facts.purpose],
                # Neither NFS nor premium shares have copies in a second region.
                replication="ZRS" if args.is_zone_redundant else "LRS",
                public_network_access=args.subnet_ids is not None,
                subnet_ids=(args.subnet_ids or {}).get(kind, ()),
                soft_delete_days=args.soft_delete_days,
                # A hierarchical namespace has no versions.
                versioning=False,
                allow_shared_keys=facts.needs_key,
                protect=args.protect,
                kind=_KINDS[kind],
                containers={} if facts.is_share else {key: key for key in mine},
                root_squash=frozenset(key for key, one in mine.items() if one.root_squash),
                lifecycle={
                    key: Lifecycle(delete_after_days=one.delete_after_days)
                    for key, one in mine.items()
                    if one.delete_after_days
                },
                shares={
                    key: Share(
                        protocol="NFS" if facts.is_nfs else "SMB",
                        size_gib=one.size_gib or DEFAULT_SIZE_GIB,
                        root_squash=one.root_squash,
                    )
                    for key, one in mine.items()
                    if facts.is_share
                },
            ),
            pulumi.ResourceOptions(parent=self),
        )


def _key(place: Place, account: Storage) -> pulumi.Output[str]:
    """The first key of an account; the engine keeps it encrypted."""
    keys = list_storage_account_keys_output(
        account_name=account.account_name, resource_group_name=place.resource_group_name
    )
    return pulumi.Output.secret(keys.apply(lambda found: found.keys[0].value))
