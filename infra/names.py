"""Logical names from which Azure's names are made.

Names of what lies in a resource group are automatic: azure-native appends 8 hexadecimal
digits, so that two stacks never collide and a resource can be replaced before the old
one goes. Accounts need care, because Azure allows them lower-case letters and digits
alone. What lies inside an account or network is named by its component.
"""

from __future__ import annotations

import re

PREFIX = "hpc"
_LONGEST_ACCOUNT = 24
_RANDOM_DIGITS = 8


def account_name(stack: str, purpose: str = "") -> str:
    """The logical name of a storage or Batch account, such as `hpcdevdata`.

    A long stack name is cut so that prefix, purpose and the engine's digits fit Azure's
    24 characters; the digits keep two stacks apart that are cut alike.

    Args:
        stack: The stack's name.
        purpose: What tells accounts of one stack apart; lower-case letters.
    """
    room = _LONGEST_ACCOUNT - _RANDOM_DIGITS - len(PREFIX) - len(purpose)
    return f"{PREFIX}{re.sub(r'[^a-z0-9]', '', stack.lower())[:room]}{purpose}"


def resource_group_name(stack: str) -> str:
    """The logical name of the resource group, such as `hpc-dev`."""
    return f"{PREFIX}-{re.sub(r'[^A-Za-z0-9-]', '-', stack)}"
