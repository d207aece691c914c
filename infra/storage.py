"""The part of the stack config that storage has: accounts, containers, how long blobs stay."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.file_systems import FileSystemConfig, FileSystemName
from infra.model import Model

ContainerName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9](-?[a-z0-9])*$", min_length=3, max_length=63)
]


class DeleteAfterDays(Model):
    """How many days after its last change a blob is deleted, by container."""

    programs: int | None = Field(default=None, ge=1)
    inputs: int | None = Field(default=None, ge=1)
    outputs: int | None = Field(default=None, ge=1)
    logs: int | None = Field(default=30, ge=1)


class CoolAfterDays(Model):
    """How many days after its last change a blob moves to the cool tier, by container."""

    programs: int | None = Field(default=None, ge=1)
    inputs: int | None = Field(default=None, ge=1)
    outputs: int | None = Field(default=None, ge=1)
    logs: int | None = Field(default=None, ge=1)


class StorageConfig(Model):
    """The data account and the account of application packages."""

    replication: Literal["LRS", "ZRS", "GRS", "GZRS"] = Field(
        default="LRS", description="How many copies there are, and where."
    )
    public_network_access: bool = Field(
        default=True, description="Reached from outside the network, by Entra identities."
    )
    allow_from: tuple[IPv4Network, ...] = Field(
        default=(),
        description="Public addresses that alone reach the data account from outside, such as "
        "`203.0.113.0/24`, beside the pools' subnets; any when empty.",
    )
    soft_delete_days: int = Field(
        default=7, ge=1, le=365, description="Deleted blobs and containers can be restored."
    )
    versioning: bool = Field(default=False, description="Overwritten blobs keep their past.")
    programs_container: ContainerName = "programs"
    inputs_container: ContainerName = "inputs"
    outputs_container: ContainerName = "outputs"
    logs_container: ContainerName = "logs"
    delete_after_days: DeleteAfterDays = Field(default_factory=DeleteAfterDays)
    cool_after_days: CoolAfterDays = Field(default_factory=CoolAfterDays)
    delete_versions_after_days: int = Field(
        default=90, ge=1, description="With versioning: how long the past of a blob is kept."
    )
    file_systems: dict[FileSystemName, FileSystemConfig] = Field(
        default_factory=dict,
        description="File systems that pools mount by name; made in accounts of their own.",
    )

    @property
    def containers(self) -> Mapping[str, str]:
        """Names of the data account's containers, by the kind of blob that is in them."""
        return {
            "programs": self.programs_container,
            "inputs": self.inputs_container,
            "outputs": self.outputs_container,
            "logs": self.logs_container,
        }
