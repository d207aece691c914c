"""Functions of azure-native. Those that hand out keys are refused: keyless is the rule.

One exception: premium file accounts that allow shared keys, because Batch mounts an SMB
share in no other way. Their keys are made up and open nothing here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

from emulator.arm.errors import ArmError
from emulator.arm.kinds import Identity
from emulator.arm.store import Document

Find = Callable[[str], Document | None]
Function = Callable[[Identity, Mapping[str, Any], Find], Mapping[str, Any]]


def _client_config(
    identity: Identity, arguments: Mapping[str, Any], find: Find
) -> Mapping[str, Any]:
    del arguments, find
    return {
        "clientId": identity.client_id,
        "objectId": identity.object_id,
        "subscriptionId": identity.subscription_id,
        "tenantId": identity.tenant_id,
    }


def _storage_keys(
    identity: Identity, arguments: Mapping[str, Any], find: Find
) -> Mapping[str, Any]:
    account_id = (
        f"/subscriptions/{identity.subscription_id}/resourceGroups/"
        f"{arguments.get('resourceGroupName')}/providers/Microsoft.Storage/storageAccounts/"
        f"{arguments.get('accountName')}"
    )
    account = find(account_id)
    if (
        account is None
        or account.inputs.get("kind") != "FileStorage"
        or not account.inputs.get("allowSharedKeyAccess")
    ):
        _refuse_keys(identity, arguments, find)
    return {
        "keys": [
            {
                "keyName": name,
                "permissions": "FULL",
                "creationTime": "",
                "value": _made_up(f"{account_id}|{name}"),
            }
            for name in ("key1", "key2")
        ]
    }


def _made_up(text: str) -> str:
    return base64.b64encode(hashlib.sha512(text.casefold().encode()).digest()).decode()


def _refuse_keys(identity: Identity, arguments: Mapping[str, Any], find: Find) -> NoReturn:
    del identity, find
    raise ArmError(
        403,
        "KeyBasedAuthenticationNotPermitted",
        f"the keys of {arguments.get('accountName', 'the account')} are not given out: "
        "shared keys are off, and a key in a program would land in Pulumi's state. "
        "Authenticate with Entra; for the emulator the keys are in .local/keys.json.",
    )


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "azure-native:authorization:getClientConfig": _client_config,
        "azure-native:batch:listBatchAccountKeys": _refuse_keys,
        "azure-native:storage:listStorageAccountKeys": _storage_keys,
    }
)
"""By Pulumi's function token."""
