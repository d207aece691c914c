"""Names that azure-native gives, and what Azure takes for a name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from emulator.arm.guards import folded
from emulator.arm.kinds import ResourceType
from emulator.arm.schema import Finding
from emulator.arm.store import Store

CREATE_BEFORE_DELETE: Final = "__createBeforeDelete"
"""azure-native marks with this input that a name is random, so that both may exist at once."""


def automatic_name(kind: ResourceType, logical_name: str, seed: bytes) -> str:
    """The name azure-native gives: random at the top level, the logical name when nested.

    It is as long as it gets: azure-native cuts nothing, and the service refuses what is too long.
    Source: `getDefaultName` of https://github.com/pulumi/pulumi-azure-native.
    """
    if kind.autoname == "copy":
        return logical_name
    digest = hashlib.sha512(seed + kind.token.encode() + b"\0" + logical_name.encode()).hexdigest()
    if kind.autoname == "uuid":
        return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
    return f"{logical_name}{digest[:8]}"


def name_left_behind(
    store: Store,
    kind: ResourceType,
    owner: str | None,
    inputs: Mapping[str, Any],
    held: Collection[str],
) -> str | None:
    """The name of a resource that the owner put in the same place and knows nothing of."""
    if owner is None or kind.autoname == "copy":
        return None
    for one in store.owned(owner):
        same_place = all(
            folded(one.inputs.get(part)) == folded(inputs.get(part))
            for part in kind.placeholders[:-1]
        )
        if one.token == kind.token and same_place and one.id.casefold() not in held:
            return str(one.inputs[kind.name_property])
    return None


def check_name(kind: ResourceType, inputs: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with a resource's name."""
    rule = kind.name
    name = inputs.get(kind.name_property)
    if rule is not None and isinstance(name, str) and not re.fullmatch(rule.pattern, name):
        yield Finding(path=kind.name_property, message=f"{name!r} is no valid name: {rule.text}")
