"""What Resource Manager answers when it refuses.

    ArmError         a refusal of the service, with its status and code
    UnknownTypeError a resource type or function that this model does not have
    ValueKindError   a property value that no Azure resource can have, such as an asset

The texts go to a person through Pulumi's diagnostics.
"""

from __future__ import annotations


class ArmError(Exception):
    """A refusal of Resource Manager, worded as azure-native shows it.

    Attributes:
        status: HTTP status.
        code: Resource Manager's error code, such as `ParentResourceNotFound`.
        message: Its text.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f'Status={status} Code="{code}" Message="{message}"')
        self.status = status
        self.code = code
        self.message = message


class UnknownTypeError(Exception):
    """A resource type or function that this model does not have."""


class ValueKindError(Exception):
    """A property value that no Azure resource can have, such as an asset."""
