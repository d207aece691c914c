"""The applications of a Batch account.

What it deliberately does not do: declare package versions. A version is made, uploaded
to a URL that lives for hours, and activated; `python -m jobs publish` does that, and the
pipeline runs it. A declared version would be an empty one that no node can have.

The default version is the stack's only if the config names it; else it belongs to
whoever publishes, and the engine leaves it alone. Applications go with their account,
so that `pulumi destroy` is not stopped by versions that Pulumi never knew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native.batch import Application

from infra.applications import ApplicationConfig
from infra.components.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationsArgs:
    """Args of `Applications`.

    Attributes:
        account_name: Batch account.
        account: The component of the account.
        applications: By name.
    """

    place: Place
    account_name: pulumi.Input[str]
    account: pulumi.Resource
    applications: Mapping[str, ApplicationConfig]


class Applications(pulumi.ComponentResource):
    """Applications, without packages.

    Attributes:
        ids: Resource id by name.
    """

    ids: Mapping[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: ApplicationsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Applications", name, {}, opts)
        self.ids = {
            application: Application(
                application,
                resource_group_name=args.place.resource_group_name,
                account_name=args.account_name,
                application_name=application,
                display_name=config.display_name,
                allow_updates=config.allow_updates,
                default_version=config.default_version,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    deleted_with=args.account,
                    ignore_changes=[] if config.default_version else ["defaultVersion"],
                ),
            ).id
            for application, config in sorted(args.applications.items())
        }
        self.register_outputs({})
