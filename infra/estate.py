"""The planned estate: the one value that rules judge and components declare.

`plan_estate` goes from raw config to a plan with every finding, in one pass: a wrong
part is set aside, so that one mistake hides no other. Whether findings stop anything is
the caller's business: the Pulumi program refuses errors, `infra check` prints all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infra.config import StackConfig
from infra.errors import AddressSpaceError, ConfigError
from infra.findings import Finding
from infra.pools import PoolPlan, plan_pool
from infra.schema_findings import describe, failing_keys
from infra.subnets import NetworkPlan, SubnetDemand, plan_network


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """A stack's config with all that follows from it.

    Attributes:
        stack: The stack's name.
        config: What the person wrote, with defaults.
        pools: Pool plans in order of name.
        network: The subnets, or None where an existing subnet is used or none fit.
        network_problem: Why the subnets do not fit, else empty.
        today: The day that retirements are judged on.
    """

    stack: str
    config: StackConfig
    pools: tuple[PoolPlan, ...]
    network: NetworkPlan | None
    network_problem: str
    today: date


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStack:
    """What planning came to.

    Attributes:
        stack: The stack's name.
        estate: The plan, or None when the config has errors.
        findings: Everything found, silenced findings included, in order of path.
    """

    stack: str
    estate: Estate | None
    findings: tuple[Finding, ...]

    def deployable(self) -> Estate:
        """The plan.

        Raises:
            ConfigError: Some finding is an error.
        """
        if self.estate is None or any(finding.is_error for finding in self.findings):
            raise ConfigError(self.stack, self.findings)
        return self.estate


def plan_stack(
    stack: str, raw: Mapping[str, Any], *, root: Path, today: date | None = None
) -> PlannedStack:
    """Plans a stack from its raw config and judges it by every rule.

    Args:
        stack: The stack's name.
        raw: Config by key without the namespace; values as YAML or JSON has them.
        root: The project root, which formula files are relative to.
        today: The day that retirements are judged on; now when absent.
    """
    config, findings = _validate(raw)
    if config is None:
        return PlannedStack(stack=stack, estate=None, findings=_ordered(findings))
    estate = plan_estate(stack, config, root=root, today=today or date.today())  # noqa: DTZ011 - a retirement's day is the reader's own
    set_aside = {finding.path for finding in findings}
    findings += [finding for finding in judge(estate) if not _concerns(finding.path, set_aside)]
    broken = any(finding.code.startswith("CFG") for finding in findings)
    return PlannedStack(
        stack=stack, estate=None if broken else estate, findings=_ordered(findings)
    )


def plan_estate(stack: str, config: StackConfig, *, root: Path, today: date) -> Estate:
    """Plans pools and network of a valid config."""
    pools = tuple(plan_pool(name, config.pools[name], root=root) for name in sorted(config.pools))
    network, problem = None, ""
    if config.network.existing_subnet_id is None:
        try:
            network = plan_network(
                config.network.address_space,
                [
                    SubnetDemand(
                        pool=pool.name,
                        max_nodes=pool.scale.max_nodes,
                        inter_node=pool.inter_node_communication,
                    )
                    for pool in pools
                ],
                per_pool=config.network.subnets == "per-pool",
                private_endpoints=config.network.private_endpoints,
            )
        except AddressSpaceError as error:
            problem = str(error)
    return Estate(
        stack=stack,
        config=config,
        pools=pools,
        network=network,
        network_problem=problem,
        today=today,
    )


def judge(estate: Estate) -> list[Finding]:
    """Every rule over an estate; what `ignore` names is silenced with its reason."""
    from infra.rules import all_findings  # noqa: PLC0415 - rules are written over Estate

    ignore = estate.config.ignore
    return [
        replace(finding, silenced=ignore.get(finding.code)) for finding in all_findings(estate)
    ]


def _validate(raw: Mapping[str, Any]) -> tuple[StackConfig | None, list[Finding]]:
    try:
        return StackConfig.model_validate(raw), []
    except ValidationError as error:
        findings = describe(error)
        remaining = _without(raw, failing_keys(error))
    try:
        return StackConfig.model_validate(remaining), findings
    except ValidationError:
        # Nothing sensible is left, such as a config without any valid pool.
        return None, findings


def _without(raw: Mapping[str, Any], keys: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    remaining = dict(raw)
    for key in keys:
        if len(key) == 1:
            remaining.pop(key[0], None)
        elif isinstance(remaining.get(key[0]), Mapping):
            remaining[key[0]] = {
                name: value for name, value in remaining[key[0]].items() if name != key[1]
            }
    return remaining


def _concerns(path: str, set_aside: set[str]) -> bool:
    """Whether a rule's finding is about a part that was set aside, or replaced by a default."""
    return any(
        path.split(".")[: 2 if other.startswith("pools.") else 1]
        == other.split(".")[: 2 if other.startswith("pools.") else 1]
        for other in set_aside
    )


def _ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: (finding.path, finding.code)))
