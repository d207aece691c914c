"""The SDK's own classes say what a resource may have."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from emulator.arm import schema
from emulator.arm.resources import TYPES
from emulator.arm.values import UNKNOWN


def findings(token: str, inputs: Mapping[str, object]) -> dict[str, str]:
    return {one.path: one.message for one in schema.load(token).check(inputs)}


@pytest.mark.parametrize("token", TYPES)
def test_every_declared_type_is_in_the_sdk_with_what_its_declaration_names(token: str) -> None:
    kind, declared = TYPES[token], schema.load(token)
    assert declared.api_version
    assert set(kind.placeholders) <= declared.inputs.keys()
    assert kind.replaces | kind.frozen <= declared.inputs.keys()
    assert kind.defaults.keys() <= declared.outputs.keys()
    required = {name for name, one in declared.inputs.items() if one.required}
    assert kind.name_property not in required


def test_unknown_property_is_refused_by_name_with_the_near_miss() -> None:
    found = findings(
        "azure-native:batch:Pool", {"resourceGroupName": "g", "accountName": "a", "vmsize": "x"}
    )
    assert found == {"vmsize": "unknown property 'vmsize'; did you mean 'vmSize'?"}


def test_all_findings_come_together_with_their_paths() -> None:
    found = findings(
        "azure-native:batch:Pool",
        {
            "accountName": "a",
            "interNodeCommunication": "On",
            "metadata": [{"name": 1}],
            "scaleSettings": {"fixedScale": {"targetDedicatedNodes": "3"}},
            "startTask": ["sh"],
            "tags": {"a b": 2},
            "userAccounts": {},
        },
    )
    assert found == {
        "resourceGroupName": "missing required property 'resourceGroupName'",
        "interNodeCommunication": "'On' is not one of Enabled, Disabled",
        "metadata[0].name": "expected a string, got 1",
        "metadata[0].value": "missing required property 'value'",
        "scaleSettings.fixedScale.targetDedicatedNodes": "expected an integer, got '3'",
        "startTask": "expected an object, got a list",
        'tags["a b"]': "expected a string, got 2",
        "userAccounts": "expected a list, got an object",
    }


def test_unknown_values_pass_wherever_they_stand() -> None:
    inputs = {
        "resourceGroupName": UNKNOWN,
        "accountName": "a",
        "startTask": UNKNOWN,
        "metadata": [{"name": "n", "value": UNKNOWN}],
    }
    assert findings("azure-native:batch:Pool", inputs) == {}


def test_an_enumeration_is_closed_and_blind_to_case() -> None:
    rule = {
        "resourceGroupName": "g",
        "networkSecurityGroupName": "n",
        "access": "allow",
        "direction": "Inbound",
        "protocol": "TCP",
        "priority": 200,
    }
    assert findings("azure-native:network:SecurityRule", rule) == {}
    found = findings("azure-native:network:SecurityRule", rule | {"access": "Alow"})
    assert found == {"access": "'Alow' is not one of Allow, Deny; did you mean 'Allow'?"}


def test_a_union_is_checked_as_the_alternative_that_its_discriminator_names() -> None:
    alert = {
        "resourceGroupName": "g",
        "enabled": True,
        "evaluationFrequency": "PT1M",
        "windowSize": "PT5M",
        "scopes": ["/x"],
        "severity": 2,
        "criteria": {
            "odataType": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
            "allOf": [
                {
                    "criterionType": "StaticThresholdCriterion",
                    "metricName": "UnusableNodeCount",
                    "name": "unusable",
                    "operator": "GreaterThan",
                    "thresold": 0,
                    "timeAggregation": "Average",
                }
            ],
        },
    }
    assert findings("azure-native:monitor:MetricAlert", alert) == {
        "criteria.allOf[0].thresold": "unknown property 'thresold'; did you mean 'threshold'?",
        "criteria.allOf[0].threshold": "missing required property 'threshold'",
    }


def test_a_nested_type_does_not_hide_a_resource_of_the_same_name() -> None:
    assert "virtualNetworkName" in schema.load("azure-native:network:Subnet").inputs
    assert "groupShortName" in schema.load("azure-native:monitor:ActionGroup").inputs


def test_a_type_that_the_sdk_does_not_have_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="azure-native:batch:Pond"):
        schema.load("azure-native:batch:Pond")
