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
        generation: Hyper-V generation of the image.
        os: Operating system family.
    """

    publisher: str
    offer: str
    sku: str
    node_agent_sku_id: str
    has_hpc_drivers: bool
    generation: Literal[1, 2] = 2
    os: Literal["linux", "windows"] = "linux"


_UBUNTU_24 = "batch.node.ubuntu 24.04"

IMAGES: Mapping[ImageName, Image] = MappingProxyType(
    {
        "ubuntu-24.04": Image(
            publisher="canonical",
            offer="ubuntu-24_04-lts",
            sku="server",
            node_agent_sku_id=_UBUNTU_24,
            has_hpc_drivers=False,
        ),
        "ubuntu-hpc-24.04": Image(
            publisher="microsoft-dsvm",
            offer="ubuntu-hpc",
            sku="2404",
            node_agent_sku_id=_UBUNTU_24,
            has_hpc_drivers=True,
        ),
        "ubuntu-hpc-22.04": Image(
            publisher="microsoft-dsvm",
            offer="ubuntu-hpc",
            sku="2204",
            node_agent_sku_id="batch.node.ubuntu 22.04",
            has_hpc_drivers=True,
        ),
        "almalinux-hpc-8": Image(
            publisher="almalinux",
            offer="almalinux-hpc",
            sku="8_10-hpc-gen2",
            node_agent_sku_id="batch.node.el 8",
            has_hpc_drivers=True,
        ),
        "almalinux-hpc-9": Image(
            publisher="almalinux",
            offer="almalinux-hpc",
            sku="9-hpc-gen2",
            node_agent_sku_id="batch.node.el 9",
            has_hpc_drivers=True,
        ),
    }
)
