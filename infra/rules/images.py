"""Rules of images, agents and drivers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.estate import Estate
from infra.images import disk_gib, known_image
from infra.pools import NVIDIA_DRIVER
from infra.rules.rule import Problem, Rule

_GALLERY_ID = re.compile(
    r"^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute"
    r"/galleries/[^/]+/images/[^/]+(/versions/[^/]+)?$",
    re.IGNORECASE,
)


def _drivers_are_there(estate: Estate) -> Iterator[Problem]:
    """GPU and InfiniBand sizes run images with their drivers."""
    for pool in estate.pools:
        if pool.size is None or pool.has_hpc_drivers or pool.start_task:
            continue
        if pool.inter_node_communication and pool.size.has_rdma:
            yield Problem(
                f"{pool.path}.image",
                f"the image has no drivers for what {pool.vm_size} is paid for; write "
                "ubuntu-hpc-24.04, or install them in start_task",
            )
        elif pool.size.gpu is not None and not pool.has_nvidia_driver:
            yield Problem(
                f"{pool.path}.image",
                f"the image has no drivers for what {pool.vm_size} is paid for; write "
                "ubuntu-hpc-24.04, install them in start_task, or add the extension "
                f"{'/'.join(NVIDIA_DRIVER)}",
            )


def _gallery_ids_are_gallery_ids(estate: Estate) -> Iterator[Problem]:
    """Custom images come from a Compute Gallery."""
    for pool in estate.pools:
        if pool.gallery_image_id is not None and not _GALLERY_ID.match(pool.gallery_image_id):
            yield Problem(
                f"{pool.path}.image.gallery_image_id",
                "Batch takes custom images from a Compute Gallery only; write "
                "/subscriptions/…/resourceGroups/…/providers/Microsoft.Compute/galleries/…"
                "/images/…/versions/…",
            )


def _agents_match(estate: Estate) -> Iterator[Problem]:
    """The node agent fits the image."""
    for pool in estate.pools:
        if pool.image is None:
            continue
        known = known_image(pool.image)
        if known is not None and known.node_agent_sku_id != pool.node_agent_sku_id:
            yield Problem(
                f"{pool.path}.image.node_agent_sku_id",
                f"{pool.node_agent_sku_id} does not run on this image; write "
                f"{known.node_agent_sku_id}",
            )


def _sizes_boot_their_generation(estate: Estate) -> Iterator[Problem]:
    """Sizes that need generation 2 images get them."""
    for pool in estate.pools:
        if pool.size is None or not pool.size.needs_gen2 or pool.image is None:
            continue
        if pool.image.generation == 1 or "gen1" in pool.image.sku.lower():
            yield Problem(
                f"{pool.path}.image",
                f"{pool.vm_size} boots generation 2 images only; write ubuntu-hpc-24.04",
            )


def _production_pins_versions(estate: Estate) -> Iterator[Problem]:
    """A protected stack pins image versions."""
    if not estate.config.protect:
        return
    for pool in estate.pools:
        if pool.image is not None and pool.image_version == "latest":
            yield Problem(
                f"{pool.path}.image_version",
                "a protected stack runs whatever image is newest when a node starts, so two "
                "nodes may differ; pin the version that was tested",
            )


def _disks_hold_their_image(estate: Estate) -> Iterator[Problem]:
    """OS disks are at least as large as the image's."""
    for pool in estate.pools:
        disk = pool.equipment.os_disk
        least = disk_gib(pool.image) if pool.image is not None else None
        if disk is not None and disk.size_gib is not None and least and disk.size_gib < least:
            yield Problem(
                f"{pool.path}.os_disk.size_gib",
                f"the image's own disk has {least} GiB and Azure makes no smaller one of it, so "
                f"no node would start; write {least} or more, or leave size_gib out",
            )


_IMAGES = "https://learn.microsoft.com/azure/batch/batch-linux-nodes"

RULES = (
    Rule(
        code="IMG001",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/batch-pool-compute-intensive-sizes",
        judge=_drivers_are_there,
    ),
    Rule(
        code="IMG002",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/batch-sig-images",
        judge=_gallery_ids_are_gallery_ids,
    ),
    Rule(code="IMG003", severity="error", source=_IMAGES, judge=_agents_match),
    Rule(
        code="IMG004",
        severity="error",
        source="https://learn.microsoft.com/azure/virtual-machines/generation-2",
        judge=_sizes_boot_their_generation,
    ),
    Rule(code="IMG005", severity="warning", source=_IMAGES, judge=_production_pins_versions),
    Rule(
        code="IMG006",
        severity="error",
        source="https://learn.microsoft.com/azure/virtual-machines/linux/expand-disks",
        judge=_disks_hold_their_image,
    ),
)
