"""Logical names from which Azure's names are made.

Names of what lies in a resource group are automatic: azure-native appends 8 hexadecimal
digits, so that two stacks never collide and a resource can be replaced before the old
one goes. Accounts need care, because Azure allows them lower-case letters and digits
alone. What lies inside an account or network is named by its component.

Longest names: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
"""

from __future__ import annotations

import re

PREFIX = "hpc"
RANDOM_DIGITS = 8
"""How many azure-native appends to an automatic name; it cuts nothing."""

_LONGEST_ACCOUNT = 24
_LONGEST_GROUP = 90


def account_name(stack: str, purpose: str = "") -> str:
    """The logical name of a storage or Batch account, such as `hpcdevdata`.

    A long stack name is cut so that prefix, purpose and the engine's digits fit Azure's
    24 characters; the digits keep two stacks apart that are cut alike.

    Args:
        stack: The stack's name.
        purpose: What tells accounts of one stack apart; lower-case letters.
    """
    room = _LONGEST_ACCOUNT - RANDOM_DIGITS - len(PREFIX) - len(purpose)
    return f"{PREFIX}{re.sub(r'[^a-z0-9]', '', stack.lower())[:room]}{purpose}"


def resource_group_name(stack: str) -> str:
    """The logical name of the resource group, such as `hpc-dev`; a long stack name is cut."""
    name = f"{PREFIX}-{re.sub(r'[^A-Za-z0-9-]', '-', stack)}"
    return name[: _LONGEST_GROUP - RANDOM_DIGITS]


def subnet_prefix(stack: str) -> str:
    """What names of subnets begin with that are made in a network of others."""
    return f"{resource_group_name(stack)}-"


def security_group_name(network: str, subnet: str) -> str:
    """The logical name of a subnet's security group.

    Args:
        network: Logical name of the network.
        subnet: Name of the subnet in the plan.
    """
    return f"{network}-{subnet}-nsg"
