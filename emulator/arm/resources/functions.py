"""Functions of azure-native. Those that hand out keys are refused: keyless is the rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

from emulator.arm.errors import ArmError
from emulator.arm.kinds import Identity

Function = Callable[[Identity, Mapping[str, Any]], Mapping[str, Any]]


def _client_config(identity: Identity, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    del arguments
    return {
        "clientId": identity.client_id,
        "objectId": identity.object_id,
        "subscriptionId": identity.subscription_id,
        "tenantId": identity.tenant_id,
    }


def _refuse_keys(identity: Identity, arguments: Mapping[str, Any]) -> NoReturn:
    del identity
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
        "azure-native:storage:listStorageAccountKeys": _refuse_keys,
    }
)
"""By Pulumi's function token."""
