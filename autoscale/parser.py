"""The parser: recursive descent, one function a rule, its docstring the rule.

It never stops at the first problem: behind one it goes on after the next semicolon. Only
what the grammar says is checked here; names and types are `autoscale.inference`'s work.
Binary operators are sorted on a stack instead of by recursion, and nesting has a limit, so
that no text, however hostile, meets the interpreter's own limit.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import replace
from typing import NoReturn

from autoscale.errors import ErrorCode, FormulaError, Problem
from autoscale.language import FUNCTIONS, MAX_CHARACTERS, MAX_STATEMENTS, SERVICE_VARIABLES
from autoscale.source import Span, quoted
from autoscale.syntax import (
    PRECEDENCE,
    Assignment,
    Call,
    Chain,
    Conditional,
    Expression,
    Formula,
    Member,
    MethodCall,
    Name,
    Number,
    Statement,
    Stop,
    String,
    Term,
    Unary,
    children,
)
from autoscale.tokens import Kind, Token, tokenize

# The service's own limit is not published; a condition for each hour of a week fits. A
# call counts as two levels.
MAX_NESTING = 200
# More than this many problems are a text of another kind, not a formula with mistakes.
MAX_PROBLEMS = 25

_WORDS = {"and": "'&&'", "or": "'||'", "not": "'!'"}
_FOREIGN = {"if", "else", "for", "while", "return", "var", "let", "def", "function"}


def parse(text: str) -> Formula:
    """The syntax tree of a formula.

    Raises:
        FormulaError: with every problem found, by place. Its code is `TOO_LONG` for more
            than 8192 characters, and `SYNTAX` for all else, more than 100 statements
            included.
    """
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(text, (_too_long(text),), code=ErrorCode.TOO_LONG)
    tokens, problems = tokenize(text)
    parser = _Parser(text, tokens, problems)
    try:
        statements = parser.formula()
    except RecursionError:
        # The caller's own stack was nearly full; the limit on nesting could not help.
        statements = ()
        problems.append(_too_deep(Span(start=0, end=0)))
    if problems:
        ordered = sorted(problems, key=lambda problem: problem.span.start)[:MAX_PROBLEMS]
        raise FormulaError(text, tuple(ordered), code=ErrorCode.SYNTAX)
    return Formula(text=text, statements=statements)


class _Abandoned(Exception):  # noqa: N818 - control flow inside this module, not an error
    """The statement at hand has a problem; go on behind it."""


class _Parser:
    def __init__(self, text: str, tokens: list[Token], problems: list[Problem]) -> None:
        self.text = text
        self.tokens = tokens
        self.problems = problems
        self.index = 0
        self.nesting = 0
        self.deepest = 0

    def formula(self) -> tuple[Statement, ...]:
        """Formula := { ';' } [ statement { ';' { ';' } statement } { ';' } ]."""
        statements: list[Statement] = []
        while self.here.kind is not Kind.END:
            if self.took(";"):
                continue
            try:
                statements.append(self.statement())
            except _Abandoned:
                self.recover()
            if len(statements) > MAX_STATEMENTS:
                self.problems.append(_too_many(statements[-1].span))
                break
        return tuple(statements)

    def statement(self) -> Statement:
        """Statement := identifier '=' expression | 'stop' '(' ')'."""
        start, self.nesting, self.deepest = self.here, 0, 0
        if start.kind is Kind.NAME and self.peek("="):
            self.index += 2
            value = self.expression()
            self.limit_height(value)
            self.end_of_statement()
            target = Name(name=start.text, span=start.span)
            return Assignment(target=target, value=value, span=_join(start.span, value.span))
        if start.kind is Kind.NAME and start.text in _FOREIGN:
            self.fail(
                f"the language has no '{start.text}'",
                expected="an assignment; a choice is written  x = condition ? this : that",
            )
        if start.kind is Kind.OPERATOR and start.text != "(" and start.text not in "-!":
            self.fail(f"a statement cannot begin with '{start.text}'", expected="name = value")
        value = self.expression()
        if isinstance(value, Call) and value.function == "stop" and not value.arguments:
            self.end_of_statement()
            return Stop(span=value.span)
        raise self.bare(value)

    def expression(self) -> Expression:
        """Expression := operation [ '?' expression ':' expression ]."""
        self.nesting += 1
        self.deepest = max(self.deepest, self.nesting)
        if self.nesting > MAX_NESTING:
            self.problems.append(_too_deep(self.here.span))
            raise _Abandoned
        # Conditions follow each other in a loop: a long `a ? x : b ? y : ...` is common.
        cases: list[tuple[Expression, Expression]] = []
        value = self.operation()
        while self.took("?"):
            then = self.expression()
            self.expect(":", "':' and the other value")
            cases.append((value, then))
            value = self.operation()
        self.deepest = max(self.deepest, self.nesting + len(cases))
        for condition, then in reversed(cases):
            span = _join(condition.span, value.span)
            value = Conditional(condition=condition, then=then, otherwise=value, span=span)
        self.nesting -= 1
        return value

    def operation(self) -> Expression:
        """Operation := operand { operator operand }, by the operators' precedence."""
        values = [self.operand()]
        operators: list[Token] = []
        while operator := self.took_binary():
            level = PRECEDENCE[operator.text]
            while operators and PRECEDENCE[operators[-1].text] > level:
                _reduce(values, operators)
            operators.append(operator)
            values.append(self.operand())
        while operators:
            _reduce(values, operators)
        return values[0]

    def operand(self) -> Expression:
        """Operand := { '-' | '!' } primary { '.' identifier [ '(' arguments ')' ] }."""
        signs: list[Token] = []
        while self.here.kind is Kind.OPERATOR and self.here.text in {"-", "!"}:
            signs.append(self.here)
            self.index += 1
        value = self.primary()
        links = 0
        while self.took("."):
            links += 1
            value = self.member(value)
        self.deepest = max(self.deepest, self.nesting + len(signs) + links)
        for sign in reversed(signs):
            span = _join(sign.span, value.span)
            value = Unary(operator=sign.text, operand=value, span=span)
        return value

    def member(self, receiver: Expression) -> Expression:
        """Member := identifier [ '(' arguments ')' ], behind a point."""
        name = self.here
        if name.kind is not Kind.NAME:
            self.fail("nothing follows the point", expected="a method or member, as in .hour")
        self.index += 1
        if not self.here_is("("):
            span = _join(receiver.span, name.span)
            return Member(receiver=receiver, name=name.text, name_span=name.span, span=span)
        parenthesis = self.here.span
        arguments, close = self.arguments()
        return MethodCall(
            receiver=receiver,
            method=name.text,
            arguments=arguments,
            name_span=name.span,
            parenthesis=parenthesis,
            span=_join(receiver.span, close),
        )

    def primary(self) -> Expression:
        """Primary := number | string | identifier [ '(' arguments ')' ] | '(' expression ')'."""
        token = self.here
        if token.kind is Kind.NUMBER:
            self.index += 1
            return self.number(token)
        if token.kind is Kind.STRING:
            self.index += 1
            return String(value=token.text, span=token.span)
        if token.kind is Kind.NAME:
            self.index += 1
            if not self.here_is("("):
                return Name(name=token.text, span=token.span)
            parenthesis = self.here.span
            arguments, close = self.arguments()
            return Call(
                function=token.text,
                arguments=arguments,
                parenthesis=parenthesis,
                span=_join(token.span, close),
            )
        if self.took("("):
            value = self.expression()
            close = self.here.span
            self.expect(")", "an operator or ')'")
            return replace(value, span=_join(token.span, close))
        raise self.no_value()

    def arguments(self) -> tuple[tuple[Expression, ...], Span]:
        """Arguments := '(' [ expression { ',' expression } ] ')'; also where ')' stands."""
        self.expect("(", "'('")
        # A call takes twice the interpreter's stack of a parenthesis, and counts so.
        self.nesting += 1
        found: list[Expression] = []
        if not self.here_is(")"):
            found.append(self.expression())
            while self.took(","):
                found.append(self.expression())
        close = self.here.span
        self.expect(")", "',' or ')'")
        self.nesting -= 1
        return tuple(found), close

    def number(self, token: Token) -> Number:
        """A literal that is too large for a double would change its meaning silently."""
        value = float(token.text)
        if math.isinf(value):
            self.problem("the number is larger than a double can be", token.span)
        return Number(value=value, span=token.span)

    @property
    def here(self) -> Token:
        return self.tokens[self.index]

    def here_is(self, operator: str) -> bool:
        return self.here.kind is Kind.OPERATOR and self.here.text == operator

    def peek(self, operator: str) -> bool:
        after = self.tokens[self.index + 1]
        return after.kind is Kind.OPERATOR and after.text == operator

    def took(self, operator: str) -> bool:
        if self.here_is(operator):
            self.index += 1
            return True
        return False

    def took_binary(self) -> Token | None:
        token = self.here
        if token.kind is Kind.OPERATOR and token.text in PRECEDENCE:
            self.index += 1
            return token
        return None

    def expect(self, operator: str, expected: str) -> None:
        if not self.took(operator):
            self.fail(f"{self.what()} stands where it cannot", expected=expected)

    def end_of_statement(self) -> None:
        if self.here.kind is Kind.END or self.took(";"):
            return
        before, token = self.tokens[self.index - 1], self.here
        if self.here_is("="):
            self.fail("'=' inside an expression", guess="'=='")
        if token.kind is Kind.NAME and token.text in _WORDS:
            self.fail(f"the language has no '{token.text}'", guess=_WORDS[token.text])
        starts = token.kind is Kind.NAME and (self.peek("=") or self.peek("("))
        if starts and self.text.find("\n", before.span.end, token.span.start) >= 0:
            end = before.span.end
            self.problem(
                "a statement ends without a semicolon",
                Span(start=end, end=end),
                expected="';' before the next statement",
            )
            return
        self.fail(
            f"{self.what()} stands behind the statement's end", expected="an operator or ';'"
        )

    def bare(self, value: Expression) -> _Abandoned:
        guess = expected = service = None
        if self.here.kind is Kind.STRANGE:
            return _Abandoned()
        if isinstance(value, Name):
            if value.name not in SERVICE_VARIABLES:
                service = f"Undefined symbol: {value.name}"
            expected = f"{value.name} = something"
        elif isinstance(value, Call) and value.function not in FUNCTIONS:
            close = difflib.get_close_matches(value.function, FUNCTIONS, n=1)
            guess = f"'{close[0]}'" if close else None
        else:
            expected = "name = value"
        self.problems.append(
            Problem(
                rule="AS003",
                span=value.span,
                message="a value that is assigned to nothing is not a statement",
                expected=expected,
                guess=guess,
                service_text=service,
            )
        )
        return _Abandoned()

    def no_value(self) -> _Abandoned:
        token, before = self.here, self.tokens[max(0, self.index - 1)]
        if token.text == "=" and before.text in {"+", "-", "*", "/"}:
            expected = f"x = x {before.text} 1: there are no combined assignments"
            return self.failure("'=' follows an operator", expected, None)
        if token.text == before.text == "+":
            return self.failure("there is no '++'", "x = x + 1", None)
        guess = "'=='" if token.text == before.text == "=" else None
        return self.failure(f"{self.what()} stands where a value should", "a value", guess)

    def what(self) -> str:
        if self.here.kind is Kind.END:
            return "the end of the formula"
        return quoted(self.text[self.here.span.start : self.here.span.end])

    def fail(
        self, message: str, *, expected: str | None = None, guess: str | None = None
    ) -> NoReturn:
        raise self.failure(message, expected, guess)

    def failure(self, message: str, expected: str | None, guess: str | None) -> _Abandoned:
        if self.here.kind is not Kind.STRANGE:
            self.problem(message, self.here.span, expected=expected, guess=guess)
        return _Abandoned()

    def problem(
        self, message: str, span: Span, *, expected: str | None = None, guess: str | None = None
    ) -> None:
        self.problems.append(
            Problem(rule="AS001", span=span, message=message, expected=expected, guess=guess)
        )

    def recover(self) -> None:
        """Behind the next semicolon, everything is new."""
        while self.here.kind is not Kind.END and not self.took(";"):
            self.index += 1

    def limit_height(self, value: Expression) -> None:
        """Nested chains make a tree higher than its nesting; hold the height as well."""
        if self.deepest * len(set(PRECEDENCE.values())) <= MAX_NESTING:
            return
        level: list[Expression] = [value]
        for _ in range(MAX_NESTING + 1):
            level = [child for node in level for child in children(node)]
            if not level:
                return
        self.problems.append(_too_deep(level[0].span))
        raise _Abandoned


