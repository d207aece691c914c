"""Rules of file systems that the stack makes."""

from __future__ import annotations

from collections.abc import Iterator

from infra.equipment import FileSystemMount
from infra.estate import Estate
from infra.file_systems import TYPES
from infra.findings import near_misses
from infra.rules.network import pools_without_internet
from infra.rules.rule import Problem, Rule


def _mounted_file_systems_exist(estate: Estate) -> Iterator[Problem]:
    """File systems that pools mount by name are made."""
    names = sorted(estate.config.storage.file_systems)
    for pool in estate.pools:
        for index, mount in enumerate(pool.equipment.mounts):
            if isinstance(mount, FileSystemMount) and mount.file_system not in names:
                known = f"; there are {', '.join(names)}" if names else ""
                yield Problem(
                    f"{pool.path}.mounts.{index}.file_system",
                    f"no file system is called '{mount.file_system}'"
                    f"{near_misses(mount.file_system, names) or known}; add it to "
                    "storage.file_systems",
                )


def _file_systems_are_mounted(estate: Estate) -> Iterator[Problem]:
    """File systems that are paid for are mounted."""
    mounted = {
        mount.file_system
        for pool in estate.pools
        for mount in pool.equipment.mounts
        if isinstance(mount, FileSystemMount)
    }
    for name in sorted(set(estate.config.storage.file_systems) - mounted):
        yield Problem(
            f"storage.file_systems.{name}",
            "no pool mounts it, and its account lets nobody else in; add it to the mounts of a "
            "pool, or leave it out",
        )


def _options_are_of_the_type(estate: Estate) -> Iterator[Problem]:
    """Sizes are of shares, lifecycles of blobs, root squash of NFS."""
    for name, config in estate.config.storage.file_systems.items():
        facts = TYPES[config.type]
        for key, is_given, does_apply, of in (
            ("size_gib", config.size_gib is not None, facts.is_share, "shares"),
            (
                "delete_after_days",
                config.delete_after_days is not None,
                not facts.is_share,
                "blobs",
            ),
            ("root_squash", config.root_squash, facts.is_nfs, "NFS"),
        ):
            if is_given and not does_apply:
                yield Problem(
                    f"storage.file_systems.{name}.{key}",
                    f"it is of {of} alone and would do nothing for {config.type}; leave it out",
                )


def _keys_are_known_of(estate: Estate) -> Iterator[Problem]:
    """No file system is opened by an account key."""
    for name, config in estate.config.storage.file_systems.items():
        if TYPES[config.type].needs_key:
            yield Problem(
                f"storage.file_systems.{name}.type",
                "Batch mounts SMB shares by the account's key alone, so this account has one "
                "that works, kept encrypted in Pulumi's state; write files-nfs, or silence "
                "this rule where Windows or other SMB clients need the share",
            )


def _windows_mounts_shares_alone(estate: Estate) -> Iterator[Problem]:
    """Windows nodes mount SMB shares, and neither NFS nor blobs."""
    made = estate.config.storage.file_systems
    for pool in estate.pools:
        if pool.os != "windows":
            continue
        for index, mount in enumerate(pool.equipment.mounts):
            if isinstance(mount, FileSystemMount):
                known = made.get(mount.file_system)
                unfit = known is not None and known.type != "files-smb"
            else:
                unfit = mount.type != "files"
            if unfit:
                yield Problem(
                    f"{pool.path}.mounts.{index}",
                    "Batch mounts nothing but Azure Files over SMB on Windows; use a share, or "
                    "a Linux image",
                )


def _mounts_have_their_programs(estate: Estate) -> Iterator[Problem]:
    """Linux nodes can fetch the programs that mount their file systems."""
    for pool in pools_without_internet(estate):
        if pool.equipment.mounts and pool.os == "linux" and pool.gallery_image_id is None:
            yield Problem(
                f"{pool.path}.mounts",
                "to mount, Batch fetches blobfuse, nfs-common or cifs-utils from the image's "
                "package sources, which nodes do not reach, and nodes would be unusable; set "
                "network.allow_package_sources: true, or silence this rule where the image "
                "has them",
            )


_MOUNTS = "https://learn.microsoft.com/azure/batch/virtual-file-mount"
_FILES = "https://learn.microsoft.com/azure/storage/files/understanding-billing"

RULES = (
    Rule(code="FSY001", severity="error", source=_MOUNTS, judge=_mounted_file_systems_exist),
    Rule(code="FSY002", severity="warning", source=_FILES, judge=_file_systems_are_mounted),
    Rule(
        code="FSY003",
        severity="error",
        source="https://learn.microsoft.com/azure/storage/files/files-nfs-protocol",
        judge=_options_are_of_the_type,
    ),
    Rule(code="FSY004", severity="warning", source=_MOUNTS, judge=_keys_are_known_of),
    Rule(code="FSY005", severity="error", source=_MOUNTS, judge=_windows_mounts_shares_alone),
    Rule(code="FSY006", severity="warning", source=_MOUNTS, judge=_mounts_have_their_programs),
)
