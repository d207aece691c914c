"""How a resource type is declared: the data that `emulator.arm.resources` is made of.

A declaration says what the SDK's schema cannot: where the resource lives (its id), what
its name may be, what a change of a property means, what the service computes, and what
it makes real in a data plane. `emulator.arm.model` is the one interpreter of all this.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from emulator.arm.backend import Backend
from emulator.arm.store import Document

_GUIDS: Final = uuid.UUID("6f2d9a53-7f41-5c8e-9a39-0b9f4f2f7c11")

RESOURCE_GROUP: Final = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
"""Where most resources live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is signed in, and where. The same on every machine, so that outputs are stable."""

    subscription_id: str = "00000000-0000-4000-8000-00000000a2e0"
    tenant_id: str = "00000000-0000-4000-8000-00000000ad00"
    object_id: str = "00000000-0000-4000-8000-0000000000b1"
    client_id: str = "00000000-0000-4000-8000-0000000000c1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A resource while it is worked on.

    Attributes:
        id: Resource id.
        name: Last part of the id.
        inputs: Its properties.
        created: When it was first put, ISO 8601.
        modified: When it was last put, ISO 8601.
        identity: Subscription and caller.
        backend: The data planes.
        lookup: Finds another resource by its id.
        below: The resources below another.
    """

    id: str
    name: str
    inputs: Mapping[str, Any]
    created: str
    modified: str
    identity: Identity
    backend: Backend
    lookup: Callable[[str], Document | None]
    below: Callable[[str], list[Document]]

    @property
    def etag(self) -> str:
        """Changes when, and only when, the properties do."""
        text = json.dumps(dict(self.inputs), sort_keys=True, default=repr)
        digest = hashlib.sha256(f"{self.id.casefold()}\n{text}".encode()).hexdigest()
        return str(uuid.UUID(digest[:32]))

    @property
    def location(self) -> str:
        """The region, in its short form."""
        return str(self.inputs.get("location", "")).replace(" ", "").lower()

    def guid(self, label: str, of: str | None = None) -> str:
        """A stable GUID of this resource (or of another), such as its principal id."""
        return str(uuid.uuid5(_GUIDS, f"{label}:{(of or self.id).casefold()}"))


class Effect:
    """What a resource is in a data plane; this one is nothing there."""

    async def put(self, context: Context, old: Mapping[str, Any] | None) -> None:
        """Makes it so; `old` are the properties before, None on creation."""

    async def read(self, context: Context) -> dict[str, Any] | None:
        """The properties as the data plane has them, None if it is gone there."""
        return dict(context.inputs)

    async def live(self, context: Context) -> dict[str, Any]:
        """Outputs that only the data plane knows, such as the number of nodes."""
        del context
        return {}

    async def delete(self, context: Context) -> None:
        """Removes it."""

    async def delete_with_parent(self, context: Context) -> None:
        """Removes it because what it is in is removed, which may be where it alone is not."""
        await self.delete(context)


Outputs = Callable[[Context], Mapping[str, Any]]
Rule = Callable[[Context], None]
"""Raises `ArmError` if Resource Manager refuses the resource beside those that exist."""


def no_outputs(context: Context) -> Mapping[str, Any]:
    """The outputs of a type of which only the common ones are computed."""
    del context
    return {}


def no_rule(context: Context) -> None:
    """The rule of a type that has none of its own."""
    del context


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRule:
    """What a name may be: the pattern and its words."""

    pattern: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A combination of properties that no two resources of a type may share."""

    properties: tuple[str, ...]
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """One type of Resource Manager.

    Attributes:
        token: Pulumi's, such as `azure-native:batch:Pool`.
        id_format: Its id, with input properties in braces.
        name: What its name may be.
        autoname: `random` (logical name and 8 hex digits), `copy` (the logical name) or
            `uuid`; azure-native copies the names of nested resources.
        location_from_group: Whether azure-native takes the group's region by default.
        replaces: Properties that azure-native replaces the resource for; those in the
            id and the region always do.
        frozen: Properties that Resource Manager refuses to change.
        defaults: Outputs that the service sets where the input is missing.
        outputs: What else the service computes.
        rule: What Resource Manager refuses beside the resources that exist.
        taken: What must be unique.
        in_use: Code of the refusal to delete what others refer to; None if it is allowed.
        blocks_parent: Whether a parent cannot be deleted while this exists.
        is_settings: Whether it holds the settings of a part that its parent always has:
            deleting it resets them, and leaves alone what is in that part.
        effect: What it is in a data plane.
    """

    token: str
    id_format: str
    name: NameRule | None = None
    autoname: str = "random"
    location_from_group: bool = True
    replaces: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    outputs: Outputs = no_outputs
    rule: Rule = no_rule
    taken: Taken | None = None
    in_use: str | None = None
    blocks_parent: bool = False
    is_settings: bool = False
    effect: Effect = field(default_factory=Effect)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Input properties in the id, the name last."""
        found = re.findall(r"\{(\w+)\}", self.id_format)
        return tuple(name for name in found if name != "subscriptionId")

    @property
    def name_property(self) -> str:
        """The input property that names the resource."""
        return self.placeholders[-1]

    @property
    def arm_type(self) -> str:
        """Such as `Microsoft.Batch/batchAccounts/pools`."""
        return arm_type(self.id_format)

    def id(self, inputs: Mapping[str, Any], subscription_id: str) -> str:
        """The id that a resource with these properties has."""
        values = {name: str(inputs[name]).strip("/") for name in self.placeholders}
        return self.id_format.format(subscriptionId=subscription_id, **values)


def identity_answer(context: Context) -> dict[str, Any]:
    """The `identity` of a resource with the principals that the directory gave it."""
    asked = context.inputs.get("identity")
    if not isinstance(asked, Mapping):
        return {}
    kind = str(asked.get("type", ""))
    answer: dict[str, Any] = {"type": asked.get("type")}
    if "systemassigned" in kind.replace(" ", "").casefold():
        answer["principalId"] = context.guid("principal")
        answer["tenantId"] = context.identity.tenant_id
    users = asked.get("userAssignedIdentities")
    if isinstance(users, list | Mapping):
        answer["userAssignedIdentities"] = {
            user: {
                "principalId": context.guid("principal", user),
                "clientId": context.guid("client", user),
            }
            for user in users
            if isinstance(user, str)
        }
    return {"identity": answer}


def arm_type(resource_id: str) -> str:
    """The type in an id, such as `Microsoft.Batch/batchAccounts/pools`."""
    _, provider, tail = resource_id.rpartition("/providers/")
    if not provider:
        return "Microsoft.Resources/resourceGroups"
    namespace, *rest = tail.split("/")
    return "/".join([namespace, *rest[::2]])


def parent_id(resource_id: str) -> str:
    """The id of what a resource lives in: a resource, a group or a subscription.

    Services that every account has (`blobServices/default`) are no resource of their own.
    """
    before, provider, tail = resource_id.rpartition("/providers/")
    if not provider:
        return resource_id.rpartition("/resourceGroups/")[0]
    parts = tail.split("/")
    parent = f"{before}/providers/{'/'.join(parts[:-2])}" if len(parts) > 3 else before  # noqa: PLR2004 - a namespace, a type and a name
    return parent_id(parent) if parent.endswith("/default") else parent


def scope_name(resource_id: str) -> str:
    """The last part of an id."""
    return resource_id.rpartition("/")[2]
