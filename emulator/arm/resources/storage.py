"""`Microsoft.Storage`: accounts and what is in them. Accounts and containers are real."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emulator.arm.errors import ArmError
from emulator.arm.kinds import RESOURCE_GROUP, Context, Effect, NameRule, ResourceType, Taken

_ACCOUNT: Final = f"{RESOURCE_GROUP}/providers/Microsoft.Storage/storageAccounts/{{accountName}}"
_SERVICES: Final = ("blob", "dfs", "file", "queue", "table", "web")
_GEO_REDUNDANT: Final = ("GRS", "GZRS")


class _Account(Effect):
    async def put(self, context: Context, old: Mapping[str, Any] | None) -> None:
        del old
        await context.backend.create_storage_account(context.name)

    async def delete(self, context: Context) -> None:
        await context.backend.delete_storage_account(context.name)


class _Container(Effect):
    async def put(self, context: Context, old: Mapping[str, Any] | None) -> None:
        del old
        # A blob service that was reset knows the account no more, and cannot be asked.
        await context.backend.create_storage_account(context.inputs["accountName"])
        await context.backend.create_container(context.inputs["accountName"], context.name)

    async def read(self, context: Context) -> dict[str, Any] | None:
        account = context.inputs["accountName"]
        if not await context.backend.container_exists(account, context.name):
            return None
        return dict(context.inputs)

    async def delete(self, context: Context) -> None:
        await context.backend.delete_container(context.inputs["accountName"], context.name)


def _account_outputs(context: Context) -> dict[str, Any]:
    sku = context.inputs.get("sku")
    sku_name = str(sku.get("name", "")) if isinstance(sku, Mapping) else ""
    endpoints = {
        service: f"https://{context.name}.{service}.core.windows.net/" for service in _SERVICES
    }
    endpoints["blob"] = f"{context.backend.blob_endpoint(context.name)}/"
    outputs: dict[str, Any] = {
        "creationTime": context.created,
        "keyCreationTime": {"key1": context.created, "key2": context.created},
        "primaryEndpoints": endpoints,
        "primaryLocation": context.location,
        "privateEndpointConnections": [],
        "sku": {"name": sku_name, "tier": sku_name.partition("_")[0]},
        "statusOfPrimary": "available",
    }
    if sku_name.partition("_")[2].removeprefix("RA") in _GEO_REDUNDANT:
        outputs["statusOfSecondary"] = "available"
    return outputs


def _refuse_impossible_accounts(context: Context) -> None:
    """NFS 3.0 is an export of directories, and what is in one region has no copies elsewhere."""
    inputs = context.inputs
    if not inputs.get("enableNfsV3"):
        return
    if not inputs.get("isHnsEnabled"):
        raise ArmError(
            400,
            "InvalidRequestPropertyValue",
            "NFSv3 is only supported on accounts with a hierarchical namespace.",
        )
    sku = str((inputs.get("sku") or {}).get("name", ""))
    if sku.partition("_")[2] not in {"LRS", "ZRS"}:
        raise ArmError(
            400,
            "InvalidRequestPropertyValue",
            f"NFSv3 is not supported with the redundancy of {sku}; use LRS or ZRS.",
        )


def _refuse_unencrypted_shares(context: Context) -> None:
    """NFS shares are premium, and secure transfer would refuse every client of one."""
    if context.inputs.get("enabledProtocols", "SMB") != "NFS":
        return
    account = context.lookup(context.id.partition("/fileServices/")[0])
    if account is None:
        return
    if account.inputs.get("kind") != "FileStorage":
        raise ArmError(
            400,
            "FeatureNotSupportedForAccount",
            "NFS shares are supported for premium accounts of kind FileStorage alone.",
        )


def _refuse_public_access(context: Context) -> None:
    if context.inputs.get("publicAccess") in {None, "None"}:
        return
    account = context.lookup(context.id.partition("/blobServices/")[0])
    if account is not None and not account.inputs.get("allowBlobPublicAccess", False):
        raise ArmError(
            409,
            "PublicAccessNotPermitted",
            "Public access is not permitted on this storage account.",
        )


TYPES: Final = (
    ResourceType(
        token="azure-native:storage:StorageAccount",  # noqa: S106 - a type token
        id_format=_ACCOUNT,
        name=NameRule(
            pattern=r"[a-z0-9]{3,24}", text="3-24 lower-case letters and digits, nothing else"
        ),
        replaces=frozenset({"isHnsEnabled"}),
        frozen=frozenset({"enableNfsV3", "dnsEndpointType"}),
        taken=Taken(
            properties=("accountName",),
            code="StorageAccountAlreadyTaken",
            message="The storage account named {name} is already taken.",
        ),
        defaults={
            "accessTier": "Hot",
            "allowBlobPublicAccess": False,
            "allowCrossTenantReplication": False,
            "enableHttpsTrafficOnly": True,
            "encryption": {
                "keySource": "Microsoft.Storage",
                "services": {
                    "blob": {"enabled": True, "keyType": "Account"},
                    "file": {"enabled": True, "keyType": "Account"},
                },
            },
            "minimumTlsVersion": "TLS1_0",
            "networkRuleSet": {
                "bypass": "AzureServices",
                "defaultAction": "Allow",
                "ipRules": [],
                "virtualNetworkRules": [],
            },
        },
        outputs=_account_outputs,
        rule=_refuse_impossible_accounts,
        effect=_Account(),
    ),
    ResourceType(
        token="azure-native:storage:BlobContainer",  # noqa: S106 - a type token
        id_format=f"{_ACCOUNT}/blobServices/default/containers/{{containerName}}",
        name=NameRule(
            pattern=r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*|\$root|\$web",
            text="3-63 lower-case letters, digits and single hyphens, "
            "beginning and ending with a letter or digit",
        ),
        autoname="copy",
        rule=_refuse_public_access,
        defaults={
            "publicAccess": "None",
            "deleted": False,
            "hasImmutabilityPolicy": False,
            "hasLegalHold": False,
            "leaseState": "Available",
            "leaseStatus": "Unlocked",
            "remainingRetentionDays": 0,
            "immutabilityPolicy": {
                "immutabilityPeriodSinceCreationInDays": 0,
                "state": "Unlocked",
                "updateHistory": [],
                "etag": "",
            },
            "legalHold": {"hasLegalHold": False, "tags": []},
        },
        outputs=lambda context: {"lastModifiedTime": context.modified},
        effect=_Container(),
    ),
    ResourceType(
        token="azure-native:storage:FileShare",  # noqa: S106 - a type token
        id_format=f"{_ACCOUNT}/fileServices/default/shares/{{shareName}}",
        name=NameRule(
            pattern=r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*",
            text="3-63 lower-case letters, digits and single hyphens",
        ),
        autoname="copy",
        rule=_refuse_unencrypted_shares,
        replaces=frozenset({"enabledProtocols"}),
        defaults={
            "accessTier": "TransactionOptimized",
            "enabledProtocols": "SMB",
            "leaseState": "Available",
            "leaseStatus": "Unlocked",
            "deleted": False,
            "remainingRetentionDays": 0,
            "shareUsageBytes": 0,
        },
        outputs=lambda context: {"lastModifiedTime": context.modified},
    ),
    ResourceType(
        token="azure-native:storage:BlobServiceProperties",  # noqa: S106 - a type token
        id_format=f"{_ACCOUNT}/blobServices/{{blobServicesName}}",
        name=NameRule(pattern="default", text="an account has one blob service, 'default'"),
        autoname="copy",
        is_settings=True,
        outputs=lambda context: {"sku": _sku_of_account(context)},
    ),
    ResourceType(
        token="azure-native:storage:FileServiceProperties",  # noqa: S106 - a type token
        id_format=f"{_ACCOUNT}/fileServices/{{fileServicesName}}",
        name=NameRule(pattern="default", text="an account has one file service, 'default'"),
        autoname="copy",
        is_settings=True,
        outputs=lambda context: {"sku": _sku_of_account(context)},
    ),
    ResourceType(
        token="azure-native:storage:ManagementPolicy",  # noqa: S106 - a type token
        id_format=f"{_ACCOUNT}/managementPolicies/{{managementPolicyName}}",
        name=NameRule(pattern="default", text="an account has one policy, 'default'"),
        autoname="copy",
        outputs=lambda context: {
            "lastModifiedTime": context.modified,
            "name": "DefaultManagementPolicy",
        },
    ),
)


def _sku_of_account(context: Context) -> dict[str, Any]:
    account = context.lookup("/".join(context.id.split("/")[:-2]))
    name = str(account.inputs["sku"]["name"]) if account else ""
    return {"name": name, "tier": name.partition("_")[0]}
