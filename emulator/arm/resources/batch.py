"""`Microsoft.Batch`: accounts, pools, applications and their packages, all of them real.

Quotas are those of a fresh Azure subscription's Batch account, for programs that print
them; nothing here enforces them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emulator.arm.changes import changes
from emulator.arm.errors import ArmError
from emulator.arm.kinds import (
    RESOURCE_GROUP,
    Context,
    Effect,
    NameRule,
    ResourceType,
    Taken,
    scope_name,
)
from emulator.arm.resources import applications, pool
from emulator.arm.schema import WRITE_ONLY

_ACCOUNT: Final = f"{RESOURCE_GROUP}/providers/Microsoft.Batch/batchAccounts/{{accountName}}"
_ID: Final = NameRule(
    pattern=r"[A-Za-z0-9_-]{1,64}", text="1-64 letters, digits, hyphens and underscores"
)


class _Account(Effect):
    async def put(self, context: Context, old: Mapping[str, Any] | None) -> None:
        del old
        await context.backend.create_batch_account(context.name)
        storage = context.inputs.get("autoStorage")
        linked = str(storage.get("storageAccountId", "")) if isinstance(storage, Mapping) else ""
        await context.backend.link_auto_storage(context.name, scope_name(linked) or None)

    async def delete(self, context: Context) -> None:
        await context.backend.delete_batch_account(context.name)


class _Pool(Effect):
    async def put(self, context: Context, old: Mapping[str, Any] | None) -> None:
        body = pool.to_wire(context)
        if old is not None:
            await _refuse_change(context, old)
        # A Batch service that was reset knows the account no more, and cannot be asked.
        await context.backend.create_batch_account(context.inputs["accountName"])
        await context.backend.put_pool(context.inputs["accountName"], context.name, body)

    async def read(self, context: Context) -> dict[str, Any] | None:
        body = await context.backend.get_pool(context.inputs["accountName"], context.name)
        return None if body is None else pool.found_inputs(context, body)

    async def live(self, context: Context) -> dict[str, Any]:
        body = await context.backend.get_pool(context.inputs["accountName"], context.name)
        return _live_outputs(body or {})

    async def delete(self, context: Context) -> None:
        await context.backend.delete_pool(context.inputs["accountName"], context.name)


async def _refuse_change(context: Context, old: Mapping[str, Any]) -> None:
    """What the service cannot change, or not while there are nodes.

    Source: docstrings of azure-batch `BatchPoolUpdateOptions`.
    """
    changed = {
        one.top
        for one in changes(old, context.inputs)
        if not any(name in one.path for name in WRITE_ONLY)
    }
    never = sorted(changed - pool.LIVE - pool.NEEDS_EMPTY)
    if never:
        raise ArmError(
            409,
            "PropertyCannotBeUpdated",
            f"A property of pool {context.name} that is not allowed to be updated has been "
            f"modified: {', '.join(never)}. Replace the pool.",
        )
    needs_empty = sorted(changed & pool.NEEDS_EMPTY)
    if not needs_empty:
        return
    body = await context.backend.get_pool(context.inputs["accountName"], context.name) or {}
    nodes = body.get("currentDedicatedNodes", 0) + body.get("currentLowPriorityNodes", 0)
    if nodes:
        raise ArmError(
            409,
            "PropertyCannotBeUpdated",
            f"Properties of pool {context.name} that can be updated only when the pool is empty "
            f"have been modified: {', '.join(needs_empty)}. It has {nodes} nodes: resize it to "
            "zero first, or replace it.",
        )


def _check_pool(context: Context) -> None:
    inputs = context.inputs
    machine = (inputs.get("deploymentConfiguration") or {}).get("virtualMachineConfiguration")
    for name, value in (
        ("vmSize", inputs.get("vmSize")),
        ("deploymentConfiguration.virtualMachineConfiguration", machine),
    ):
        if not value:
            raise ArmError(
                400,
                "RequiredPropertyMissing",
                f"pool {context.name} needs the property '{name}'.",
            )
    scale = inputs.get("scaleSettings") or {}
    if scale.get("autoScale") is not None and scale.get("fixedScale") is not None:
        raise ArmError(
            400,
            "InvalidPropertyValue",
            f"scaleSettings of pool {context.name} must have exactly one of 'autoScale' and "
            "'fixedScale', and it has both.",
        )
    if str(inputs.get("targetNodeCommunicationMode", "")).casefold() == "classic":
        raise ArmError(
            400,
            "InvalidPropertyValue",
            f"targetNodeCommunicationMode 'Classic' of pool {context.name} was retired on "
            "2026-03-31: use 'Simplified'.",
        )
    account = context.lookup(context.id.rpartition("/pools/")[0])
    mode = account.inputs.get("poolAllocationMode") if account else None
    if inputs.get("resourceTags") and mode != "UserSubscription":
        raise ArmError(
            400,
            "InvalidPropertyValue",
            f"resourceTags of pool {context.name} need an account whose poolAllocationMode is "
            "'UserSubscription'.",
        )


def _check_account(context: Context) -> None:
    user_subscription = context.inputs.get("poolAllocationMode") == "UserSubscription"
    if user_subscription and not context.inputs.get("keyVaultReference"):
        raise ArmError(
            400,
            "InvalidRequestBody",
            f"poolAllocationMode 'UserSubscription' of account {context.name} needs a "
            "keyVaultReference.",
        )
    if user_subscription and "SharedKey" in (
        context.inputs.get("allowedAuthenticationModes") or []
    ):
        raise ArmError(
            400,
            "InvalidRequestBody",
            f"account {context.name} allocates pools in the user's subscription, which allows no "
            "SharedKey authentication.",
        )
    _check_encryption(context)


def _check_encryption(context: Context) -> None:
    """A customer-managed key needs an identity, and a vault that cannot be purged.

    Source: https://learn.microsoft.com/azure/batch/batch-customer-managed-key
    """
    encryption = context.inputs.get("encryption") or {}
    if encryption.get("keySource") != "Microsoft.KeyVault":
        return
    url = str((encryption.get("keyVaultProperties") or {}).get("keyIdentifier") or "")
    if not url:
        raise ArmError(
            400, "InvalidRequestBody", "keySource 'Microsoft.KeyVault' needs a keyIdentifier."
        )
    if not (context.inputs.get("identity") or {}).get("userAssignedIdentities"):
        raise ArmError(
            400,
            "InvalidRequestBody",
            f"account {context.name} has no identity with which to use key {url}.",
        )


def _account_outputs(context: Context) -> dict[str, Any]:
    outputs: dict[str, Any] = {
        "accountEndpoint": context.backend.batch_endpoint(context.name),
        "nodeManagementEndpoint": (
            f"{context.guid('nodes')}.{context.location}.service.batch.azure.com"
        ),
        "activeJobAndJobScheduleQuota": 300,
        "dedicatedCoreQuota": 500,
        "dedicatedCoreQuotaPerVMFamily": [],
        "dedicatedCoreQuotaPerVMFamilyEnforced": False,
        "lowPriorityCoreQuota": 500,
        "poolQuota": 100,
        "privateEndpointConnections": [],
    }
    storage = context.inputs.get("autoStorage")
    if isinstance(storage, Mapping):
        outputs["autoStorage"] = {
            "authenticationMode": "StorageKeys",
            **storage,
            "lastKeySync": context.created,
        }
    vault = context.inputs.get("keyVaultReference")
    if isinstance(vault, Mapping):
        outputs["keyVaultReference"] = dict(vault)
    return outputs


def _pool_outputs(context: Context) -> dict[str, Any]:
    return {
        "creationTime": context.created,
        "lastModified": context.modified,
        "provisioningStateTransitionTime": context.created,
        **_live_outputs({}),
        "allocationStateTransitionTime": context.modified,
        "scaleSettings": context.inputs.get("scaleSettings")
        or {"fixedScale": {"targetDedicatedNodes": 0, "targetLowPriorityNodes": 0}},
    }


def _live_outputs(body: Mapping[str, Any]) -> dict[str, Any]:
    outputs: dict[str, Any] = {
        "allocationState": str(body.get("allocationState", "steady")).capitalize(),
        "currentDedicatedNodes": body.get("currentDedicatedNodes", 0),
        "currentLowPriorityNodes": body.get("currentLowPriorityNodes", 0),
        "currentNodeCommunicationMode": "Simplified",
    }
    if (run := body.get("autoScaleRun")) is not None:
        outputs["autoScaleRun"] = {
            "evaluationTime": run.get("timestamp"),
            "results": run.get("results"),
            "error": run.get("error"),
        }
    if (moment := body.get("allocationStateTransitionTime")) is not None:
        outputs["allocationStateTransitionTime"] = moment
    if errors := body.get("resizeErrors"):
        outputs["resizeOperationStatus"] = {"errors": errors}
    return outputs


TYPES: Final = (
    ResourceType(
        token="azure-native:batch:BatchAccount",  # noqa: S106 - a type token
        id_format=_ACCOUNT,
        name=NameRule(
            pattern=r"[a-z0-9]{3,24}", text="3-24 lower-case letters and digits, nothing else"
        ),
        frozen=frozenset({"poolAllocationMode"}),
        taken=Taken(
            properties=("accountName",),
            code="AccountAlreadyExists",
            message="The Batch account {name} already exists.",
        ),
        rule=_check_account,
        defaults={
            "allowedAuthenticationModes": ["SharedKey", "AAD", "TaskAuthenticationToken"],
            "encryption": {"keySource": "Microsoft.Batch"},
            "poolAllocationMode": "BatchService",
            "publicNetworkAccess": "Enabled",
        },
        outputs=_account_outputs,
        effect=_Account(),
    ),
    ResourceType(
        token="azure-native:batch:Pool",  # noqa: S106 - a type token
        id_format=f"{_ACCOUNT}/pools/{{poolName}}",
        name=_ID,
        autoname="copy",
        rule=_check_pool,
        defaults={
            "interNodeCommunication": "Disabled",
            "taskSlotsPerNode": 1,
            "taskSchedulingPolicy": {"nodeFillType": "Spread"},
        },
        outputs=_pool_outputs,
        effect=_Pool(),
    ),
    ResourceType(
        token="azure-native:batch:Application",  # noqa: S106 - a type token
        id_format=f"{_ACCOUNT}/applications/{{applicationName}}",
        name=_ID,
        autoname="copy",
        defaults={"allowUpdates": True},
        effect=applications.Application(),
    ),
    ResourceType(
        token="azure-native:batch:ApplicationPackage",  # noqa: S106 - a type token
        id_format=f"{_ACCOUNT}/applications/{{applicationName}}/versions/{{versionName}}",
        name=NameRule(
            pattern=r"[-._A-Za-z0-9]{1,64}",
            text="1-64 letters, digits, hyphens, underscores and periods",
        ),
        autoname="copy",
        outputs=lambda _: {"state": "Pending"},
        # Its application cannot be deleted before it: the service says so, too.
        blocks_parent=True,
        effect=applications.Package(),
    ),
)
