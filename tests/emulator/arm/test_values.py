"""Values cross the engine's wire and come back the same."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from emulator.arm.changes import changes
from emulator.arm.errors import ValueKindError
from emulator.arm.values import UNKNOWN, decode, encode, has_unknown, plain

KEYS = st.text(min_size=1, max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.just(UNKNOWN)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
PROPERTIES = st.dictionaries(KEYS, VALUES, max_size=4)
SIGNATURE = rpc._special_sig_key


@given(PROPERTIES)
def test_properties_come_back_the_same(properties: dict[str, Any]) -> None:
    assert decode(encode(properties)) == properties


@given(PROPERTIES)
def test_nothing_differs_from_itself(properties: dict[str, Any]) -> None:
    assert list(changes(properties, properties)) == []


@given(PROPERTIES, PROPERTIES)
def test_a_change_one_way_is_a_change_the_other_way(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    mirror = {"add": "delete", "delete": "add", "update": "update"}
    there = {one.path: one.kind for one in changes(old, new)}
    back = {one.path: mirror[one.kind] for one in changes(new, old)}
    assert there == back


def test_numbers_without_a_fraction_are_integers() -> None:
    assert isinstance(decode(encode({"n": 3.0}))["n"], int)
    assert math.isclose(decode(encode({"n": 0.5}))["n"], 0.5)


def test_null_members_are_left_out() -> None:
    struct = struct_pb2.Struct()
    json_format.ParseDict({"a": None, "b": 1}, struct)
    assert decode(struct) == {"b": 1}


def test_secrets_and_output_values_are_unwrapped_wherever_they_stand() -> None:
    secret = {SIGNATURE: rpc._special_secret_sig, "value": "s"}
    later = {SIGNATURE: rpc._special_output_value_sig}
    now = {SIGNATURE: rpc._special_output_value_sig, "value": secret, "secret": True}
    assert plain({"a": [secret], "b": later, "c": now}) == {"a": ["s"], "b": UNKNOWN, "c": "s"}
    assert has_unknown({"a": [{"b": UNKNOWN}]})
    assert not has_unknown({"a": [{"b": 1}]})


def test_marked_members_cross_as_secrets_once() -> None:
    struct = encode({"users": [{"name": "n", "password": "p"}]}, secret={"password"})
    (user,) = json_format.MessageToDict(struct)["users"]
    assert user == {
        "name": "n",
        "password": {SIGNATURE: rpc._special_secret_sig, "value": "p"},
    }


def test_assets_are_refused() -> None:
    with pytest.raises(ValueKindError, match="assets"):
        plain({"file": {SIGNATURE: rpc._special_asset_sig, "path": "x"}})
