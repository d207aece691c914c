"""A container registry that nodes pull from by their identity.

What it deliberately does not do: know passwords. The admin account is off and nobody
pulls without signing in; who may pull or push is said by role assignments elsewhere.
Its name is the config's, because people write it into the names of their images.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native.containerregistry import Registry as AzureRegistry
from pulumi_azure_native.containerregistry import SkuArgs

from infra.components.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryArgs:
    """Args of `Registry`.

    Attributes:
        registry: Its name in Azure, unique in the world, 5 to 50 letters and digits.
        sku: `Basic`, `Standard` or `Premium`.
        public_network_access: Whether it is reached from outside the network.
        protect: Whether Pulumi refuses to delete it.
    """

    place: Place
    registry: str
    sku: str
    public_network_access: bool
    protect: bool


class Registry(pulumi.ComponentResource):
    """A container registry.

    Attributes:
        registry_id: Resource id.
        server: What names of its images begin with.
    """

    registry_id: pulumi.Output[str]
    server: pulumi.Output[str]

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Registry", name, {}, opts)
        registry = AzureRegistry(
            f"{name}-images",
            resource_group_name=args.place.resource_group_name,
            registry_name=args.registry,
            location=args.place.location,
            sku=SkuArgs(name=args.sku),
            admin_user_enabled=False,
            # Of the larger registry alone; Azure refuses it elsewhere.
            public_network_access=None if args.public_network_access else "Disabled",
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.registry_id = registry.id
        self.server = registry.login_server
        self.register_outputs({"registry_id": registry.id})
