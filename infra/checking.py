"""From raw config to a judged plan, with every finding in one pass.

A wrong part is set aside and the rest is judged all the same, so that one mistake hides
no other. Whether findings stop anything is the caller's business: the Pulumi program
refuses errors, `python -m infra check` prints all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infra.config import StackConfig
from infra.equipment import SECRETS_NAMESPACE
from infra.errors import ConfigError
from infra.estate import Estate, plan_estate
from infra.findings import Finding, near_misses
from infra.rules import all_findings
from infra.rules.live import EVERY_RULE
from infra.schema_findings import (
    ABSENT_SECRET,
    MISSING_KEY,
    UNKNOWN_KEY,
    WRONG_VALUE,
    Location,
    describe,
    refused_parts,
)
from infra.sources import STACK_FILE_KEYS, decode_engine_config, meant_namespace


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

    def deployable(self, *, deploying: bool = False) -> Estate:
        """The plan.

        Args:
            deploying: Whether it is about to be deployed, which errors are then said to stop.

        Raises:
            ConfigError: Some finding is an error.
        """
        if self.estate is None or any(finding.is_error for finding in self.findings):
            raise ConfigError(self.stack, self.findings, deploying=deploying)
        return self.estate


def plan_stack(
    stack: str,
    raw: Mapping[str, Any],
    *,
    root: Path,
    today: date | None = None,
    secrets: AbstractSet[str] | None = None,
    stray: Collection[str] = (),
) -> PlannedStack:
    """Plans a stack from its raw config and judges it by every rule.

    Args:
        stack: The stack's name.
        raw: Config by key without the namespace; values as YAML or JSON has them.
        root: The project root, which formula files are relative to.
        today: The day that retirements are judged on; now when absent.
        secrets: Names that `hpc-secrets` has in the stack's file; None where that is for
            the engine to find.
        stray: Keys beside `config:` in the stack's file that nobody reads.
    """
    foreign = {key: meant for key in raw if (meant := meant_namespace(key))}
    config, findings = _validate({key: raw[key] for key in raw if key not in foreign})
    findings += [
        Finding(
            path=key,
            code=UNKNOWN_KEY,
            severity="warning",
            message=f"the program reads no such namespace{meant}",
        )
        for key, meant in foreign.items()
    ]
    # A key that is only in the wrong place is told of there.
    elsewhere = set(decode_engine_config(dict.fromkeys(stray)))
    findings = [one for one in findings if one.code != MISSING_KEY or one.path not in elsewhere]
    findings += [_stray_key(key) for key in stray]
    if config is None:
        return PlannedStack(stack=stack, estate=None, findings=_ordered(findings))
    estate = plan_estate(stack, config, root=root, today=today or date.today())  # noqa: DTZ011 - a retirement's day is the reader's own
    # An unknown key is as if it were not there, and all around it is judged; only of the
    # mapping that lacks what the key was meant to be nobody can say whether it is whole.
    set_aside = {finding.path for finding in findings if finding.code != UNKNOWN_KEY}
    lacking = {finding.path.rpartition(".")[0] for finding in findings}
    findings += [
        finding
        for finding in judge(estate)
        if finding.path not in lacking and not _concerns(finding.path, set_aside)
    ]
    if secrets is not None:
        findings += _absent_secrets(stack, estate, secrets)
    broken = any(finding.code.startswith("CFG") and finding.is_error for finding in findings)
    return PlannedStack(
        stack=stack, estate=None if broken else estate, findings=_ordered(findings)
    )


def judge(estate: Estate) -> list[Finding]:
    """Every rule over an estate; what `ignore` names is silenced with its reason."""
    findings = list(all_findings(estate))
    codes = sorted(rule.code for rule in EVERY_RULE)
    findings += [
        Finding(
            path=f"ignore.{code}",
            code=WRONG_VALUE,
            severity="error",
            message=f"there is no such rule{near_misses(code, codes)} "
            "(`python -m infra rules` lists them)",
        )
        for code in estate.config.ignore
        if code not in codes
    ]
    return findings


def _stray_key(key: str) -> Finding:
    if ":" in key or key in StackConfig.model_fields:
        message = "it stands beside `config:`, where nobody reads it; indent it to be below that"
    else:
        close = near_misses(key, STACK_FILE_KEYS)
        known = close or f"; there are {', '.join(STACK_FILE_KEYS)}"
        message = f"Pulumi knows no such key of a stack file{known}"
    return Finding(path=key, code=UNKNOWN_KEY, severity="error", message=message)


def _absent_secrets(stack: str, estate: Estate, secrets: AbstractSet[str]) -> list[Finding]:
    """What a deployment would only find out when it asks for the secret."""
    return [
        Finding(
            path=pool.path,
            code=ABSENT_SECRET,
            severity="error",
            message=f"the stack has no secret {SECRETS_NAMESPACE}:{name}"
            f"{near_misses(name, secrets)}; write it with "
            f"`pulumi config set --secret {SECRETS_NAMESPACE}:{name} -s {stack}`",
        )
        for pool in estate.pools
        for name in sorted(pool.equipment.secret_names() - secrets)
    ]


def _validate(raw: Mapping[str, Any]) -> tuple[StackConfig | None, list[Finding]]:
    """The config without what is wrong in it, or None when too little is left, and what is."""
    findings: list[Finding] = []
    remaining: Any = raw
    while True:
        try:
            return StackConfig.model_validate(remaining), findings
        except ValidationError as error:
            # What is missing in later rounds was set aside here, and told of already.
            findings = findings or describe(error)
            refused = refused_parts(error, remaining)
        if () in refused:
            return None, findings
        remaining = _without(remaining, refused)


def _without(value: Any, refused: AbstractSet[Location], at: Location = ()) -> Any:
    if not any(location[: len(at)] == at for location in refused):
        return value
    if isinstance(value, Mapping):
        return {
            key: _without(item, refused, (*at, key))
            for key, item in value.items()
            if (*at, key) not in refused
        }
    return [
        _without(item, refused, (*at, index))
        for index, item in enumerate(value)
        if (*at, index) not in refused
    ]


def _concerns(path: str, set_aside: set[str]) -> bool:
    """Whether a rule's finding is about a part that was set aside, or replaced by a default."""
    return any(
        path.split(".")[: 2 if other.startswith("pools.") else 1]
        == other.split(".")[: 2 if other.startswith("pools.") else 1]
        for other in set_aside
    )


def _ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: (finding.path, finding.code)))
