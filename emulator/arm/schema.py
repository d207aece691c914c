"""What properties a resource type has, read from the installed azure-native SDK.

Nothing is listed by hand: the SDK's own argument classes say which properties there
are, what they hold, which are required and which values an enumeration has. So every
property that azure-native knows is accepted here, an unknown one is refused by name,
and a newer SDK brings its own table. Rules that the SDK does not carry (which names are
valid, what cannot be changed) are in `emulator.arm.resources`.

Not here: defaults that only the service applies, and numeric ranges (the SDK drops them).
"""

from __future__ import annotations

import difflib
import enum
import functools
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi import _types as sdk_types

from emulator.arm.values import UNKNOWN

WRITE_ONLY: Final = frozenset(
    {"password", "accountKey", "sasKey", "sshPrivateKey", "protectedSettings"}
)
"""Properties that Resource Manager takes and never gives back."""

_SCALARS: Final[dict[type, tuple[str, tuple[type, ...]]]] = {
    str: ("a string", (str,)),
    bool: ("a boolean", (bool,)),
    int: ("an integer", (int,)),
    float: ("a number", (int, float)),
}

_MORE_VALUES: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        # Log alerts: the SDK has another type of this name in their place.
        "ConditionOperator": r"Equals|(Greater|Less)Than(OrEqual)?",
        # Known streams are those of Azure's own agents; a rule may declare its own.
        "KnownDataFlowStreams": r"(Custom|Microsoft)-\w+",
    }
)
"""Patterns of values that the service takes and the SDK's enumeration lacks, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a resource's inputs.

    Attributes:
        path: Property path, such as `scaleSettings.autoScale.formula`.
        message: What is wrong and what would be right.
    """

    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property of a resource or of an object in it: its annotation and whether it must be."""

    annotation: Any
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSchema:
    """A resource type as the SDK declares it.

    Attributes:
        token: Such as `azure-native:batch:Pool`.
        api_version: Of Resource Manager, such as `2024-07-01`.
        inputs: By their names on the wire.
        outputs: Names of output properties, and whether the SDK promises a value.
    """

    token: str
    api_version: str
    inputs: Mapping[str, Property]
    outputs: Mapping[str, bool]

    def check(self, values: Mapping[str, Any]) -> list[Finding]:
        """Everything that is wrong with a resource's inputs; unknown values pass."""
        return list(_check_object(values, self.inputs, ""))


@functools.cache
def load(token: str) -> ResourceSchema:
    """The schema of a type that the installed SDK has.

    Raises:
        LookupError: The SDK has no such type.
    """
    _, module_name, type_name = token.split(":")
    try:
        module = importlib.import_module(f"pulumi_azure_native.{module_name}")
        resource = getattr(module, type_name)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"the installed azure-native SDK has no {token}") from error
    # The package may hold another class by the same name: a nested type hides a
    # resource's arguments (`SubnetArgs`), so the resource's own module is asked.
    own = sys.modules[resource.__module__]
    arguments = getattr(own, own.__all__[0])
    version = re.search(
        r"API version (\S+?)\.", typing.get_overloads(resource.__init__)[0].__doc__ or ""
    )
    outputs = {
        name: not _is_optional(annotation)
        for name, annotation in _output_annotations(resource).items()
    }
    return ResourceSchema(
        token=token,
        api_version=version.group(1) if version else "",
        inputs=_properties(arguments),
        outputs=outputs,
    )


