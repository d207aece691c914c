"""Parsing, printing, and what the parser says about what it cannot parse."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale import FormulaError, check, parse
from autoscale.errors import ErrorCode
from autoscale.language import MAX_CHARACTERS, MAX_STATEMENTS
from autoscale.parser import MAX_NESTING
from autoscale.source import excerpt, position
from autoscale.syntax import Assignment, Chain, Formula, Number, render, render_number, walk
from tests.autoscale.programs import formulas, pieces


@given(formulas)
def test_a_program_survives_printing(formula: Formula) -> None:
    text = render(formula)
    assert parse(text).statements == formula.statements
    assert render(parse(text)) == text


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_a_number_survives_printing(value: float) -> None:
    formula = parse(f"a = {render_number(value)};")
    statement = formula.statements[0]
    assert isinstance(statement, Assignment)
    assert isinstance(statement.value, Number)
    assert statement.value.value == value


@given(pieces)
def test_a_text_parses_or_is_refused_with_a_place(text: str) -> None:
    error = refused(text)
    if error is None:
        return
    assert error.problems
    for problem in error.problems:
        assert 0 <= problem.span.start <= problem.span.end <= len(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert 1 <= error.line <= len(lines)
    assert 1 <= error.column <= len(lines[error.line - 1]) + 1
    assert str(error)


def refused(text: str) -> FormulaError | None:
    try:
        parse(text)
    except FormulaError as error:
        return error
    return None


@given(formulas)
def test_every_span_holds_its_expression(formula: Formula) -> None:
    parsed = parse(render(formula))
    for statement in parsed.statements:
        assert isinstance(statement, Assignment)
        for node in walk(statement.value):
            again = parse(f"x = {parsed.piece(node.span)};").statements[0]
            assert isinstance(again, Assignment)
            assert again.value == node


@given(st.text(st.sampled_from("ab\r\n"), max_size=20), st.integers(0, 20))
def test_positions_count_lines_as_editors_do(text: str, offset: int) -> None:
    offset = min(offset, len(text))
    if text[offset - 1 : offset + 1] == "\r\n":
        return  # between the two halves of one line end there is no place
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    where = position(text, offset)
    assert where.line == before.count("\n") + 1
    assert where.column == len(before) - (before.rfind("\n") + 1) + 1


CARET = """\
line 2, column 14: '=' inside an expression
  half = limit = 2;
               ^
did you mean '=='?"""


def test_an_error_shows_its_place() -> None:
    with pytest.raises(FormulaError) as caught:
        parse("limit = 10;\nhalf = limit = 2;\n")
    assert str(caught.value) == CARET
    assert (caught.value.line, caught.value.column) == (2, 14)
    assert caught.value.code is ErrorCode.SYNTAX


def test_a_tab_keeps_the_caret_in_place() -> None:
    text = "\ta\t= 1 +;"
    with pytest.raises(FormulaError) as caught:
        parse(text)
    line, carets = excerpt(text, caught.value.problems[0].span).split("\n")
    assert line[carets.index("^")] == ";"


def test_a_long_line_is_cut_around_the_caret() -> None:
    text = "a = " + "1 + " * 100 + "% 2" + " + 1" * 100
    with pytest.raises(FormulaError) as caught:
        parse(text)
    line, carets = excerpt(text, caught.value.problems[0].span).split("\n")
    assert len(line) <= 80
    assert line[carets.index("^")] == "%"


def test_escape_sequences_of_a_terminal_do_not_reach_it() -> None:
    for finding in check("a = \x1b[31m;\nb = '\x1b]0;x\x07';\n$\x1b = 1;"):
        text = finding.message + finding.excerpt + finding.remedy
        assert "\x1b" not in text
        assert "\x07" not in text


def test_a_sum_may_be_as_long_as_a_formula() -> None:
    text = "a=" + "1+" * 4093 + "1;"
    statement = parse(text).statements[0]
    assert isinstance(statement, Assignment)
    assert isinstance(statement.value, Chain)
    assert len(statement.value.rest) == 4093
    assert parse(render(parse(text)).replace(" ", "").strip()).statements == (statement,)


NESTED = [
    ("(", "1", ")"),
    ("-", "1", ""),
    ("!", "1", ""),
    ("max(", "1", ")"),
    ("1?", "1", ":2"),
    ("1?2:", "1", ""),
    ("1+(2*", "1", ")"),
    ("1||(2&&(3==(4<(5+(6*", "1", ")))))"),
    ("", "a", ".hour"),
    ("$PendingTasks.GetSample(", "1", ")"),
]


@pytest.mark.parametrize("parts", NESTED, ids=lambda parts: "".join(parts)[:8])
def test_nesting_has_a_limit_that_no_text_gets_around(parts: tuple[str, str, str]) -> None:
    before, middle, after = parts
    steps = max(1, before.count("("), len(before) * (before in {"-", "!"}))
    fits = (90 if before.endswith(("max(", "Sample(")) else 150) // steps
    parse(f"a = {before * fits}{middle}{after * fits};")
    most = (MAX_CHARACTERS - 10) // max(1, len(before) + len(after))
    text = f"a = {before * most}{middle}{after * most};"
    with pytest.raises(FormulaError, match=f"nested deeper than {MAX_NESTING}"):
        parse(text)
    assert "AS006" in {finding.id for finding in check(text)}


def test_a_condition_for_each_hour_of_a_week_fits() -> None:
    cases = "".join(f"h=={hour}?{hour % 3}:" for hour in range(168))
    parse(f"h = 5; a = {cases}0;")
    nested = "".join(f"(h=={hour}?{hour % 3}:" for hour in range(168))
    parse(f"h = 5; a = {nested}0{')' * 168};")


def test_a_stack_that_is_nearly_full_is_no_crash() -> None:
    text = "a = " + "(" * 150 + "1" + ")" * 150

    def deep(left: int) -> None:
        if left:
            deep(left - 1)
            return
        with pytest.raises(FormulaError, match="nested"):
            parse(text)

    frame, used = sys._getframe(), 0
    while frame.f_back:
        frame, used = frame.f_back, used + 1
    deep(sys.getrecursionlimit() - used - 120)


def test_the_length_limit_counts_every_character() -> None:
    comment = "//" + "é" * (MAX_CHARACTERS - 2)
    assert parse(comment).statements == ()
    with pytest.raises(FormulaError) as caught:
        parse(comment + "é")
    assert caught.value.code is ErrorCode.TOO_LONG
    assert [finding.id for finding in check(comment + "é")] == ["AS004"]


def test_a_hundred_statements_fit() -> None:
    assert len(parse("a=1;" * MAX_STATEMENTS).statements) == MAX_STATEMENTS
    with pytest.raises(FormulaError) as caught:
        parse("a=1;" * (MAX_STATEMENTS + 1))
    assert caught.value.code is ErrorCode.SYNTAX


@pytest.mark.parametrize("text", ["", ";", " \t\r\n", "//", "// only words", ";;;"])
def test_nothing_is_a_formula(text: str) -> None:
    assert parse(text).statements == ()
    assert [finding.id for finding in check(text)] == ["AS125"]


def test_two_formulas_are_the_same_only_as_objects() -> None:
    one, other = parse("a = 1;"), parse("a=1")
    assert one != other
    assert one.statements == other.statements
