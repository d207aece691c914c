"""What Resource Manager refuses of any type, beside the resources that exist.

A resource needs its parent and whatever it refers to, some names exist once, and what
others use stays until they are gone. Rules of one type are in `emulator.arm.resources`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from emulator.arm.changes import changes
from emulator.arm.errors import ArmError
from emulator.arm.kinds import Context, ResourceType, arm_type, parent_id, scope_name
from emulator.arm.resources import TYPES, find_type
from emulator.arm.store import Document, Store
from emulator.arm.write_only import without_write_only

_BY_ARM_TYPE: Final = MappingProxyType({one.arm_type.casefold(): one for one in TYPES.values()})
_GROUP_TYPE: Final = "Microsoft.Resources/resourceGroups"


class Guards:
    """The refusals; every method raises `ArmError` or does nothing.

    Args:
        store: The resources that exist.
        subscription_id: The subscription that there is.
    """

    def __init__(self, store: Store, subscription_id: str) -> None:
        self._store = store
        self._subscription = f"/subscriptions/{subscription_id}"

    def _exists(self, resource_id: str) -> bool:
        if resource_id.casefold() == self._subscription:
            return True
        if self._store.get(resource_id) is not None:
            return True
        if resource_id.endswith("/default"):  # a service that every account has
            return self._exists(parent_id(resource_id))
        # A subnet or rule may stand inside its parent's own properties.
        parent = self._store.get(parent_id(resource_id))
        collection = arm_type(resource_id).rpartition("/")[2]
        nested = parent.inputs.get(collection) if parent else None
        name = scope_name(resource_id).casefold()
        return isinstance(nested, list) and any(
            isinstance(one, dict) and str(one.get("name", "")).casefold() == name for one in nested
        )

    def require_parent(self, kind: ResourceType, resource_id: str) -> None:
        """Refuses what would live in nothing."""
        parent = parent_id(resource_id)
        if self._exists(parent):
            return
        if not f"{parent}/".casefold().startswith(f"{self._subscription}/"):
            name = parent.split("/")[2] if parent.startswith("/subscriptions/") else parent
            raise ArmError(
                404, "SubscriptionNotFound", f"The subscription '{name}' could not be found."
            )
        group = parent.split("/")[4]
        if not self._exists(f"{self._subscription}/resourceGroups/{group}"):
            raise ArmError(
                404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found."
            )
        if len(kind.placeholders) > 2:  # noqa: PLR2004 - a group, a parent and a name
            raise ArmError(
                404,
                "ParentResourceNotFound",
                "Can not perform requested operation on nested resource. "
                f"Parent resource '{scope_name(parent)}' not found.",
            )
        raise ArmError(
            404,
            "ResourceNotFound",
            f"The Resource '{arm_type(parent)}/{scope_name(parent)}' under resource group "
            f"'{group}' was not found.",
        )

    def require_references(self, context: Context) -> None:
        """Refuses ids of what does not exist; only this subscription and known types are seen."""
        ours = f"{self._subscription}/".casefold()
        for reference in _references(context.inputs, ours):
            known = arm_type(reference).casefold() in _BY_ARM_TYPE
            if (
                known
                and reference.casefold() != context.id.casefold()
                and not self._exists(reference)
            ):
                raise ArmError(
                    404,
                    "InvalidResourceReference",
                    f"Resource {reference} referenced by resource {context.id} was not found. "
                    "Please make sure that the referenced resource exists, and that both "
                    "resources are in the same region.",
                )

    def refuse_taken(self, kind: ResourceType, context: Context) -> None:
        """Refuses what exists once and exists elsewhere."""
        if kind.taken is None:
            return
        mine = [folded(context.inputs.get(one)) for one in kind.taken.properties]
        for other in self._store.all():
            if other.token != kind.token or other.id.casefold() == context.id.casefold():
                continue
            if [folded(other.inputs.get(one)) for one in kind.taken.properties] == mine:
                message = kind.taken.message.format(name=context.name, other=scope_name(other.id))
                raise ArmError(409, kind.taken.code, message)

    def refuse_in_use(
        self, kind: ResourceType, document: Document, inside: list[Document]
    ) -> None:
        """Refuses to delete what others use, or what must be emptied first."""
        blocking = [one for one in inside if find_type(one.token).blocks_parent]
        if blocking and kind.arm_type != _GROUP_TYPE:
            raise ArmError(
                409,
                "CannotDeleteResource",
                f"Can not delete resource '{document.id}' before nested resources are deleted: "
                + ", ".join(one.id for one in blocking),
            )
        gone = {one.id.casefold() for one in [document, *inside]}
        guarded = [
            (one, code)
            for one in [document, *(inside if kind.in_use else [])]
            if (code := find_type(one.token).in_use) is not None
        ]
        if not guarded:
            return
        for other in self._store.all():
            if other.id.casefold() in gone:
                continue
            used = {reference.casefold() for reference in _references(other.inputs, "/")}
            for one, code in guarded:
                if one.id.casefold() in used:
                    raise ArmError(
                        400,
                        code,
                        f"{scope_name(one.id)} is in use by {other.id} and cannot be deleted. "
                        f"In order to delete it, delete {scope_name(other.id)} first.",
                    )


def refuse_frozen(kind: ResourceType, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuses to change what cannot be."""
    for one in changes(old, without_write_only(dict(new))):
        if one.path in kind.frozen or one.top in kind.frozen:
            raise ArmError(
                409, "PropertyChangeNotAllowed", f"Changing property '{one.path}' is not allowed."
            )


def folded(value: Any) -> str:
    """A value as it is compared: ids and names are equal whatever their case."""
    return str(value).strip("/").casefold()


def _references(value: Any, prefix: str) -> Iterator[str]:
    if isinstance(value, str) and value.casefold().startswith(prefix) and "/providers/" in value:
        yield value.rstrip("/")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _references(key, prefix)
            yield from _references(part, prefix)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part, prefix)
