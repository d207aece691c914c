"""Rules of what nodes are equipped with: mounts, containers, disks, accounts, extensions."""

from __future__ import annotations

from collections.abc import Iterator

from infra.equipment import BlobMount
from infra.estate import Estate
from infra.findings import near_misses
from infra.images import IMAGES
from infra.pools import NVIDIA_DRIVER
from infra.rules.network import pools_without_internet
from infra.rules.rule import Problem, Rule

_MOST_MOUNTS = 10
_ALLOWED_EXTENSIONS = (
    ("Microsoft.Azure.KeyVault", "KeyVaultForLinux"),
    ("Microsoft.Azure.Monitor", "AzureMonitorLinuxAgent"),
    NVIDIA_DRIVER,
    ("Microsoft.ManagedServices", "ApplicationHealthLinux"),
)
_HEALTH = ("Microsoft.ManagedServices", "ApplicationHealthLinux")
_REGISTRY_SUFFIX = ".azurecr.io"


def _mounts_are_few(estate: Estate) -> Iterator[Problem]:
    """A pool mounts at most 10 file systems."""
    for pool in estate.pools:
        count = len(pool.equipment.mounts)
        if count > _MOST_MOUNTS:
            yield Problem(
                f"{pool.path}.mounts",
                f"{count} file systems are more than the {_MOST_MOUNTS} that Batch mounts; "
                "mount a directory above them once",
            )


def _mounts_have_places(estate: Estate) -> Iterator[Problem]:
    """Each file system has a directory of its own, and none hides one before it."""
    for pool in estate.pools:
        seen: set[str] = set()
        for index, mount in enumerate(pool.equipment.mounts):
            other = next((one for one in seen if f"{one}/".startswith(f"{mount.path}/")), None)
            if other is not None:
                yield Problem(
                    f"{pool.path}.mounts.{index}.path",
                    f"'{mount.path}' is or holds '{other}' of another mount of this pool, and "
                    "would hide it; choose another directory",
                )
            seen.add(mount.path)


def _blob_mounts_exist(estate: Estate) -> Iterator[Problem]:
    """Blob mounts of the data account name containers that are created."""
    containers = estate.config.storage.containers.values()
    for pool in estate.pools:
        for index, mount in enumerate(pool.equipment.mounts):
            if not isinstance(mount, BlobMount) or mount.account_name is not None:
                continue
            if mount.container not in containers:
                yield Problem(
                    f"{pool.path}.mounts.{index}.container",
                    f"the data account gets no container '{mount.container}', so nodes would "
                    f"be unusable{near_misses(mount.container, containers)}; write one of "
                    f"{', '.join(containers)}, or give account_name",
                )


def _files_have_the_right_account(estate: Estate) -> Iterator[Problem]:
    """An Azure Files share is of the account whose key is given."""
    for pool in estate.pools:
        for index, mount in enumerate(pool.equipment.mounts):
            if mount.type == "files" and not mount.share_url.startswith(
                f"https://{mount.account_name}."
            ):
                yield Problem(
                    f"{pool.path}.mounts.{index}.share_url",
                    f"the share is not of account '{mount.account_name}', whose key would be "
                    "refused; write both of one account",
                )


def _containers_run_on_images_that_can(estate: Estate) -> Iterator[Problem]:
    """Containers run on images that bring a container runtime."""
    plain = IMAGES["ubuntu-24.04"]
    for pool in estate.pools:
        if pool.equipment.containers is None or pool.image is None:
            continue
        found = (pool.image.publisher.casefold(), pool.image.offer.casefold())
        if found == (plain.publisher, plain.offer):
            yield Problem(
                f"{pool.path}.image",
                "this image has no container runtime and Batch refuses container pools on it; "
                "write ubuntu-hpc-24.04",
            )


def _registries_are_told(estate: Estate) -> Iterator[Problem]:
    """Nodes can sign in to the registries of their images."""
    for pool in estate.pools:
        containers = pool.equipment.containers
        if containers is None:
            continue
        known = {server.casefold() for server in containers.registries}
        known.add(estate.config.registry.server or "")
        for index, image in enumerate(containers.images):
            server = image.partition("/")[0].casefold()
            if server.endswith(_REGISTRY_SUFFIX) and server not in known:
                yield Problem(
                    f"{pool.path}.containers.images.{index}",
                    f"{server} lets nobody pull without signing in, and it is not in "
                    f"containers.registries: nodes would be unusable; add {server} there",
                )


def _images_are_reached(estate: Estate) -> Iterator[Problem]:
    """Nodes reach the registries of their images."""
    for pool in pools_without_internet(estate):
        containers = pool.equipment.containers
        for index, image in enumerate(containers.images if containers else ()):
            if not image.partition("/")[0].casefold().endswith(_REGISTRY_SUFFIX):
                yield Problem(
                    f"{pool.path}.containers.images.{index}",
                    f"{image} is not in an Azure registry, and nodes reach no other, so they "
                    "would be unusable; copy it to one (`az acr import`), or set "
                    "network.allow_package_sources: true",
                )


def _container_tasks_say_so(estate: Estate) -> Iterator[Problem]:
    """Every task of a container pool has container settings."""
    for pool in estate.pools:
        if pool.equipment.containers is not None:
            yield Problem(
                f"{pool.path}.containers",
                "every task of this pool must have container settings, and Batch refuses each "
                "that has none; make a second pool for tasks without containers, or silence "
                "this rule when all have them",
            )


