"""One pool, declared from its plan.

What it deliberately does not do: give the pool a name. Batch changes little of a pool
that exists; for the rest there must be a new one, and with automatic names the engine
creates it before the old one goes, so that work always has somewhere to run.
`REPLACED_ON_CHANGES` tells the engine which fields those are, because neither Resource
Manager nor azure-native says so beforehand: they refuse in the middle of a deployment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native.batch import (
    AutoScaleSettingsArgs,
    AutoUserScope,
    AutoUserSpecificationArgs,
    BatchPoolIdentityArgs,
    ComputeNodeFillType,
    DeploymentConfigurationArgs,
    DiffDiskPlacement,
    DiffDiskSettingsArgs,
    ElevationLevel,
    EnvironmentSettingArgs,
    FixedScaleSettingsArgs,
    ImageReferenceArgs,
    InterNodeCommunicationState,
    IPAddressProvisioningType,
    MetadataItemArgs,
    NetworkConfigurationArgs,
    NodeCommunicationMode,
    OSDiskArgs,
    PoolIdentityType,
    PublicIPAddressConfigurationArgs,
    ScaleSettingsArgs,
    SecurityProfileArgs,
    StartTaskArgs,
    TaskSchedulingPolicyArgs,
    UserIdentityArgs,
    VirtualMachineConfigurationArgs,
)
from pulumi_azure_native.batch import (
    Pool as AzurePool,
)

from infra.config import StartTaskConfig
from infra.pool_changes import REPLACED_ON_CHANGES
from infra.pools import PoolPlan, ScalePlan

_FILL = {"pack": ComputeNodeFillType.PACK, "spread": ComputeNodeFillType.SPREAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolArgs:
    """Args of `Pool`.

    Attributes:
        plan: What the pool is.
        stack: The stack's name, kept in the pool's metadata.
        account_name: Batch account.
        subnet_id: Subnet that nodes join.
        identity_id: Identity with which nodes read and write blobs.
        public_addresses: Whether nodes have public addresses.
        after: What must exist before a node starts, such as the identity's grants.
    """

    resource_group_name: pulumi.Input[str]
    plan: PoolPlan
    stack: str
    account_name: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    identity_id: pulumi.Input[str]
    public_addresses: bool
    after: tuple[pulumi.Resource, ...]


class Pool(pulumi.ComponentResource):
    """A Batch pool.

    Attributes:
        pool_id: The pool's id on the data plane, which is its name in Resource Manager.
    """

    pool_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: PoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Pool", name, {}, opts)
        plan = args.plan
        pool = AzurePool(
            plan.name,
            resource_group_name=args.resource_group_name,
            account_name=args.account_name,
            display_name=plan.display_name,
            vm_size=plan.vm_size,
            deployment_configuration=DeploymentConfigurationArgs(
                virtual_machine_configuration=_virtual_machine(plan)
            ),
            identity=BatchPoolIdentityArgs(
                type=PoolIdentityType.USER_ASSIGNED,
                user_assigned_identities=[args.identity_id],
            ),
            inter_node_communication=(
                InterNodeCommunicationState.ENABLED
                if plan.inter_node_communication
                else InterNodeCommunicationState.DISABLED
            ),
            network_configuration=NetworkConfigurationArgs(
                subnet_id=args.subnet_id,
                public_ip_address_configuration=PublicIPAddressConfigurationArgs(
                    provision=(
                        IPAddressProvisioningType.BATCH_MANAGED
                        if args.public_addresses
                        else IPAddressProvisioningType.NO_PUBLIC_IP_ADDRESSES
                    )
                ),
            ),
            scale_settings=_scale(plan.scale),
            start_task=_start_task(plan.start_task) if plan.start_task else None,
            target_node_communication_mode=NodeCommunicationMode.SIMPLIFIED,
            task_scheduling_policy=TaskSchedulingPolicyArgs(node_fill_type=_FILL[plan.fill]),
            task_slots_per_node=plan.task_slots_per_node,
            metadata=_metadata({**plan.metadata, "hpc-pool": plan.name, "hpc-stack": args.stack}),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.after),
                replace_on_changes=list(REPLACED_ON_CHANGES),
            ),
        )
        self.pool_id = pool.name
        self.register_outputs({"pool_id": self.pool_id})


def _virtual_machine(plan: PoolPlan) -> VirtualMachineConfigurationArgs:
    if plan.image is None:
        image = ImageReferenceArgs(id=plan.gallery_image_id)
    else:
        image = ImageReferenceArgs(
            publisher=plan.image.publisher,
            offer=plan.image.offer,
            sku=plan.image.sku,
            version=plan.image_version,
        )
    return VirtualMachineConfigurationArgs(
        image_reference=image,
        node_agent_sku_id=plan.node_agent_sku_id,
        os_disk=(
            OSDiskArgs(
                ephemeral_os_disk_settings=DiffDiskSettingsArgs(
                    placement=DiffDiskPlacement.CACHE_DISK
                )
            )
            if plan.ephemeral_os_disk
            else None
        ),
        security_profile=(
            SecurityProfileArgs(encryption_at_host=True) if plan.encryption_at_host else None
        ),
    )


def _scale(plan: ScalePlan) -> ScaleSettingsArgs:
    if plan.is_fixed:
        return ScaleSettingsArgs(
            fixed_scale=FixedScaleSettingsArgs(
                target_dedicated_nodes=plan.max_dedicated_nodes,
                target_low_priority_nodes=plan.max_spot_nodes,
                resize_timeout=f"PT{plan.resize_timeout_minutes}M",
            )
        )
    if plan.formula is None:
        raise ValueError(f"an autoscaled pool has no formula: {plan.formula_problem}")
    return ScaleSettingsArgs(
        auto_scale=AutoScaleSettingsArgs(
            formula=plan.formula, evaluation_interval=f"PT{plan.interval_minutes}M"
        )
    )


def _start_task(config: StartTaskConfig) -> StartTaskArgs:
    return StartTaskArgs(
        command_line=config.command_line,
        max_task_retry_count=config.max_retries,
        wait_for_success=config.wait_for_success,
        environment_settings=[
            EnvironmentSettingArgs(name=name, value=value)
            for name, value in sorted(config.environment.items())
        ],
        user_identity=UserIdentityArgs(
            auto_user=AutoUserSpecificationArgs(
                scope=AutoUserScope.POOL,
                elevation_level=(
                    ElevationLevel.ADMIN if config.elevated else ElevationLevel.NON_ADMIN
                ),
            )
        ),
    )


def _metadata(items: Mapping[str, str]) -> list[MetadataItemArgs]:
    return [MetadataItemArgs(name=name, value=value) for name, value in sorted(items.items())]