def near_misses(
    name: str, known: Sequence[str] | Mapping[str, Any], *, cutoff: float = 0.6
) -> str:
    """A trailing hint, `; did you mean 'x'?`, or nothing."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), by_fold, n=3, cutoff=cutoff)
    if not close:
        return ""
    return f"; did you mean {' or '.join(repr(by_fold[match]) for match in close)}?"


@functools.cache
def _properties(arguments: type) -> Mapping[str, Property]:
    names = sdk_types.input_type_py_to_pulumi_names(arguments)
    signature = inspect.signature(arguments.__init__)  # type: ignore[misc]  # the class itself
    required = {
        names[parameter.name]
        for parameter in signature.parameters.values()
        if parameter.name in names and parameter.default is inspect.Parameter.empty
    }
    return types.MappingProxyType(
        {
            name: Property(annotation=annotation, required=name in required)
            for name, annotation in sdk_types.input_type_types(arguments).items()
        }
    )


def _output_annotations(resource: type) -> dict[str, Any]:
    annotations = {}
    scope = vars(sys.modules[resource.__module__])
    for name, member in vars(resource).items():
        if isinstance(member, property) and member.fget is not None:
            wire = getattr(member.fget, "_pulumi_name", name)
            annotations[wire] = typing.get_type_hints(member.fget, scope)["return"]
    return annotations


def _is_optional(annotation: Any) -> bool:
    arguments = typing.get_args(annotation)
    return bool(arguments) and type(None) in typing.get_args(arguments[0])


def _alternatives(annotation: Any) -> list[Any]:
    """What a value may be, without the wrappers for values that come later."""
    if typing.get_origin(annotation) is typing.Union or isinstance(annotation, types.UnionType):
        return [
            inner
            for part in typing.get_args(annotation)
            if part is not type(None) and typing.get_origin(part) not in {Awaitable, pulumi.Output}
            for inner in _alternatives(part)
        ]
    return [annotation]


def _check(value: Any, annotation: Any, path: str) -> Iterator[Finding]:
    if value is None or value is UNKNOWN:
        return
    alternatives = _alternatives(annotation)
    enums = [one for one in alternatives if isinstance(one, type) and issubclass(one, enum.Enum)]
    if enums:
        more = [_MORE_VALUES[one.__name__] for one in enums if one.__name__ in _MORE_VALUES]
        if any(re.fullmatch(pattern, str(value)) for pattern in more):
            return
        # Beside an enumeration the SDK often allows any string, because values may be
        # added in later API versions; this API version has only these.
        yield from _check_enum(value, [str(item.value) for one in enums for item in one], path)
        return
    if len(alternatives) > 1 and isinstance(value, dict):
        named = [one for one in alternatives if _has_constants(value, one)]
        alternatives = named or alternatives
    results = [list(_check_one(value, one, path)) for one in alternatives]
    yield from min(results, key=len, default=[])


def _has_constants(value: dict[str, Any], annotation: Any) -> bool:
    """Whether a value carries the discriminators of this alternative of a union."""
    constants = _constants(annotation) if sdk_types.is_input_type(annotation) else {}
    return bool(constants) and all(value.get(name) == text for name, text in constants.items())


@functools.cache
def _constants(arguments: type) -> Mapping[str, str]:
    """Properties that the SDK's text says have one expected value."""
    constants = {}
    for name, wire in sdk_types.input_type_py_to_pulumi_names(arguments).items():
        text = inspect.getdoc(inspect.getattr_static(arguments, name)) or ""
        if expected := re.search(r"Expected value is '([^']+)'", text):
            constants[wire] = expected.group(1)
    return types.MappingProxyType(constants)


def _check_enum(value: Any, allowed: list[str], path: str) -> Iterator[Finding]:
    if str(value).casefold() not in {one.casefold() for one in allowed}:
        shown = ", ".join(allowed)
        hint = near_misses(str(value), allowed)
        yield Finding(path=path, message=f"{value!r} is not one of {shown}{hint}")


def _check_one(value: Any, annotation: Any, path: str) -> Iterator[Finding]:
    origin = typing.get_origin(annotation)
    is_class = isinstance(annotation, type)
    if is_class and annotation in _SCALARS:
        name, accepted = _SCALARS[annotation]
        if not isinstance(value, accepted) or (isinstance(value, bool) and annotation is not bool):
            yield Finding(path=path, message=f"expected {name}, got {_shown(value)}")
    elif origin is Sequence:
        if isinstance(value, list):
            (item,) = typing.get_args(annotation)
            for index, element in enumerate(value):
                yield from _check(element, item, f"{path}[{index}]")
        else:
            yield Finding(path=path, message=f"expected a list, got {_shown(value)}")
    elif origin is Mapping or (is_class and sdk_types.is_input_type(annotation)):
        if isinstance(value, dict):
            yield from _check_members(value, annotation, path)
        else:
            yield Finding(path=path, message=f"expected an object, got {_shown(value)}")


def _check_members(value: dict[str, Any], annotation: Any, path: str) -> Iterator[Finding]:
    if typing.get_origin(annotation) is Mapping:
        _, item = typing.get_args(annotation)
        for key, element in value.items():
            yield from _check(element, item, member(path, key))
    else:
        yield from _check_object(value, _properties(annotation), path)


def _check_object(
    values: Mapping[str, Any], properties: Mapping[str, Property], path: str
) -> Iterator[Finding]:
    for name, value in values.items():
        if name not in properties:
            hint = near_misses(name, properties)
            yield Finding(path=member(path, name), message=f"unknown property {name!r}{hint}")
        else:
            yield from _check(value, properties[name].annotation, member(path, name))
    for name, declared in properties.items():
        if declared.required and values.get(name) is None:
            yield Finding(path=member(path, name), message=f"missing required property {name!r}")


def member(path: str, key: str) -> str:
    """The path of a member in Pulumi's notation: `a.b`, or `a["x.y"]` where it must be quoted."""
    if not re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$-]*", key):
        escaped = key.replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return repr(value)
