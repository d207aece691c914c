"""The stack config: everything a person may write under `hpc:` in `Pulumi.STACK.yaml`.

Defaults are safe (no keys, nothing inbound, private containers) and cheap (pools grow
from zero, no gateway, no private endpoint). Units are in the names. What this module
does not do: judge values against each other or against Azure; that is the business of
`rules`, over the planned estate. Models only say what shape a value has. Larger parts have
modules of their own, from which they are imported here.

`config.schema.json` beside this file is the published JSON schema; an editor that reads
the first line of `Pulumi.dev.yaml` completes and checks keys with it.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from infra.account import BatchConfig
from infra.applications import ApplicationConfig, ApplicationName, PackageConfig
from infra.equipment import EquipmentConfig, StartFileConfig
from infra.existing_network import ExistingNetworkConfig
from infra.images import ImageName
from infra.model import Model
from infra.monitoring import MonitoringConfig
from infra.pipeline import PipelineConfig
from infra.regions import REGIONS
from infra.scaling import FollowPendingScale, Scale
from infra.storage import StorageConfig

NAMESPACE = "hpc"
SCHEMA_FILE = Path(__file__).with_name("config.schema.json")

Authentication = Literal["entra", "shared-key"]
Preset = Literal["cpu", "gpu", "rdma", "spot"]

# A hyphen and 8 hexadecimal digits follow it in Azure, and Batch allows 64 characters;
# subnets and endpoints named after a pool must start and end with a letter or digit.
PoolName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_-]{0,53}[A-Za-z0-9])?$")
]
RuleId = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}[0-9]{3}$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)]


class StartTaskConfig(Model):
    """What each node runs before it takes tasks."""

    command_line: str = Field(
        min_length=1, description="Command; shell features need `/bin/bash -c '…'` around them."
    )
    elevated: bool = Field(default=False, description="Runs as administrator.")
    wait_for_success: bool = Field(
        default=True, description="No task starts before the command succeeded."
    )
    max_retries: int = Field(default=2, ge=0, le=10, description="Retries of a failed command.")
    environment: dict[str, str] = Field(
        default_factory=dict, description="Environment variables; never secrets."
    )
    files: tuple[StartFileConfig, ...] = Field(
        default=(), description="Files that a node downloads before, by its identity."
    )


class MarketplaceImageConfig(Model):
    """A marketplace image that the table of known images does not name."""

    publisher: str = Field(min_length=1)
    offer: str = Field(min_length=1)
    sku: str = Field(min_length=1)
    node_agent_sku_id: str = Field(
        pattern=r"^batch\.node\.",
        description="Batch node agent, such as `batch.node.ubuntu 24.04`.",
    )
    has_hpc_drivers: bool = Field(
        default=False, description="InfiniBand and NVIDIA drivers and MPI are in the image."
    )


class GalleryImageConfig(Model):
    """An image of an Azure Compute Gallery."""

    gallery_image_id: str = Field(
        description="Resource id of the image version, `/subscriptions/…/galleries/…/versions/…`."
    )
    node_agent_sku_id: str = Field(
        pattern=r"^batch\.node\.",
        description="Batch node agent, such as `batch.node.ubuntu 24.04`.",
    )
    has_hpc_drivers: bool = Field(
        default=False, description="InfiniBand and NVIDIA drivers and MPI are in the image."
    )


KNOWN_IMAGE = "known-image"


def _image_kind(value: Any) -> str | None:
    match value:
        case str():
            return KNOWN_IMAGE
        case GalleryImageConfig() | {"gallery_image_id": _}:
            return GalleryImageConfig.__name__
        case MarketplaceImageConfig() | dict():
            return MarketplaceImageConfig.__name__
    return None


# A mapping that names no gallery is a marketplace image, so that one mistake is told once.
Image = Annotated[
    Annotated[ImageName, Tag(KNOWN_IMAGE)]
    | Annotated[MarketplaceImageConfig, Tag("MarketplaceImageConfig")]
    | Annotated[GalleryImageConfig, Tag("GalleryImageConfig")],
    Discriminator(
        _image_kind,
        custom_error_type="image_kind",
        custom_error_message="an image is the name of a known one or a mapping",
    ),
]


class PoolConfig(EquipmentConfig):
    """One pool. The preset fills in whatever is left out."""

    preset: Preset = Field(
        default="cpu",
        description="What the pool is for: `cpu` tasks, `gpu` tasks, `rdma` MPI over "
        "InfiniBand, or `spot` CPU tasks that may be evicted.",
    )
    display_name: str | None = Field(default=None, max_length=1024)
    vm_size: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z]+_[A-Za-z0-9_-]+$",
        description="VM size, such as `Standard_D4s_v5`; the preset's when absent.",
    )
    image: Image | None = Field(
        default=None,
        description="A known image by name, or a marketplace or gallery image spelled out.",
    )
    image_version: str = Field(
        default="latest",
        min_length=1,
        description="Version of a marketplace image; pin it in production.",
    )
    task_slots_per_node: int = Field(
        default=1, ge=1, description="Tasks that run side by side on a node."
    )
    fill: Literal["spread", "pack"] | None = Field(
        default=None, description="How tasks are placed on nodes; the preset's when absent."
    )
    inter_node_communication: bool | None = Field(
        default=None, description="Nodes may talk to each other; multi-instance tasks need it."
    )
    scale: Scale = Field(
        default_factory=FollowPendingScale, description="How the pool grows and shrinks."
    )
    start_task: StartTaskConfig | None = Field(default=None)
    application_packages: tuple[PackageConfig, ...] = Field(
        default=(), description="Application packages of each node, there before its start task."
    )
    ephemeral_os_disk: bool = Field(
        default=False, description="The OS disk lives on the host's cache: faster and free."
    )
    encryption_at_host: bool = Field(
        default=False, description="Encrypts disks on the host; the subscription must allow it."
    )
    metadata: dict[str, str] = Field(
        default_factory=dict, description="Names and values kept with the pool."
    )


class NetworkConfig(Model):
    """Where nodes live and whom they may talk to. Nothing is ever let in."""

    address_space: IPv4Network = Field(
        default=IPv4Network("10.64.0.0/16"), description="Addresses of the virtual network."
    )
    subnets: Literal["shared", "per-pool"] = Field(
        default="shared", description="One subnet for all pools, or one each."
    )
    existing: ExistingNetworkConfig | None = Field(
        default=None, description="A network that exists already; none is created then."
    )
    public_addresses: bool = Field(
        default=True, description="Nodes have public addresses for outbound traffic."
    )
    nat_gateway: bool = Field(
        default=False, description="Outbound traffic leaves through a NAT gateway (billed)."
    )
    private_endpoints: bool = Field(
        default=False,
        description="Batch and storage are reached inside the network (billed).",
    )
    allow_package_sources: bool = Field(
        default=False,
        description="Nodes may reach the internet on ports 80 and 443, for packages.",
    )


class RegistryConfig(Model):
    """A container registry of the stack's own; none without a name."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{5,50}$")] | None = Field(
        default=None,
        description="Name, unique in the world; images are NAME.azurecr.io/… (billed).",
    )
    sku: Literal["Basic", "Standard", "Premium"] = Field(
        default="Basic", description="Size and price of the registry."
    )

    public_network_access: bool = Field(
        default=True, description="Reached from outside the network, by Entra identities."
    )

    @property
    def can_be_private(self) -> bool:
        """Whether it can have private endpoints."""
        return self.name is not None and self.sku == "Premium"

    @property
    def server(self) -> str | None:
        """What images of the registry begin with."""
        return None if self.name is None else f"{self.name.lower()}.azurecr.io"


