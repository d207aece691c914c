"""Formulas that people run: what the check and a fresh pool make of them."""

from __future__ import annotations

from typing import Any

import pytest

from autoscale import check, parse
from autoscale.errors import FormulaError
from autoscale.syntax import render
from tests.autoscale.formulas import case_of, evaluated, load

CORPUS = load("corpus.json")
# Guarded by the age of the pool and a low percentage, which no check can know to be enough.
GUARDED_OTHERWISE = {"formula-22"}
UNGUARDED_OR_NOT = [
    entry for entry in CORPUS if entry["class"] == "valid" and entry["id"] not in GUARDED_OTHERWISE
]


def test_the_corpus_is_whole() -> None:
    assert len(CORPUS) == 58
    assert {entry["class"] for entry in CORPUS} == {"valid", "negative", "dubious"}


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry["id"])
def test_errors_are_found_in_wrong_formulas_and_in_no_other(entry: dict[str, Any]) -> None:
    findings = check(entry["formula"])
    severities = {finding.severity for finding in findings}
    assert ("error" in severities) == (entry["class"] == "negative"), findings
    if entry["class"] == "dubious":
        assert "warning" in severities


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry["id"])
def test_a_fresh_pool_answers_as_recorded(entry: dict[str, Any]) -> None:
    answer = evaluated(entry["formula"], case_of({}))
    if entry["class"] == "negative":
        assert answer.error is not None
    elif entry["empty_history"] == "evaluates":
        assert answer.error is None
    else:
        assert answer.error is not None
        assert answer.error.code == entry["empty_history"]


@pytest.mark.parametrize("entry", UNGUARDED_OR_NOT, ids=lambda entry: entry["id"])
def test_an_unguarded_call_is_found_exactly_where_a_fresh_pool_fails(
    entry: dict[str, Any],
) -> None:
    unguarded = "AS101" in {finding.id for finding in check(entry["formula"])}
    assert unguarded == (entry["empty_history"] == "InsufficientSampleData")


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry["id"])
def test_printing_keeps_the_meaning(entry: dict[str, Any]) -> None:
    try:
        formula = parse(entry["formula"])
    except FormulaError:
        assert entry["class"] == "negative"
        return
    text = render(formula)
    again = parse(text)
    assert again.statements == formula.statements
    assert render(again) == text
