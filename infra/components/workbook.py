"""The page in the portal with the estate's charts; `infra.workbook` has what is on it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native.applicationinsights import Workbook as AzureWorkbook

from infra.components.place import Place
from infra.estate import Estate
from infra.workbook import content

# Any fixed GUID does; changing it would make a new workbook of every stack's.
_WORKBOOKS: Final = uuid.UUID("0d2f3a7e-3c1b-5b1f-8f43-0a8f5a3f6c52")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkbookArgs:
    """Args of `Workbook`.

    Attributes:
        estate: Whose pools are charted.
        account_id: Resource id of the Batch account, on whose page the workbook is found.
        workspace_id: Resource id of the workspace that it asks.
    """

    place: Place
    estate: Estate
    account_id: pulumi.Input[str]
    workspace_id: pulumi.Input[str]


class Workbook(pulumi.ComponentResource):
    """A shared workbook."""

    def __init__(
        self, name: str, args: WorkbookArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Workbook", name, {}, opts)
        ids = pulumi.Output.all(account_id=args.account_id, workspace_id=args.workspace_id)
        AzureWorkbook(
            f"{name}-charts",
            resource_group_name=args.place.resource_group_name,
            # A workbook's name is a GUID; the account's makes it the same at every deployment.
            resource_name_=pulumi.Output.from_input(args.account_id).apply(workbook_name),
            location=args.place.location,
            kind="shared",
            category="workbook",
            display_name=f"HPC on Azure Batch: {args.estate.stack}",
            source_id=pulumi.Output.from_input(args.account_id).apply(str.lower),
            serialized_data=ids.apply(lambda found: content(args.estate, **found)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def workbook_name(account_id: str) -> str:
    """The GUID that names the workbook of an account."""
    return str(uuid.uuid5(_WORKBOOKS, account_id.lower()))
