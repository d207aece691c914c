"""What Azure refuses or punishes, judged offline.

A rule is a pure function over the planned estate with an id, a severity and a source;
it yields one problem for each place that breaks it. Rules are grouped by subject, one
small module each; `RULES` has all of them and a test shows each being called.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.findings import Finding
from infra.rules import (
    account,
    applications,
    equipment,
    existing_network,
    file_systems,
    formulas,
    images,
    inbound,
    machines,
    monitoring,
    names,
    network,
    pipeline,
    pools,
    quota,
    regions,
    retirements,
    sizes,
    storage,
    tags,
)
from infra.rules.rule import Rule

MODULES = (
    account,
    applications,
    equipment,
    existing_network,
    file_systems,
    formulas,
    images,
    inbound,
    machines,
    monitoring,
    names,
    network,
    pipeline,
    pools,
    quota,
    regions,
    retirements,
    sizes,
    storage,
    tags,
)
RULES: tuple[Rule[()], ...] = tuple(
    sorted((rule for module in MODULES for rule in module.RULES), key=lambda rule: rule.code)
)


def all_findings(estate: Estate) -> Iterator[Finding]:
    """Every finding of every rule."""
    for rule in RULES:
        yield from rule.findings(estate)
