"""The syntax tree of a formula, and its printer.

Nodes are frozen and compare by what they say, not by where they stand. Operators of one
precedence in a row are one `Chain`, left to right, so the depth of a tree is the nesting
of its parentheses, calls and conditions, and a sum of a thousand terms is still flat.
Parentheses leave no trace in the tree; `render` writes those that are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from autoscale.source import Position, Span, position

# Levels of binary operators, loosest first (language reference, section 2).
PRECEDENCE = {
    "||": 1,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A literal; every number is a double."""

    value: float
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class String:
    """A literal, without its quotes."""

    value: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A variable, a constant, or a word such as `taskcompletion`."""

    name: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary:
    """`-x` or `!x`."""

    operator: str
    operand: Expression
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """An operator of a chain and what stands right of it."""

    operator: str
    operand: Expression
    operator_span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """`first op operand op operand ...`, all of one precedence, from left to right."""

    first: Expression
    rest: tuple[Term, ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional:
    """`condition ? then : otherwise`; only the chosen side is evaluated."""

    condition: Expression
    then: Expression
    otherwise: Expression
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`function(arguments)`; `parenthesis` is where the service points at."""

    function: str
    arguments: tuple[Expression, ...]
    parenthesis: Span = field(compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """`receiver.name`, such as `time().hour`."""

    receiver: Expression
    name: str
    name_span: Span = field(compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCall:
    """`receiver.method(arguments)`, such as `$PendingTasks.GetSample(1)`."""

    receiver: Expression
    method: str
    arguments: tuple[Expression, ...]
    name_span: Span = field(compare=False)
    parenthesis: Span = field(compare=False)
    span: Span = field(compare=False)


Expression = Number | String | Name | Unary | Chain | Conditional | Call | Member | MethodCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """`target = value;`."""

    target: Name
    value: Expression
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """`stop();`: what is assigned so far stays, the rest is not evaluated."""

    span: Span = field(compare=False)


Statement = Assignment | Stop


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Formula:
    """A formula that parses. Two are the same only as objects; compare `statements`."""

    text: str
    statements: tuple[Statement, ...]

    def position(self, offset: int) -> Position:
        """The line and column of a character."""
        return position(self.text, offset)

    def piece(self, span: Span) -> str:
        """The text of a span."""
        return self.text[span.start : span.end]


def children(node: Expression) -> tuple[Expression, ...]:  # noqa: PLR0911 - a case a node
    """The expressions directly below an expression, in the order of the text."""
    match node:
        case Unary():
            return (node.operand,)
        case Chain():
            return (node.first, *(term.operand for term in node.rest))
        case Conditional():
            return (node.condition, node.then, node.otherwise)
        case Call():
            return node.arguments
        case Member():
            return (node.receiver,)
        case MethodCall():
            return (node.receiver, *node.arguments)
    return ()


def walk(node: Expression) -> Iterator[Expression]:
    """An expression and everything below it; parents first, in the order of the text."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(children(current)))


def render(formula: Formula) -> str:
    """The formula's text in one style: a statement a line, each with its semicolon."""
    return "".join(f"{render_statement(statement)}\n" for statement in formula.statements)


def render_statement(statement: Statement) -> str:
    """A statement with its semicolon."""
    if isinstance(statement, Stop):
        return "stop();"
    return f"{statement.target.name} = {render_expression(statement.value)};"


def render_expression(node: Expression) -> str:  # noqa: C901, PLR0911 - a case a node
    """An expression with the fewest parentheses that keep its meaning."""
    match node:
        case Number():
            return render_number(node.value)
        case String():
            return f'"{node.value}"'
        case Name():
            return node.name
        case Unary():
            return f"{node.operator}{_wrapped(node.operand, Chain, Conditional)}"
        case Chain():
            level = PRECEDENCE[node.rest[0].operator]
            parts = [_operand(node.first, level)]
            for term in node.rest:
                parts += (term.operator, _operand(term.operand, level))
            return " ".join(parts)
        case Conditional():
            sides = (node.condition, node.then, node.otherwise)
            return "{} ? {} : {}".format(*(_wrapped(side, Conditional) for side in sides))
        case Call():
            return f"{node.function}({_arguments(node.arguments)})"
        case Member():
            return f"{_receiver(node.receiver)}.{node.name}"
        case MethodCall():
            return f"{_receiver(node.receiver)}.{node.method}({_arguments(node.arguments)})"


def render_number(value: float) -> str:
    """The shortest literal that reads back as the same double; there are no exponents."""
    whole = format(Decimal(repr(value)), "f")
    return whole.removesuffix(".0")


def _operand(node: Expression, level: int) -> str:
    tight = isinstance(node, Chain) and PRECEDENCE[node.rest[0].operator] > level
    text = render_expression(node)
    return text if tight or not isinstance(node, Chain | Conditional) else f"({text})"


def _receiver(node: Expression) -> str:
    return _wrapped(node, Number, String, Unary, Chain, Conditional)


def _wrapped(node: Expression, *kinds: type) -> str:
    text = render_expression(node)
    return f"({text})" if isinstance(node, kinds) else text


def _arguments(nodes: tuple[Expression, ...]) -> str:
    return ", ".join(map(render_expression, nodes))
