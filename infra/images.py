"""Images that pools may run, each with the Batch node agent that fits it.

A name in the stack config stands for the image and its agent together, because the two
must match and the service refuses a pool where they do not. HPC images carry the
InfiniBand and NVIDIA drivers and the MPI libraries; plain ones do not.
Source: https://learn.microsoft.com/azure/batch/batch-linux-nodes and
https://learn.microsoft.com/azure/virtual-machines/azure-hpc-vm-images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ImageName = Literal[
    "ubuntu-24.04",
    "ubuntu-hpc-24.04",
    "ubuntu-hpc-22.04",
    "almalinux-hpc-8",
    "almalinux-hpc-9",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A marketplace image.

    Attributes:
        publisher: Marketplace publisher.
        offer: Marketplace offer.
        sku: Marketplace SKU.
        node_agent_sku_id: The Batch node agent built for it.
        has_hpc_drivers: Whether InfiniBand and NVIDIA drivers and MPI are in it.
        disk_gib: Size of its system disk; None where nobody here knows it.
        generation: Hyper-V generation of the image.
        os: Operating system family.
    """

    publisher: str
    offer: str
    sku: str
    node_agent_sku_id: str
    has_hpc_drivers: bool
    disk_gib: int | None = None
    generation: Literal[1, 2] = 2
    os: Literal["linux", "windows"] = "linux"


# What HPC images are built on: `os_disk_size_gb` in https://github.com/Azure/azhpc-images
_HPC_DISK_GIB = 64
# https://learn.microsoft.com/azure/virtual-machines/linux/expand-disks
_PLAIN_DISK_GIB = 30
# https://learn.microsoft.com/azure/virtual-machines/windows/expand-os-disk
_WINDOWS_DISK_GIB = 127
_SMALL_WINDOWS = "smalldisk"
_UBUNTU_24 = "batch.node.ubuntu 24.04"

IMAGES: Mapping[ImageName, Image] = MappingProxyType(
    {
        "ubuntu-24.04": Image(
            publisher="canonical",
            offer="ubuntu-24_04-lts",
            sku="server",
            node_agent_sku_id=_UBUNTU_24,
            has_hpc_drivers=False,
            disk_gib=_PLAIN_DISK_GIB,
        ),
        "ubuntu-hpc-24.04": Image(
            publisher="microsoft-dsvm",
            offer="ubuntu-hpc",
            sku="2404",
            node_agent_sku_id=_UBUNTU_24,
            has_hpc_drivers=True,
            disk_gib=_HPC_DISK_GIB,
        ),
        "ubuntu-hpc-22.04": Image(
            publisher="microsoft-dsvm",
            offer="ubuntu-hpc",
            sku="2204",
            node_agent_sku_id="batch.node.ubuntu 22.04",
            has_hpc_drivers=True,
            disk_gib=_HPC_DISK_GIB,
        ),
        "almalinux-hpc-8": Image(
            publisher="almalinux",
            offer="almalinux-hpc",
            sku="8_10-hpc-gen2",
            node_agent_sku_id="batch.node.el 8",
            has_hpc_drivers=True,
            disk_gib=_HPC_DISK_GIB,
        ),
        "almalinux-hpc-9": Image(
            publisher="almalinux",
            offer="almalinux-hpc",
            sku="9-hpc-gen2",
            node_agent_sku_id="batch.node.el 9",
            has_hpc_drivers=True,
            disk_gib=_HPC_DISK_GIB,
        ),
    }
)


def known_image(image: Image) -> Image | None:
    """The row of the table that an image spelled out is of."""
    spelled = (image.publisher.lower(), image.offer.lower(), image.sku.lower())
    return next(
        (one for one in IMAGES.values() if (one.publisher, one.offer, one.sku) == spelled), None
    )


def disk_gib(image: Image) -> int | None:
    """Size of an image's system disk, or None where nobody here knows it."""
    known = known_image(image)
    if known is not None:
        return known.disk_gib
    is_windows = image.publisher.lower() == "microsoftwindowsserver"
    if is_windows and _SMALL_WINDOWS not in image.sku.lower():
        return _WINDOWS_DISK_GIB
    return _PLAIN_DISK_GIB if is_windows else None
