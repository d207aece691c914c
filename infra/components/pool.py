"""One pool, declared from its plan.

Batch changes little of a pool that exists; for the rest there must be a new one, and
work must have somewhere to run meanwhile, so the new pool is made before the old one
goes. That needs two names. azure-native gives resources inside an account their logical
name, always the same, so this component makes the name itself: the logical name and a
digest of everything that cannot be changed live. Such a change is a new name, a new
name is a new pool, and everything else is an update.

A secret (a password, a storage key) goes into the digest through scrypt, so that a new
value makes a new pool and the name gives nobody a cheap way to try guesses.

What it deliberately does not do: wait for jobs. A pool with unfinished tasks is kept by a
hook (`infra.hooks`), and `python -m infra changes` tells beforehand which pools go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
from pulumi_azure_native.batch import (
    ApplicationPackageReferenceArgs,
    AutoScaleSettingsArgs,
    BatchPoolIdentityArgsDict,
    ComputeNodeFillType,
    DeploymentConfigurationArgsDict,
    DiffDiskPlacement,
    FixedScaleSettingsArgs,
    ImageReferenceArgsDict,
    InterNodeCommunicationState,
    IPAddressProvisioningType,
    MetadataItemArgs,
    NetworkConfigurationArgsDict,
    NodeCommunicationMode,
    PoolIdentityType,
    ScaleSettingsArgs,
    TaskSchedulingPolicyArgsDict,
    VirtualMachineConfigurationArgsDict,
)

from infra.components.file_systems import MountedFileSystem
from infra.components.place import Place
from infra.components.pool_equipment import (
    Secret,
    endpoint_arguments,
    equip_machine,
    os_disk,
    pool_arguments,
    security_profile,
)
from infra.components.readback import Pool as AzurePool
from infra.components.start_task import TelemetryTarget, start_task
from infra.equipment import SECRETS_NAMESPACE
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
        data_account_name: Storage account of blob mounts that name none.
        blob_endpoint: URL of the blobs of the data account.
        identity_id: Identity with which nodes read and write blobs.
        file_systems: Those that the stack makes, by name.
        registry_server: The stack's own registry, which container pools sign in to, or None.
        public_addresses: Whether nodes have public addresses.
        telemetry: Where nodes report to, or None where they do not.
        application_ids: Resource id of each application, by name.
        after: What must exist before a node starts, such as the identity's grants.
    """

    place: Place
    plan: PoolPlan
    stack: str
    account_name: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    data_account_name: pulumi.Input[str]
    blob_endpoint: pulumi.Input[str]
    identity_id: pulumi.Input[str]
    registry_server: str | None
    public_addresses: bool
    telemetry: TelemetryTarget | None = None
    after: tuple[pulumi.Resource, ...]
    file_systems: Mapping[str, MountedFileSystem] = field(default_factory=dict)
    application_ids: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


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
        fixed = unchangeable(args)
        pool = AzurePool(
            plan.name,
            resource_group_name=args.place.resource_group_name,
            account_name=args.account_name,
            pool_name=pulumi.Output.json_dumps(named_after(args), sort_keys=True).apply(
                lambda text: pool_name(plan.name, text)
            ),
            **fixed,
            scale_settings=_scale(plan.scale),
            start_task=start_task(
                plan.start_task,
                args.telemetry,
                blob_endpoint=args.blob_endpoint,
                identity_id=args.identity_id,
            ),
            application_packages=[
                ApplicationPackageReferenceArgs(
                    id=args.application_ids[one.application], version=one.version
                )
                for one in plan.application_packages
            ]
            or None,
            metadata=_metadata({**plan.metadata, "hpc-pool": plan.name, "hpc-stack": args.stack}),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.after),
                replace_on_changes=list(REPLACED_ON_CHANGES),
                # Names differ, so both pools may exist; azure-native would not dare.
                delete_before_replace=False,
            ),
        )
        self.pool_id = pool.name
        self.register_outputs({"pool_id": self.pool_id})


def pool_name(logical_name: str, unchangeable: str) -> str:
    """The name of a pool in Azure, such as `cpu-1f8a20c4`.

    Args:
        logical_name: The name in the config.
        unchangeable: Everything of the pool that cannot be changed live, as one text.
    """
    digest = hashlib.sha256(unchangeable.encode()).hexdigest()
    return f"{logical_name}-{digest[:8]}"