def _reduce(values: list[Expression], operators: list[Token]) -> None:
    """Makes one chain of the last values, as far as their operators are of one level."""
    level = PRECEDENCE[operators[-1].text]
    count = 1
    while count < len(operators) and PRECEDENCE[operators[-1 - count].text] == level:
        count += 1
    terms = tuple(
        Term(operator=operator.text, operand=value, operator_span=operator.span)
        for operator, value in zip(operators[-count:], values[-count:], strict=True)
    )
    first = values[-count - 1]
    span = _join(first.span, values[-1].span)
    del operators[-count:], values[-count - 1 :]
    values.append(Chain(first=first, rest=terms, span=span))


def _join(first: Span, last: Span) -> Span:
    return Span(start=first.start, end=last.end)


def _too_long(text: str) -> Problem:
    return Problem(
        rule="AS004",
        span=Span(start=MAX_CHARACTERS, end=len(text)),
        message=f"the formula has {len(text)} characters, the service takes {MAX_CHARACTERS}",
        expected="a shorter text; comments and blanks count",
    )


def _too_many(span: Span) -> Problem:
    return Problem(
        rule="AS005",
        span=span,
        message=f"the formula has more than {MAX_STATEMENTS} statements",
        expected="fewer statements; the service takes no more",
    )


def _too_deep(span: Span) -> Problem:
    return Problem(
        rule="AS006",
        span=span,
        message=f"the expression is nested deeper than {MAX_NESTING} levels",
        expected="intermediate variables",
    )
