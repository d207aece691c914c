"""The ports that a pool's file systems need, as the subnet's rules have them.

Without them a mount that the config asks for would hang on the rule that denies all else.
File servers of one's own are reached in the network and in those that are peered or
connected to it, never on the internet.
"""

from __future__ import annotations

from infra.equipment import CifsMount, FilesMount, FileSystemMount, NfsMount
from infra.estate import Estate
from infra.file_systems import TYPES, FileSystemType
from infra.pools import PoolPlan
from infra.security_rules import VIRTUAL_NETWORK, OutboundPorts

_NFS = (111, 2049)
_SMB = (445,)
# Open to storage and to endpoints in any case.
_ALWAYS = 443


def mount_ports(estate: Estate, pool: PoolPlan) -> frozenset[OutboundPorts]:
    """What a pool's mounts reach beside port 443 of storage."""
    storage = f"Storage.{estate.config.location}"
    made = estate.config.storage.file_systems
    found: set[tuple[str, int]] = set()
    for mount in pool.equipment.mounts:
        match mount:
            case FileSystemMount():
                config = made.get(mount.file_system)
                ports = TYPES[config.type].ports if config else ()
                found |= {(estate.endpoint_addresses or storage, port) for port in ports}
            case FilesMount():
                found |= {(storage, port) for port in _SMB}
            case NfsMount():
                found |= {(VIRTUAL_NETWORK, port) for port in _NFS}
            case CifsMount():
                found |= {(VIRTUAL_NETWORK, port) for port in _SMB}
    return frozenset(
        OutboundPorts(destination=destination, port=port)
        for destination, port in found
        if port != _ALWAYS
    )


def mounting_pools(estate: Estate) -> dict[FileSystemType, list[str]]:
    """The pools that mount file systems of the stack, by type, in order of name."""
    found: dict[FileSystemType, list[str]] = {}
    made = estate.config.storage.file_systems
    for pool in estate.pools:
        named = {one.file_system for one in pool.equipment.mounts if one.type == "file-system"}
        for kind in sorted({made[name].type for name in named if name in made}):
            found.setdefault(kind, []).append(pool.name)
    return found
