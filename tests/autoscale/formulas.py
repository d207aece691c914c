"""Test data as cases, for every test of the package that reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autoscale.case import Case, read_case
from autoscale.evaluation import Evaluation, evaluate

DATA = Path(__file__).parent / "data"


def load(name: str) -> list[dict[str, Any]]:
    """The entries of a file of test data; there is at least one."""
    found: list[dict[str, Any]] = json.loads((DATA / name).read_text(encoding="utf-8"))
    assert found
    return found


def case_of(entry: dict[str, Any]) -> Case:
    """What an entry is evaluated with."""
    return read_case(json.dumps(entry))


def evaluated(formula: str, case: Case) -> Evaluation:
    """The answer to a formula in a case."""
    return evaluate(formula, samples=case.samples, now=case.now, targets=case.targets)
