"""The images that the emulator says it supports: those of the present estate's sizes.

The service's list is longer and changes by the week; a task here runs on the machine of
the emulator whatever its pool's image. An image that is not listed is accepted.
"""

from __future__ import annotations

from typing import Any


def _image(
    publisher: str, offer: str, sku: str, agent: str, *, system: str = "linux", hpc: bool = False
) -> dict[str, Any]:
    capabilities = ["SupportsRDMA", "NvidiaTeslaDriverInstalled"] if hpc else []
    return {
        "imageReference": {
            "publisher": publisher,
            "offer": offer,
            "sku": sku,
            "version": "latest",
        },
        "verificationType": "verified",
        "nodeAgentSKUId": agent,
        **({"capabilities": capabilities} if capabilities else {}),
        "osType": system,
    }


SUPPORTED_IMAGES: tuple[dict[str, Any], ...] = (
    _image("almalinux", "almalinux-hpc", "8_10-hpc-gen2", "batch.node.el 8", hpc=True),
    _image("almalinux", "almalinux-hpc", "9-hpc-gen2", "batch.node.el 9", hpc=True),
    _image("canonical", "0001-com-ubuntu-server-jammy", "22_04-lts", "batch.node.ubuntu 22.04"),
    _image("canonical", "ubuntu-24_04-lts", "server", "batch.node.ubuntu 24.04"),
    _image("microsoft-dsvm", "ubuntu-hpc", "2204", "batch.node.ubuntu 22.04", hpc=True),
    _image("microsoft-dsvm", "ubuntu-hpc", "2404", "batch.node.ubuntu 24.04", hpc=True),
    _image(
        "microsoftwindowsserver",
        "windowsserver",
        "2022-datacenter",
        "batch.node.windows amd64",
        system="windows",
    ),
)
