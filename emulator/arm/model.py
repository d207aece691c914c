"""Resource Manager: checks, compares, puts, reads and deletes resources of the known types.

What every resource has in common is here, once; what differs is data in
`emulator.arm.resources`. The operations are those of a Pulumi provider, because
azure-native's behaviour (automatic names, which change replaces) is part of what a
program meets; nothing here knows gRPC, and a preview is a call like any other.

Not modelled: quota, policies, locks, and defaults deep inside a resource that only Azure
fills in. Whether a caller has a role is not checked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from emulator.arm import schema
from emulator.arm.backend import Backend, BackendError
from emulator.arm.changes import Change, changes
from emulator.arm.errors import ArmError, UnknownTypeError
from emulator.arm.guards import Guards, refuse_frozen
from emulator.arm.kinds import (
    Context,
    Identity,
    ResourceType,
    identity_answer,
    scope_name,
)
from emulator.arm.naming import (
    CREATE_BEFORE_DELETE,
    automatic_name,
    check_name,
    name_left_behind,
)
from emulator.arm.resources import FUNCTIONS, find_type
from emulator.arm.schema import Finding, near_misses
from emulator.arm.store import Document, Store
from emulator.arm.values import UNKNOWN, has_unknown
from emulator.arm.write_only import with_write_only, without_write_only

logger = logging.getLogger(__name__)

_VOLATILE: Final = frozenset(
    {"etag", "eTag", "lastModified", "lastModifiedTime", "modifiedDate", "timeModified"}
    | {"updatedOn", "lastUpdatedTime", "systemData", "lastPlanModifiedDate"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource as it is answered.

    Attributes:
        id: Resource id.
        inputs: The properties that were put.
        outputs: What Resource Manager answers.
    """

    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Inputs with automatic names and defaults, and everything that is wrong with them."""

    inputs: dict[str, Any]
    findings: list[Finding]


class ResourceManager:
    """Azure Resource Manager for one subscription.

    Args:
        backend: The data planes.
        store: Where resources are kept.
        identity: Subscription and caller.
        now: Tells the time.
    """

    def __init__(
        self,
        backend: Backend,
        store: Store,
        *,
        identity: Identity | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.identity = identity or Identity()
        self._backend = backend
        self._store = store
        self._now = now
        self._guards = Guards(store, self.identity.subscription_id)
        self._locks: dict[str, asyncio.Lock] = {}

    def check(
        self,
        token: str,
        logical_name: str,
        news: Mapping[str, Any],
        olds: Mapping[str, Any] | None = None,
        *,
        seed: bytes = b"",
        proposed_name: str | None = None,
        owner: str | None = None,
        held: Collection[str] = frozenset(),
    ) -> Checked:
        """Names and completes inputs, and says what is wrong with them.

        Args:
            token: Type token.
            logical_name: The resource's name in the program.
            news: Inputs as the program gave them.
            olds: Inputs of the last deployment.
            seed: Makes automatic names differ between stacks and replacements.
            proposed_name: Used instead of an automatic name.
            owner: URN of the Pulumi resource. What an interrupted deployment of it left
                behind gives its random name again, so that it can be taken over.
            held: Ids, folded, that are in the owner's state: those were not left behind.

        Raises:
            UnknownTypeError: There is no such type.
        """
        kind = find_type(token)
        declared = schema.load(token)
        inputs = {
            key: value
            for key, value in news.items()
            if value is not None and key != CREATE_BEFORE_DELETE
        }
        name_property = kind.name_property
        if name_property not in inputs and name_property in declared.inputs:
            old = (olds or {}).get(name_property)
            if old is not None and old is not UNKNOWN:
                inputs[name_property] = old
                flagged = bool((olds or {}).get(CREATE_BEFORE_DELETE))
            else:
                inputs[name_property] = (
                    name_left_behind(self._store, kind, owner, inputs, held)
                    or proposed_name
                    or automatic_name(kind, logical_name, seed)
                )
                flagged = kind.autoname != "copy"
            if flagged:
                inputs[CREATE_BEFORE_DELETE] = True
        if "location" in declared.inputs and "location" not in inputs and kind.location_from_group:
            group = inputs.get("resourceGroupName")
            if group is UNKNOWN:
                inputs["location"] = UNKNOWN
            elif (location := self._group_location(group)) is not None:
                inputs["location"] = location
        asked = {key: value for key, value in inputs.items() if key != CREATE_BEFORE_DELETE}
        findings = declared.check(asked) + list(check_name(kind, asked))
        return Checked(inputs=inputs, findings=findings)

    def diff(self, token: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[Change]:
        """What differs between two sets of inputs, and what a new resource is needed for.

        Raises:
            UnknownTypeError: There is no such type.
        """
        kind = find_type(token)
        replaces = {*kind.placeholders, *kind.replaces, "location"}
        return [
            replace(one, replaces=one.top in replaces or one.path in replaces)
            for one in changes(_asked(olds), _asked(news))
            if not (one.path == "location" and _same_region(olds, news))
        ]

    def preview(
        self, token: str, news: Mapping[str, Any], resource_id: str | None = None
    ) -> dict[str, Any]:
        """The outputs as far as they are known before a deployment.

        Args:
            token: Type token.
            news: Checked inputs.
            resource_id: Of the resource that will be updated; None if it will be created.

        Raises:
            UnknownTypeError: There is no such type.
        """
        kind = find_type(token)
        document = self._store.get(resource_id) if resource_id else None
        asked = _asked(news)
        promised = schema.load(token).outputs
        known: dict[str, Any] = {}
        if document is not None and not has_unknown(asked):
            context = self._context(kind, document.id, asked, document.created, document.created)
            known = self._outputs(kind, context)
        else:
            known = {key: value for key, value in asked.items() if key in promised}
            known["type"] = kind.arm_type
            known["azureApiVersion"] = schema.load(token).api_version
            if kind.name_property in asked:
                known["name"] = asked[kind.name_property]
            # Only what is promised: an optional output that nobody set stays absent.
            later = {key for key, promise in promised.items() if promise} | {*kind.defaults}
            known |= dict.fromkeys((later & promised.keys()) - known.keys(), UNKNOWN)
            stamp = self._stamp()
            context = self._context(kind, resource_id or "", asked, stamp, stamp)
            computed = {*kind.outputs(context), *identity_answer(context)} - {"name"}
            known |= dict.fromkeys(computed & promised.keys(), UNKNOWN)
        return known | dict.fromkeys(_VOLATILE & known.keys(), UNKNOWN)

    async def create(
        self,
        token: str,
        owner: str,
        news: Mapping[str, Any],
        *,
        held: Collection[str] = frozenset(),
    ) -> Resource:
        """Puts a resource that the caller believes to be new.

        A resource that the same owner has put before is taken over and brought to the
        new properties (an interrupted deployment is run again); anybody else's is not.

        Args:
            token: Type token.
            owner: URN of the Pulumi resource.
            news: Checked inputs, all known.
            held: Ids, folded, that are in the owner's state: those are not new.

        Raises:
            ArmError: Resource Manager refuses.
            UnknownTypeError: There is no such type.
        """
        kind = find_type(token)
        asked = _asked(news)
        resource_id = kind.id(asked, self.identity.subscription_id)
        async with self._lock(resource_id):
            existing = self._store.get(resource_id)
            ours = existing is not None and existing.owner == owner
            if existing is not None and (not ours or resource_id.casefold() in held):
                raise ArmError(
                    409,
                    "ResourceAlreadyExists",
                    f"cannot create already existing resource '{resource_id}'",
                )
            return await self._put(kind, resource_id, owner, asked, existing)

    async def update(
        self, token: str, owner: str, resource_id: str, news: Mapping[str, Any]
    ) -> Resource:
        """Brings a resource to new properties; one that is gone is put again.

        Raises:
            ArmError: Resource Manager refuses.
            UnknownTypeError: There is no such type.
        """
        kind = find_type(token)
        async with self._lock(resource_id):
            existing = self._store.get(resource_id)
            return await self._put(kind, resource_id, owner, _asked(news), existing)

    async def read(
        self, token: str, resource_id: str, inputs: Mapping[str, Any] | None = None
    ) -> Resource | None:
        """The resource as it is now, None if it is gone.

        Args:
            token: Type token.
            resource_id: Resource id.
            inputs: What the caller knows of it; secrets are taken from there.

        Raises:
            ArmError: A data plane cannot be read.
            UnknownTypeError: There is no such type.
        """
        kind = find_type(token)
        document = self._store.get(resource_id)
        if document is None or document.token != token:
            return None
        context = self._context(
            kind, document.id, document.inputs, document.created, document.modified
        )
        try:
            found = await kind.effect.read(context)
            live = await kind.effect.live(context) if found is not None else {}
        except BackendError as error:
            raise ArmError(400, error.code, error.message) from error
        if found is None:
            return None
        context = replace(context, inputs=found)
        kept = dict(inputs or {})
        answered = with_write_only(found, kept)
        if CREATE_BEFORE_DELETE in kept:
            answered[CREATE_BEFORE_DELETE] = kept[CREATE_BEFORE_DELETE]
        outputs = self._outputs(kind, context) | live
        return Resource(id=document.id, inputs=answered, outputs=outputs)

    async def delete(self, token: str, resource_id: str) -> None:
        """Deletes a resource with everything in it; no error if it is gone.

        Raises:
            ArmError: Something still uses it.
            UnknownTypeError: There is no such type.
        """
        kind = find_type(token)
        async with self._lock(resource_id):
            document = self._store.get(resource_id)
            if document is None:
                return
            inside = [] if kind.is_settings else self._store.below(resource_id)
            self._guards.refuse_in_use(kind, document, inside)
            try:
                # The innermost first, so that a data plane never holds an orphan.
                for one in [*reversed(inside), document]:
                    one_kind = find_type(one.token)
                    context = self._context(
                        one_kind, one.id, one.inputs, one.created, one.modified
                    )
                    remove = one_kind.effect.delete
                    if one is not document:
                        remove = one_kind.effect.delete_with_parent
                    await remove(context)
            except BackendError as error:
                raise ArmError(400, error.code, error.message) from error
            self._store.delete(resource_id, with_content=not kind.is_settings)

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Calls a function of azure-native.

        Raises:
            ArmError: The function is refused here.
            UnknownTypeError: There is no such function.
        """
        if token not in FUNCTIONS:
            raise UnknownTypeError(
                f"unknown function {token!r}: the emulator's Resource Manager does not have it"
                f"{near_misses(token, FUNCTIONS, cutoff=0.85)}"
            )
        return dict(FUNCTIONS[token](self.identity, arguments, self._store.get))

    async def _put(
        self,
        kind: ResourceType,
        resource_id: str,
        owner: str,
        asked: dict[str, Any],
        existing: Document | None,
    ) -> Resource:
        stamp = self._stamp()
        created = existing.created if existing else stamp
        context = self._context(kind, resource_id, asked, created, stamp)
        self._guards.require_parent(kind, resource_id)
        self._guards.require_references(context)
        self._guards.refuse_taken(kind, context)
        kind.rule(context)
        if existing is not None:
            refuse_frozen(kind, existing.inputs, asked)
        try:
            await kind.effect.put(context, existing.inputs if existing else None)
            live = await kind.effect.live(context)
        except BackendError as error:
            raise ArmError(400, error.code, error.message) from error
        self._store.put(
            Document(
                id=resource_id,
                token=kind.token,
                owner=owner,
                inputs=without_write_only(asked),
                created=created,
                modified=stamp,
            )
        )
        logger.debug("put %s", resource_id)
        outputs = self._outputs(kind, context) | live
        return Resource(id=resource_id, inputs=asked, outputs=outputs)

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _context(
        self,
        kind: ResourceType,
        resource_id: str,
        inputs: Mapping[str, Any],
        created: str,
        modified: str,
    ) -> Context:
        return Context(
            id=resource_id,
            name=str(inputs.get(kind.name_property, scope_name(resource_id))),
            inputs=inputs,
            created=created,
            modified=modified,
            identity=self.identity,
            backend=self._backend,
            lookup=self._store.get,
            below=self._store.below,
        )

    def _outputs(self, kind: ResourceType, context: Context) -> dict[str, Any]:
        declared = schema.load(kind.token)
        common = {
            "name": context.name,
            "type": kind.arm_type,
            "azureApiVersion": declared.api_version,
            "provisioningState": "Succeeded",
            "etag": f'W/"{context.etag}"',
            "systemData": {
                "createdAt": context.created,
                "createdBy": context.identity.client_id,
                "createdByType": "Application",
                "lastModifiedAt": context.modified,
                "lastModifiedBy": context.identity.client_id,
                "lastModifiedByType": "Application",
            },
        }
        asked = without_write_only(dict(context.inputs))
        every = {
            **common,
            **kind.defaults,
            **asked,
            **identity_answer(context),
            **kind.outputs(context),
        }
        every["name"] = context.name
        return {
            key: value
            for key, value in every.items()
            if key in declared.outputs and value is not None
        }

    def _group_location(self, group: object) -> str | None:
        root = f"/subscriptions/{self.identity.subscription_id}/resourceGroups/{group}"
        document = self._store.get(root)
        return str(document.inputs["location"]) if document else None

    def _lock(self, resource_id: str) -> asyncio.Lock:
        return self._locks.setdefault(resource_id.casefold(), asyncio.Lock())


def _asked(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if key != CREATE_BEFORE_DELETE}


def _same_region(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    old, new = (str(one.get("location", "")).replace(" ", "").lower() for one in (olds, news))
    return old == new
