"""The policy pack: `infra.resource_rules`, enforced by the engine.

`pulumi preview --policy-pack policy` judges every resource of any program by them; errors
stop it, warnings are printed. Nothing is decided here: the rules and their texts are
`infra`'s, and this file translates them. A value that is not known in a preview is judged
when it is.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra.resource_rules import RESOURCE_RULES, ResourceRule

_LEVELS = {"error": EnforcementLevel.MANDATORY, "warning": EnforcementLevel.ADVISORY}


def policy(rule: ResourceRule) -> ResourceValidationPolicy:
    """A rule as the engine takes it."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        today = date.today()  # noqa: DTZ011 - a retirement's day is the reader's own
        for problem in rule.problems(args.resource_type, args.props, today):
            report(problem, args.urn)

    return ResourceValidationPolicy(
        name=rule.code,
        description=rule.about,
        validate=validate,
        enforcement_level=_LEVELS[rule.severity],
        url=rule.source,
    )


def main() -> None:
    """Serves the pack until the engine ends it."""
    PolicyPack(name="hpc-azure-batch", policies=[policy(rule) for rule in RESOURCE_RULES])


if __name__ == "__main__":
    main()
