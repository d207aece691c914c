"""Explanations: every value, and what was not evaluated and why."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from autoscale import FormulaError, Targets, explain
from autoscale.explanation import Explanation
from tests.autoscale.formulas import DATA

NOW = datetime(2025, 1, 6, 12, tzinfo=UTC)

FORMULA = (DATA / "explained.formula").read_text(encoding="utf-8")
LISTING = (DATA / "explained.txt").read_text(encoding="utf-8")


def explained(formula: str, samples: int = 9) -> Explanation:
    series = [(NOW.timestamp() - 30 * (samples - place), 7.0) for place in range(samples)]
    return explain(
        formula,
        samples={"$PendingTasks": series},
        now=NOW,
        targets=Targets(dedicated=1),
    )


def test_a_listing_shows_every_value() -> None:
    assert explained(FORMULA).render() == LISTING


def test_a_failure_is_shown_where_it_happened() -> None:
    listing = explained("a = 1 + max(3, missing);\nb = 2;\n").render()
    assert "max(3, missing)                                    fails" in listing
    assert "missing                                          fails" in listing
    assert "  2 | b = 2;\n    |   not reached" in listing
    assert "Line 1, Col 16: Undefined symbol: missing" in listing


def test_the_side_that_and_does_not_need_is_not_evaluated() -> None:
    listing = explained("a = 0 && missing;").render()
    assert "missing                                            not evaluated" in listing


def test_what_stop_leaves_out_is_not_reached() -> None:
    listing = explained("$TargetDedicatedNodes = 4; stop(); b = 2;").render()
    assert "stop();\n    |   ends here" in listing
    assert "b = 2;\n    |   not reached" in listing
    assert "dedicated nodes: 4" in listing


def test_a_text_that_does_not_parse_cannot_be_explained() -> None:
    with pytest.raises(FormulaError):
        explained("a = 1 +;")


def test_a_sum_of_thousands_is_explained() -> None:
    explanation = explained("a = 1; $TargetDedicatedNodes = a" + " + 1" * 1900 + ";")
    assert explanation.evaluation.targets.dedicated == 1901
    assert "dedicated nodes: 1901" in explanation.render()
