"""File systems that the stack makes and pools mount by name, and what each type is.

Four types, each in a storage account of its own type, because what one needs another must
not have: a hierarchical namespace cannot hold application packages, NFS knows no identity
and is guarded by the network alone, and an SMB share is mounted by Batch with the account
key, which must open nothing else.

Sources: https://learn.microsoft.com/azure/storage/blobs/network-file-system-protocol-support-how-to,
https://learn.microsoft.com/azure/storage/files/files-nfs-protocol,
https://learn.microsoft.com/azure/storage/common/storage-require-secure-transfer (NFS 3.0 is
not subject to secure transfer, NFS 4.1 is), https://learn.microsoft.com/azure/batch/virtual-file-mount.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.model import Model

FileSystemType = Literal["blobfuse", "blob-nfs", "files-nfs", "files-smb"]
# It is the name of a container or a share.
FileSystemName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9](-?[a-z0-9])*$", min_length=3, max_length=63)
]


class FileSystemConfig(Model):
    """A file system that the stack makes."""

    type: FileSystemType = Field(
        description="`blobfuse`: blobs with directories, by identity. `blob-nfs`: the same over "
        "NFS 3.0. `files-nfs`: a premium share over NFS 4.1. `files-smb`: a premium share over "
        "SMB, by account key."
    )
    size_gib: int | None = Field(
        default=None,
        ge=100,
        le=102400,
        description="Provisioned size of a share, which is billed; 100 when absent.",
    )
    delete_after_days: int | None = Field(
        default=None, ge=1, description="Blobs go so long after their last change."
    )
    root_squash: bool = Field(
        default=False, description="NFS: root on a node is nobody special in the file system."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeFacts:
    """What a type of file system is.

    Attributes:
        purpose: What its storage account is called after; lower-case letters.
        is_share: Whether it is a share of provisioned size, else a container.
        is_nfs: Whether the network alone guards it.
        needs_key: Whether nothing but its account's key opens it.
        endpoint_groups: Faces of the account that nodes need, with the zone of each.
        ports: TCP ports that nodes reach.
        mount_options: Of the mount, where the config gives none.
    """

    purpose: str
    is_share: bool = False
    is_nfs: bool = False
    needs_key: bool = False
    endpoint_groups: Mapping[str, str]
    ports: tuple[int, ...]
    mount_options: str


BLOB_ZONE = "privatelink.blob.core.windows.net"
DFS_ZONE = "privatelink.dfs.core.windows.net"
FILE_ZONE = "privatelink.file.core.windows.net"

TYPES: Mapping[FileSystemType, TypeFacts] = MappingProxyType(
    {
        "blobfuse": TypeFacts(
            purpose="lake",
            endpoint_groups={"blob": BLOB_ZONE, "dfs": DFS_ZONE},
            ports=(443,),
            mount_options="--use-adls=true",
        ),
        "blob-nfs": TypeFacts(
            purpose="nfs",
            is_nfs=True,
            endpoint_groups={"blob": BLOB_ZONE},
            ports=(111, 2048),
            mount_options="-o sec=sys,vers=3,nolock,proto=tcp",
        ),
        "files-nfs": TypeFacts(
            purpose="files",
            is_share=True,
            is_nfs=True,
            endpoint_groups={"file": FILE_ZONE},
            ports=(2049,),
            mount_options="-o vers=4,minorversion=1,sec=sys",
        ),
        "files-smb": TypeFacts(
            purpose="smb",
            is_share=True,
            needs_key=True,
            endpoint_groups={"file": FILE_ZONE},
            ports=(445,),
            mount_options="-o vers=3.0,dir_mode=0777,file_mode=0777,sec=ntlmssp",
        ),
    }
)
DEFAULT_SIZE_GIB = 100
