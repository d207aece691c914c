"""Property values inside the model, and how they cross the engine's wire.

Inside, a resource's properties are plain JSON values, and `UNKNOWN` stands for one that
a preview cannot know yet. On the wire (a protobuf Struct) unknowns, secrets, output
values and resource references are marked by the engine's well-known signatures. The
provider says that it accepts none but unknowns, so the engine unwraps secrets before it
calls and marks the results itself; what still arrives wrapped is unwrapped here.
Assets and archives have no place in Resource Manager and are refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from emulator.arm.errors import ValueKindError

_SIGNATURE: Final = rpc._special_sig_key  # noqa: SLF001 - the wire's constants have no public name
_SECRET: Final = rpc._special_secret_sig  # noqa: SLF001 - likewise
_OUTPUT: Final = rpc._special_output_value_sig  # noqa: SLF001 - likewise
_RESOURCE: Final = rpc._special_resource_sig  # noqa: SLF001 - likewise


class Unknown:
    """A value that is known only after a deployment. There is one: `UNKNOWN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


def has_unknown(value: Any) -> bool:
    """Whether the value is unknown or holds one that is."""
    if isinstance(value, Mapping):
        return any(has_unknown(part) for part in value.values())
    if isinstance(value, list):
        return any(has_unknown(part) for part in value)
    return value is UNKNOWN


def plain(value: Any) -> Any:
    """A JSON value of the wire without its wrappers; integral numbers become integers.

    Raises:
        ValueKindError: It is an asset or an archive.
    """
    if isinstance(value, dict):
        return _plain_object(value)
    if isinstance(value, list):
        return [plain(part) for part in value]
    if value == rpc.UNKNOWN:
        return UNKNOWN
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain_object(value: dict[str, Any]) -> Any:
    signature = value.get(_SIGNATURE)
    if signature is None:
        return {key: plain(part) for key, part in value.items()}
    if signature in {_SECRET, _OUTPUT}:
        return plain(value["value"]) if "value" in value else UNKNOWN
    if signature == _RESOURCE:
        return plain(value.get("id", value.get("urn")))
    raise ValueKindError("assets and archives cannot be properties of an Azure resource")


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The properties in a Struct; members that are null are left out."""
    values = {key: plain(_json(value)) for key, value in struct.fields.items()}
    return {key: value for key, value in values.items() if value is not None}


def encode(properties: Mapping[str, Any], *, secret: Collection[str] = ()) -> struct_pb2.Struct:
    """A Struct of the properties.

    Args:
        properties: JSON values and unknowns.
        secret: Names of members, at any depth, whose values are marked as secrets.
    """
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        struct.fields[key].CopyFrom(_message(_marked(key, value, secret), secret))
    return struct


def _json(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: _json(part) for key, part in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_json(part) for part in value.list_value.values]
    return None if kind in {None, "null_value"} else getattr(value, kind)


def _marked(key: str, value: Any, secret: Collection[str]) -> Any:
    if key in secret and value is not None:
        return {_SIGNATURE: _SECRET, "value": value}
    return value


def _message(value: Any, secret: Collection[str]) -> struct_pb2.Value:
    match value:
        case Unknown():
            message = struct_pb2.Value(string_value=rpc.UNKNOWN)
        case None:
            message = struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():
            message = struct_pb2.Value(bool_value=value)
        case int() | float():
            message = struct_pb2.Value(number_value=value)
        case str():
            message = struct_pb2.Value(string_value=value)
        case list():
            parts = [_message(part, secret) for part in value]
            message = struct_pb2.Value(list_value=struct_pb2.ListValue(values=parts))
        case _:
            struct = struct_pb2.Struct()
            # What is wrapped already is not wrapped again.
            inside = () if value.get(_SIGNATURE) == _SECRET else secret
            for key, part in value.items():
                struct.fields[key].CopyFrom(_message(_marked(key, part, inside), inside))
            message = struct_pb2.Value(struct_value=struct)
    return message
