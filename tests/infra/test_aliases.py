"""What a resource was called before is kept where this program may have called it so."""

from __future__ import annotations

from collections.abc import Callable

import pulumi
import pytest
from pulumi_azure_native import monitor, network

from emulator.arm.mocks import run_program
from infra.aliases import without_versions
from infra.estate import Estate
from infra.platform import Platform

Alias = pulumi.Input[pulumi.Alias | str]
RENAMED = pulumi.Alias(name="an-earlier-name")
MOVED = pulumi.Alias(type_="azure-native:network/v20240301:Subnet", parent=None)
BY_URN = "urn:pulumi:s::p::azure-native:network/v20240301:Subnet::subnet"


def subnet(opts: pulumi.ResourceOptions) -> None:
    network.Subnet("one", resource_group_name="g", virtual_network_name="v", opts=opts)


def diagnostic_setting(opts: pulumi.ResourceOptions) -> None:
    monitor.DiagnosticSetting(
        "one", resource_uri="/subscriptions/0", workspace_id="/subscriptions/1", opts=opts
    )


def aliases_of(
    declare: Callable[[pulumi.ResourceOptions], None], *own: pulumi.Alias | str
) -> list[Alias]:
    """What a resource has left after the transformation has run."""
    left: list[Alias] = []

    def look(args: pulumi.ResourceTransformationArgs) -> None:
        left.extend(args.opts.aliases or ())
        raise NotDeclaredError

    def program() -> None:
        opts = pulumi.ResourceOptions(aliases=[*own], transformations=[without_versions, look])
        with pytest.raises(NotDeclaredError):
            declare(opts)

    run_program(program, project="p", stack="s")
    return left


class NotDeclaredError(Exception):
    """Ends a declaration once its aliases were seen: there is no group to put it into."""


def test_other_api_versions_of_a_type_are_left_out() -> None:
    assert aliases_of(subnet) == []


def test_a_type_that_azure_native_moved_to_another_module_keeps_its_past() -> None:
    assert [
        one.type_ for one in aliases_of(diagnostic_setting) if isinstance(one, pulumi.Alias)
    ] == ["azure-native:insights:DiagnosticSetting"]


@pytest.mark.parametrize("own", [RENAMED, MOVED, BY_URN], ids=["renamed", "moved", "by URN"])
def test_an_alias_of_ours_stays(own: pulumi.Alias | str) -> None:
    assert aliases_of(subnet, own) == [own]


def test_nothing_in_production_has_an_alias_to_an_api_version(
    example: Callable[[str], Estate],
) -> None:
    estate = example("prod")
    seen: dict[str, list[Alias]] = {}

    def look(args: pulumi.ResourceTransformationArgs) -> None:
        seen[args.name] = list(args.opts.aliases or ())

    def program() -> None:
        Platform("hpc", estate, pulumi.ResourceOptions(transformations=[look]))

    run_program(program, project="hpc", stack="prod")
    assert len(seen) > 50
    types = {
        str(one.type_) for past in seen.values() for one in past if isinstance(one, pulumi.Alias)
    }
    assert "azure-native:insights:DiagnosticSetting" in types
    assert [one for one in types if "/v" in one] == []