def named_after(args: PoolArgs) -> dict[str, Any]:
    """What a pool's name is the digest of: all that is unchangeable, no secret in clear."""
    file_systems = {
        name: replace(one, account_key=_fingerprint_of(name, one.account_key))
        for name, one in args.file_systems.items()
    }
    return unchangeable(replace(args, file_systems=file_systems), secret=_fingerprint)


def _secret(name: str) -> pulumi.Output[str]:
    return pulumi.Config(SECRETS_NAMESPACE).require_secret(name)


def _fingerprint(name: str) -> pulumi.Output[str]:
    return _digested(name, _secret(name))


def _fingerprint_of(name: str, key: pulumi.Output[str] | None) -> pulumi.Output[str] | None:
    return None if key is None else _digested(name, key)


def _digested(name: str, secret: pulumi.Output[str]) -> pulumi.Output[str]:
    return pulumi.Output.unsecret(secret.apply(lambda value: fingerprint(name, value)))


def fingerprint(name: str, value: str) -> str:
    """A digest of a secret that takes long to try guesses on."""
    return hashlib.scrypt(
        value.encode(), salt=f"{SECRETS_NAMESPACE}:{name}".encode(), n=2**14, r=8, p=1, dklen=16
    ).hex()


def unchangeable(args: PoolArgs, *, secret: Secret = _secret) -> dict[str, Any]:
    """The arguments that only a new pool can have; plain data, so that it has a digest."""
    plan = args.plan
    virtual_machine: VirtualMachineConfigurationArgsDict = {
        "image_reference": _image(plan),
        "node_agent_sku_id": plan.node_agent_sku_id,
    }
    equipment = plan.equipment
    if plan.ephemeral_os_disk:
        virtual_machine["os_disk"] = {
            "ephemeral_os_disk_settings": {"placement": DiffDiskPlacement.CACHE_DISK}
        }
    elif equipment.os_disk is not None:
        virtual_machine["os_disk"] = os_disk(equipment.os_disk)
    if plan.encryption_at_host or equipment.trusted_launch:
        virtual_machine["security_profile"] = security_profile(
            encryption_at_host=plan.encryption_at_host, trusted_launch=equipment.trusted_launch
        )
    equip_machine(
        virtual_machine,
        equipment,
        identity_id=args.identity_id,
        registry_server=args.registry_server,
    )
    deployment: DeploymentConfigurationArgsDict = {
        "virtual_machine_configuration": virtual_machine
    }
    identity: BatchPoolIdentityArgsDict = {
        "type": PoolIdentityType.USER_ASSIGNED,
        "user_assigned_identities": [args.identity_id],
    }
    network: NetworkConfigurationArgsDict = {
        "subnet_id": args.subnet_id,
        "public_ip_address_configuration": {
            "provision": (
                IPAddressProvisioningType.BATCH_MANAGED
                if args.public_addresses
                else IPAddressProvisioningType.NO_PUBLIC_IP_ADDRESSES
            )
        },
    }
    if equipment.public_ip_ids:
        network["public_ip_address_configuration"] = {
            "provision": IPAddressProvisioningType.USER_MANAGED,
            "ip_address_ids": list(equipment.public_ip_ids),
        }
    if equipment.accelerated_networking:
        network["enable_accelerated_networking"] = True
    if equipment.inbound:
        network["endpoint_configuration"] = endpoint_arguments(equipment.inbound)
    scheduling: TaskSchedulingPolicyArgsDict = {"node_fill_type": _FILL[plan.fill]}
    arguments = {
        "deployment_configuration": deployment,
        "display_name": plan.display_name,
        "identity": identity,
        "inter_node_communication": (
            InterNodeCommunicationState.ENABLED
            if plan.inter_node_communication
            else InterNodeCommunicationState.DISABLED
        ),
        "network_configuration": network,
        "target_node_communication_mode": NodeCommunicationMode.SIMPLIFIED,
        "task_scheduling_policy": scheduling,
        "task_slots_per_node": plan.task_slots_per_node,
        "vm_size": plan.vm_size,
        **pool_arguments(
            equipment,
            data_account_name=args.data_account_name,
            identity_id=args.identity_id,
            file_systems=args.file_systems,
            secret=secret,
        ),
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _image(plan: PoolPlan) -> ImageReferenceArgsDict:
    if plan.image is None:
        return {"id": plan.gallery_image_id}
    return {
        "publisher": plan.image.publisher,
        "offer": plan.image.offer,
        "sku": plan.image.sku,
        "version": plan.image_version,
    }


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


def _metadata(items: Mapping[str, str]) -> list[MetadataItemArgs]:
    return [MetadataItemArgs(name=name, value=value) for name, value in sorted(items.items())]
