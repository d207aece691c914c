"""Rules of the machine itself: its disk, how it starts, the addresses that it leaves from."""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.images import disk_gib
from infra.pools import NVIDIA_DRIVER
from infra.rules.rule import Problem, Rule

_NODES_PER_ADDRESS = 100


def _ephemeral_disks_are_the_hosts(estate: Estate) -> Iterator[Problem]:
    """An ephemeral OS disk has no size or kind of its own."""
    for pool in estate.pools:
        if pool.ephemeral_os_disk and pool.equipment.os_disk is not None:
            yield Problem(
                f"{pool.path}.os_disk",
                "an ephemeral OS disk lives in the host's cache and is as large as the image; "
                "leave this key out, or set ephemeral_os_disk: false",
            )


def _ephemeral_disks_have_room(estate: Estate) -> Iterator[Problem]:
    """An ephemeral OS disk fits into the host's cache."""
    for pool in estate.pools:
        cache = pool.size.os_cache_gib if pool.size is not None else None
        if not pool.ephemeral_os_disk or cache is None:
            continue
        path = f"{pool.path}.ephemeral_os_disk"
        needed = disk_gib(pool.image) if pool.image is not None else None
        if cache == 0:
            yield Problem(
                path,
                f"hosts of {pool.vm_size} have no cache for an ephemeral OS disk, so the pool "
                "would get no node; write false, or a size that has one, such as "
                "Standard_F16s_v2",
            )
        elif needed is not None and needed > cache:
            yield Problem(
                path,
                f"the image's disk has {needed} GiB and the cache of {pool.vm_size} {cache}, so "
                "the pool would get no node; write false, or a larger size",
            )


def _secure_boot_loads_signed_drivers(estate: Estate) -> Iterator[Problem]:
    """Secure boot and drivers that are not signed for it do not meet."""
    for pool in estate.pools:
        if pool.equipment.trusted_launch and pool.has_nvidia_driver:
            yield Problem(
                f"{pool.path}.trusted_launch",
                "secure boot loads no unsigned kernel module, as NVIDIA and InfiniBand drivers "
                "of images and extensions may be, and nodes would come up without them; write "
                "false, or silence this rule once nvidia-smi or ibstat ran on such a node",
            )


def _addresses_suffice(estate: Estate) -> Iterator[Problem]:
    """Public addresses of one's own suffice for the nodes."""
    for pool in estate.pools:
        given = len(pool.equipment.public_ip_ids)
        needed = -(-pool.scale.max_nodes // _NODES_PER_ADDRESS)
        if given and given < needed:
            yield Problem(
                f"{pool.path}.public_ip_ids",
                f"Batch puts {_NODES_PER_ADDRESS} nodes behind an address, so {given} hold "
                f"{given * _NODES_PER_ADDRESS} of the {pool.scale.max_nodes} nodes at most and "
                f"the pool would stop growing; give {needed}, or lower the most nodes",
            )


def _addresses_are_wanted(estate: Estate) -> Iterator[Problem]:
    """Public addresses of one's own are for nodes with public addresses."""
    for pool in estate.pools:
        if pool.equipment.public_ip_ids and not estate.config.network.public_addresses:
            yield Problem(
                f"{pool.path}.public_ip_ids",
                "nodes of this stack have no public addresses, and Batch refuses to give them "
                "any; leave this key out, or set network.public_addresses: true",
            )


def _upgrades_follow_an_image(estate: Estate) -> Iterator[Problem]:
    """Automatic upgrades of the system follow the newest image."""
    for pool in estate.pools:
        policy = pool.equipment.upgrade_policy
        pinned = pool.image is not None and pool.image_version != "latest"
        if policy is not None and policy.automatic_os_upgrade and pinned:
            yield Problem(
                f"{pool.path}.upgrade_policy.automatic_os_upgrade",
                f"nothing is newer than the pinned version {pool.image_version}, and Batch "
                "refuses the two together; write false, or image_version: latest",
            )


def _files_have_one_source(estate: Estate) -> Iterator[Problem]:
    """Each file of a start task has one source."""
    for pool in estate.pools:
        for index, file in enumerate(pool.start_task.files if pool.start_task else ()):
            path = f"{pool.path}.start_task.files.{index}"
            if (file.url is None) == (file.container is None):
                yield Problem(
                    path,
                    "Batch wants exactly one source of each file; write url or container, and "
                    "for two sources two files",
                )
            elif file.url is not None and (file.prefix or not file.path):
                yield Problem(
                    path,
                    "a file that is named by url goes where path says and has no prefix; write "
                    "path, such as prepare.sh, and leave prefix out",
                )


def _drivers_are_installed_before_tasks(estate: Estate) -> Iterator[Problem]:
    """A start task that installs drivers may do so, and tasks wait for it."""
    for pool in estate.pools:
        task = pool.start_task
        needs = pool.size is not None and pool.size.gpu is not None and not pool.has_nvidia_driver
        if needs and task is not None and not (task.elevated and task.wait_for_success):
            yield Problem(
                f"{pool.path}.start_task",
                f"nothing but the start task can install the drivers of {pool.vm_size}, which "
                "the image lacks: it needs elevated: true, and wait_for_success: true so that "
                "no task starts before; write both, or image: ubuntu-hpc-24.04, or add the "
                f"extension {'/'.join(NVIDIA_DRIVER)}",
            )


_POOLS = "https://learn.microsoft.com/rest/api/batchmanagement/pool/create"

RULES = (
    Rule(
        code="MAC001",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/create-pool-ephemeral-os-disk",
        judge=_ephemeral_disks_are_the_hosts,
    ),
    Rule(
        code="MAC002",
        severity="warning",
        source="https://learn.microsoft.com/azure/virtual-machines/trusted-launch",
        judge=_secure_boot_loads_signed_drivers,
    ),
    Rule(code="MAC003", severity="error", source=_POOLS, judge=_addresses_suffice),
    Rule(
        code="MAC004",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/"
        "simplified-node-communication-pool-no-public-ip",
        judge=_addresses_are_wanted,
    ),
    Rule(
        code="MAC005",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/batch-upgrade-policy",
        judge=_upgrades_follow_an_image,
    ),
    Rule(code="MAC006", severity="error", source=_POOLS, judge=_files_have_one_source),
    Rule(
        code="MAC007",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/batch-pool-compute-intensive-sizes",
        judge=_drivers_are_installed_before_tasks,
    ),
    Rule(
        code="MAC008",
        severity="error",
        source="https://learn.microsoft.com/azure/virtual-machines/ephemeral-os-disks",
        judge=_ephemeral_disks_have_room,
    ),
)
