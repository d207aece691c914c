"""The vectors that the project was given, and a file of its own that covers the language."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from autoscale import parse
from autoscale.errors import ErrorCode, FormulaError
from autoscale.language import (
    DEALLOCATION_WORDS,
    FUNCTIONS,
    INTERVAL_CONSTANTS,
    METHODS,
    OPERATIONS,
    SAMPLED,
    SERVICE_VARIABLES,
    TIMESTAMP_MEMBERS,
)
from autoscale.syntax import (
    PRECEDENCE,
    Assignment,
    Call,
    Chain,
    Expression,
    Member,
    MethodCall,
    Name,
    walk,
)
from tests.autoscale.formulas import case_of, evaluated, load

VECTORS = load("vectors.json")
COMPLIANCE = load("compliance.json")


@pytest.mark.parametrize("entry", [*VECTORS, *COMPLIANCE], ids=lambda entry: entry["id"])
def test_a_formula_gives_what_the_file_says(entry: dict[str, Any]) -> None:
    answer = evaluated(entry["formula"], case_of(entry))
    expected = entry.get("error")
    if expected is None:
        assert answer.error is None
        assert answer.results == entry["results"]
        return
    assert answer.error is not None
    assert answer.error.code == expected["code"]
    assert answer.results == entry["error_results"]
    if expected["message"] is not None:
        (detail,) = answer.error.values
        assert (detail.name, detail.value) == ("Message", expected["message"])


def test_ids_are_unique() -> None:
    ids = [entry["id"] for entry in [*VECTORS, *COMPLIANCE]]
    assert len(ids) == len(set(ids))


def words(node: Expression) -> set[str]:
    """The name or operators of a node."""
    match node:
        case Name() | Member():
            return {node.name}
        case Chain():
            return {term.operator for term in node.rest}
        case Call():
            return {node.function}
        case MethodCall():
            return {node.method}
    return set()


def used() -> set[str]:
    """Every operator and name that stands in a formula of the file that parses."""
    found: set[str] = set()
    for entry in COMPLIANCE:
        with suppress(FormulaError):
            for statement in parse(entry["formula"]).statements:
                if isinstance(statement, Assignment):
                    found.add(statement.target.name)
                    found.update(*map(words, walk(statement.value)))
    return found


def test_the_file_covers_the_language() -> None:
    language = {
        *FUNCTIONS,
        *METHODS,
        *INTERVAL_CONSTANTS,
        *SERVICE_VARIABLES,
        *SAMPLED,
        *DEALLOCATION_WORDS,
        *TIMESTAMP_MEMBERS,
        *PRECEDENCE,
        *(operator for operator, _, _ in OPERATIONS),
    }
    assert language - used() == set()


def test_the_file_covers_the_errors_of_an_evaluation() -> None:
    codes = {entry["error"]["code"] for entry in COMPLIANCE if "error" in entry}
    assert codes == {ErrorCode.EVALUATION, ErrorCode.INSUFFICIENT_SAMPLES}
