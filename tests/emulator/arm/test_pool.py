"""The table that maps pools holds to both SDKs, and nothing is dropped on the way."""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from azure.batch import models
from hypothesis import given
from hypothesis import strategies as st
from pulumi import _types as sdk_types

from emulator.arm import schema
from emulator.arm.resources import pool
from emulator.arm.resources.mapping import UnmappedError, covers, duration

MODEL = models.BatchPoolCreateOptions.__mro__[1]
"""The base of azure-batch's models; the SDK does not export it."""

POOL = schema.load("azure-native:batch:Pool")
PLACED = {"applicationPackages", "networkConfiguration"} | pool.FIELDS.keys()
NOWHERE = {"applicationLicenses", "certificates"}


def sample(annotation: Any) -> Any:
    """A value of every property that an annotation allows, enumerations with their last value."""
    alternatives = schema._alternatives(annotation)
    for one in alternatives:
        if isinstance(one, type) and issubclass(one, enum.Enum):
            return list(one)[-1].value
    (one, *_) = alternatives
    origin = typing.get_origin(one)
    if origin is Sequence:
        return [sample(typing.get_args(one)[0])]
    if origin is Mapping or one is Any:
        return {"key": "value"}
    if isinstance(one, type) and sdk_types.is_input_type(one):
        return {name: sample(part.annotation) for name, part in schema._properties(one).items()}
    return {str: "text", bool: True, int: 7, float: 7.5}[one]


def model_in(annotation: Any) -> Any:
    """The azure-batch model that an annotation (optional, or a list of it) is about."""
    for one in (annotation, *typing.get_args(annotation)):
        if isinstance(one, type) and issubclass(one, MODEL):
            return one
        if one is not annotation and (found := model_in(one)) is not None:
            return found
    return None


def unknown_members(value: Any, model: Any, path: str) -> list[str]:
    """Members of a wire body that a model of azure-batch does not have."""
    model({})  # the SDK fills its tables when a model is first made
    hints = typing.get_type_hints(model, vars(inspect.getmodule(model)) | {"_models": models})
    types = {one._rest_name: hints[name] for name, one in model._attr_to_rest_field.items()}
    found = []
    for name, part in value.items():
        if name not in types:
            found.append(f"{path}{name}")
        elif (nested := model_in(types[name])) is not None:
            for one in part if isinstance(part, list) else [part]:
                found += unknown_members(one, nested, f"{path}{name}.")
    return found


@pytest.mark.parametrize("name", sorted(pool.FIELDS))
def test_every_input_that_azure_native_knows_has_a_place_and_comes_back(name: str) -> None:
    value = sample(POOL.inputs[name].annotation)
    wire = pool.property_to_wire(name, value)
    back = pool.property_to_arm(name, wire)
    if name == "applicationPackages":
        assert wire == {
            "applicationPackageReferences": [{"applicationId": "text", "version": "text"}]
        }
    assert back == value


def test_every_property_of_a_pool_is_placed_kept_or_refused() -> None:
    elsewhere = {"accountName", "resourceGroupName", "poolName", "scaleSettings", "identity"}
    assert POOL.inputs.keys() == PLACED | elsewhere | pool.ARM_ONLY | NOWHERE
    assert (pool.LIVE | pool.NEEDS_EMPTY).isdisjoint(elsewhere - {"scaleSettings"})
    for name in NOWHERE:
        with pytest.raises(UnmappedError, match=name):
            pool.property_to_wire(name, ["x"])


def test_every_member_of_the_body_is_one_that_the_batch_service_takes() -> None:
    body: dict[str, Any] = {"id": "cpu"}
    for name in pool.FIELDS:
        body |= pool.property_to_wire(name, sample(POOL.inputs[name].annotation))
    fixed = {"targetDedicatedNodes": 1, "targetLowPriorityNodes": 2, "resizeTimeout": "PT5M"}
    body |= pool.scale_to_wire({"fixedScale": fixed})
    body |= pool.scale_to_wire({"autoScale": {"formula": "f", "evaluationInterval": "PT5M"}})
    assert unknown_members(body, models.BatchPoolCreateOptions, "") == []

    machine = body["virtualMachineConfiguration"]
    machine["imageReference"]["id"] = machine["dataDisks"][0]["storageAccountType"] = "x"
    assert sorted(unknown_members(body, models.BatchPoolCreateOptions, "")) == [
        "virtualMachineConfiguration.dataDisks.storageAccountType",
        "virtualMachineConfiguration.imageReference.id",
    ]


def test_what_has_no_place_is_refused_by_its_path() -> None:
    with pytest.raises(UnmappedError, match=r"scaleSettings\.fixedScale\.nodeDeallocationOption"):
        pool.scale_to_wire({"fixedScale": {"nodeDeallocationOption": "Requeue"}})
    with pytest.raises(UnmappedError, match=r"metadata\[1\]\.nme"):
        pool.property_to_wire("metadata", [{"name": "a", "value": "b"}, {"nme": "c"}])


@pytest.mark.parametrize(
    "settings",
    [
        {"fixedScale": {"targetDedicatedNodes": 2, "targetLowPriorityNodes": 0}},
        {"autoScale": {"formula": "$TargetDedicatedNodes=1", "evaluationInterval": "PT5M"}},
    ],
)
def test_scale_settings_come_back(settings: dict[str, Any]) -> None:
    assert pool.scale_to_arm(pool.scale_to_wire(settings)) == settings


@pytest.mark.parametrize(
    ("actual", "expected", "result"),
    [
        ({"a": 1, "more": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({}, {"list": []}, True),
        ({"list": [{"n": 1}, {"n": 2}]}, {"list": [{"n": 1}]}, False),
        ({"timeout": "PT900S"}, {"timeout": "PT15M"}, True),
        ({"fill": "spread"}, {"fill": "Spread"}, True),
        ({"users": [{"name": "n"}]}, {"users": [{"name": "n", "password": "p"}]}, True),
        ({"users": None}, {"users": [{"name": "n"}]}, False),
    ],
)
def test_drift_is_what_was_asked_and_is_not_there(
    actual: Any, expected: Any, result: bool
) -> None:
    assert covers(actual, expected) is result


@given(st.integers(0, 10), st.integers(0, 23), st.integers(0, 59), st.integers(1, 59))
def test_durations_are_read_in_every_notation(days: int, hours: int, minutes: int, s: int) -> None:
    whole = timedelta(days=days, hours=hours, minutes=minutes, seconds=s)
    assert duration(f"P{days}DT{hours}H{minutes}M{s}S") == whole
    assert duration(f"PT{int(whole.total_seconds())}S") == whole
    assert duration("P") is None