def _disks_have_numbers(estate: Estate) -> Iterator[Problem]:
    """Data disks have logical unit numbers of their own."""
    for pool in estate.pools:
        seen: set[int] = set()
        for index, disk in enumerate(pool.equipment.data_disks):
            if disk.lun in seen:
                yield Problem(
                    f"{pool.path}.data_disks.{index}.lun",
                    f"another disk of this pool has number {disk.lun} already; write the next "
                    "free one, 0 to 63",
                )
            seen.add(disk.lun)


def _accounts_have_both_ids(estate: Estate) -> Iterator[Problem]:
    """A user account has uid and gid, or neither."""
    for pool in estate.pools:
        for name, account in pool.equipment.user_accounts.items():
            if (account.uid is None) != (account.gid is None):
                absent = "uid" if account.uid is None else "gid"
                yield Problem(
                    f"{pool.path}.user_accounts.{name}.{absent}",
                    "Batch takes uid and gid together or neither; write both, the same as on "
                    "the file server whose files the account owns",
                )


def _extensions_are_allowed(estate: Estate) -> Iterator[Problem]:
    """Extensions are on the list that Batch allows."""
    for pool in estate.pools:
        for name, extension in pool.equipment.extensions.items():
            kind = (extension.publisher, extension.type)
            if kind not in _ALLOWED_EXTENSIONS:
                choices = ", ".join("/".join(one) for one in _ALLOWED_EXTENSIONS)
                yield Problem(
                    f"{pool.path}.extensions.{name}",
                    f"Batch does not allow {'/'.join(kind)} on pools; write one of {choices}, "
                    "or do the same in start_task",
                )


def _one_driver_is_enough(estate: Estate) -> Iterator[Problem]:
    """The NVIDIA driver is installed once."""
    for pool in estate.pools:
        for name, extension in pool.equipment.extensions.items():
            if (extension.publisher, extension.type) == NVIDIA_DRIVER and pool.has_hpc_drivers:
                yield Problem(
                    f"{pool.path}.extensions.{name}",
                    "the image brings the NVIDIA driver, and a second one breaks the first; "
                    "leave the extension out, or write image: ubuntu-24.04",
                )


def _upgrades_are_in_order(estate: Estate) -> Iterator[Problem]:
    """No more nodes upgrade at a time than may be unhealthy."""
    for pool in estate.pools:
        policy = pool.equipment.upgrade_policy
        if policy is not None and policy.max_batch_percent > policy.max_unhealthy_percent:
            yield Problem(
                f"{pool.path}.upgrade_policy.max_batch_percent",
                f"{policy.max_batch_percent} % of the nodes at a time are more than the "
                f"{policy.max_unhealthy_percent} % that may be unhealthy, and Azure refuses "
                "that; lower the one or raise the other",
            )


def _rolling_upgrades_see_health(estate: Estate) -> Iterator[Problem]:
    """Rolling upgrades know when a node is healthy."""
    for pool in estate.pools:
        policy = pool.equipment.upgrade_policy
        kinds = {(one.publisher, one.type) for one in pool.equipment.extensions.values()}
        if policy is not None and policy.mode == "rolling" and _HEALTH not in kinds:
            yield Problem(
                f"{pool.path}.upgrade_policy.mode",
                "without the extension that tells a node's health a rolling upgrade goes on "
                f"over broken nodes; add the extension {'/'.join(_HEALTH)}, or write manual",
            )


_MOUNTS = "https://learn.microsoft.com/azure/batch/virtual-file-mount"
_CONTAINERS = "https://learn.microsoft.com/azure/batch/batch-docker-container-workloads"
_EXTENSIONS = "https://learn.microsoft.com/azure/batch/create-pool-extensions"
_UPGRADES = "https://learn.microsoft.com/rest/api/batchmanagement/pool/create"
_HEALTHY = (
    "https://learn.microsoft.com/azure/virtual-machine-scale-sets/"
    "virtual-machine-scale-sets-automatic-upgrade"
)
_POOLS = "https://learn.microsoft.com/rest/api/batchservice/pool/add-pool"

RULES = (
    Rule(code="EQU001", severity="error", source=_MOUNTS, judge=_mounts_are_few),
    Rule(code="EQU002", severity="error", source=_MOUNTS, judge=_mounts_have_places),
    Rule(code="EQU003", severity="error", source=_MOUNTS, judge=_blob_mounts_exist),
    Rule(code="EQU004", severity="error", source=_MOUNTS, judge=_files_have_the_right_account),
    Rule(
        code="EQU005",
        severity="error",
        source=_CONTAINERS,
        judge=_containers_run_on_images_that_can,
    ),
    Rule(code="EQU006", severity="error", source=_CONTAINERS, judge=_registries_are_told),
    Rule(code="EQU007", severity="warning", source=_CONTAINERS, judge=_container_tasks_say_so),
    Rule(code="EQU008", severity="error", source=_POOLS, judge=_disks_have_numbers),
    Rule(code="EQU009", severity="error", source=_POOLS, judge=_accounts_have_both_ids),
    Rule(code="EQU010", severity="error", source=_EXTENSIONS, judge=_extensions_are_allowed),
    Rule(code="EQU011", severity="error", source=_EXTENSIONS, judge=_one_driver_is_enough),
    Rule(code="EQU012", severity="error", source=_UPGRADES, judge=_upgrades_are_in_order),
    Rule(code="EQU013", severity="warning", source=_HEALTHY, judge=_rolling_upgrades_see_health),
    Rule(code="EQU014", severity="error", source=_CONTAINERS, judge=_images_are_reached),
)
