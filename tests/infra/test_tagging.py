"""No taggable resource is without the stack's tags."""

from __future__ import annotations

import importlib
import inspect

import pulumi
from pulumi_azure_native import resources

from emulator.arm.mocks import ProgramRun, run_program
from infra.sources import read_stack_file
from infra.tagging import tagging


def can_have_tags(token: str) -> bool:
    """Whether azure-native's class of a type takes tags."""
    _, module, name = token.split(":")
    args = getattr(importlib.import_module(f"pulumi_azure_native.{module}"), f"{name}Args")
    return "tags" in inspect.signature(args.__init__).parameters


def test_no_taggable_resource_is_without_the_stacks_tags(
    stack: str, provisioned: ProgramRun
) -> None:
    expected = {"project": "hpc", "stack": stack, **read_stack_file(stack).get("tags", {})}
    taggable = [
        one
        for one in provisioned.arm.resources
        if one.token.startswith("azure-native:") and can_have_tags(one.token)
    ]
    assert {one.token for one in taggable} >= {
        "azure-native:batch:Pool",
        "azure-native:resources:ResourceGroup",
        "azure-native:storage:StorageAccount",
    }
    for one in taggable:
        assert one.inputs["tags"].items() >= expected.items(), one.name


class Tagged(pulumi.ComponentResource):
    """A component that somebody adds tomorrow and that knows nothing of tags."""

    def __init__(self, own: dict[str, str] | None) -> None:
        transformations = [tagging({"stack": "dev", "team": "hpc"})]
        super().__init__("t:t:T", "t", {}, pulumi.ResourceOptions(transformations=transformations))

        resources.ResourceGroup(
            "g", location="eastus", tags=own, opts=pulumi.ResourceOptions(parent=self)
        )


def tags_of_group(own: dict[str, str] | None) -> object:
    run = run_program(lambda: void(Tagged(own)), project="t", stack="t")
    return run.arm.one("resources:ResourceGroup").inputs["tags"]


def test_a_resource_that_says_nothing_is_tagged() -> None:
    assert tags_of_group(None) == {"stack": "dev", "team": "hpc"}


def test_tags_of_a_resources_own_stay() -> None:
    assert tags_of_group({"team": "cfd"}) == {"stack": "dev", "team": "cfd"}


def void(_: object) -> None:
    """Drops what was declared."""