class StackConfig(Model):
    """Everything under `hpc:` in a stack file."""

    location: str = Field(
        default="eastus",
        pattern=r"^[a-z0-9]+$",
        description="Azure region, such as `eastus`.",
        examples=list(REGIONS),
    )
    authentication: Authentication = Field(
        default="entra",
        description="`entra` everywhere; `shared-key` is for the emulator alone.",
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of every resource.")
    protect: bool = Field(
        default=False,
        description="Pulumi refuses to delete the accounts and their data.",
    )
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    storage: StorageConfig = Field(default_factory=StorageConfig)
    batch: BatchConfig = Field(default_factory=BatchConfig)
    registry: RegistryConfig = Field(default_factory=RegistryConfig)
    monitoring: MonitoringConfig = Field(default_factory=MonitoringConfig)
    pipeline: PipelineConfig = Field(default_factory=PipelineConfig)
    applications: dict[ApplicationName, ApplicationConfig] = Field(
        default_factory=dict,
        description="The team's programs by name; `python -m jobs publish` gives them versions.",
    )
    pools: dict[PoolName, PoolConfig] = Field(
        min_length=1, description="Pools by logical name, the name that workloads use."
    )
    ignore: dict[RuleId, Reason] = Field(
        default_factory=dict,
        description="Rules that do not count in this stack, each with the reason.",
    )

    @property
    def allows_shared_keys(self) -> bool:
        """Whether accounts take shared keys, as the emulator's alone do."""
        return self.authentication == "shared-key"


def json_schema() -> str:
    """The text of `config.schema.json`: a stack file whose `config` has `hpc:` keys."""
    schema = StackConfig.model_json_schema(ref_template="#/$defs/{model}")
    definitions = schema.pop("$defs")
    properties = {f"{NAMESPACE}:{key}": value for key, value in schema["properties"].items()}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pulumi stack file of HPC on Azure Batch",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": properties,
                "patternProperties": {f"^{NAMESPACE}:": False},
                "required": [f"{NAMESPACE}:{key}" for key in schema["required"]],
            },
            # Pulumi's own.
            "encryptedkey": {"type": "string"},
            "encryptionsalt": {"type": "string"},
            "environment": {},
            "secretsprovider": {"type": "string"},
        },
        "additionalProperties": False,
        "$defs": definitions,
    }
    return json.dumps(document, indent=2) + "\n"
