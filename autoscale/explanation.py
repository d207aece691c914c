"""Explains an evaluation: the value of every sub-expression, as an annotated listing.

The formula is evaluated as always, with every value noted on the way. What was not
evaluated (the other branch of a condition, the right side that `&&` did not need, what
follows a failure) says so, because that is often why a target is what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from autoscale.compiler import observing
from autoscale.evaluation import Evaluation, Targets, execute
from autoscale.language import (
    ALIASES,
    DEALLOCATION,
    DEALLOCATION_WORDS,
    INTERVAL_CONSTANTS,
    TARGETS,
)
from autoscale.parser import parse
from autoscale.run import Observed, Run, Samples
from autoscale.semantics import DEFAULT_SEMANTICS, Semantics
from autoscale.source import printable
from autoscale.syntax import (
    Assignment,
    Chain,
    Expression,
    Formula,
    MethodCall,
    Name,
    Number,
    Statement,
    String,
    children,
    render_expression,
    render_statement,
)
from autoscale.values import Interval, Timestamp, Value, format_value

_WIDTH = 50
_MOST_ITEMS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One sub-expression.

    Attributes:
        depth: How deep it stands in its statement, 1 for an operand of the outermost.
        text: The sub-expression.
        value: What it came to; None where it was not evaluated.
        note: How many samples there were, or why there is no value.
    """

    depth: int
    text: str
    value: str | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One statement.

    Attributes:
        line: Where it begins in the text, from 1.
        text: The statement.
        value: What was assigned; None when it was not reached or failed.
        details: Its sub-expressions that are not plain numbers, outermost first.
    """

    line: int
    text: str
    value: str | None
    note: str
    details: tuple[Detail, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An evaluation and how it came about."""

    now: datetime
    before: Targets
    evaluation: Evaluation
    lines: tuple[Line, ...]

    def render(self) -> str:
        """The listing, for a terminal of 80 columns as far as the formula allows."""
        before = self.before
        parts = [
            f"at {self.now:%Y-%m-%d %H:%M:%S} UTC, {self.now:%A}",
            f"before: {before.dedicated:g} dedicated, {before.low_priority:g} spot nodes",
            "",
        ]
        for line in self.lines:
            parts.append(f"{line.line:3} | {printable(line.text)}")
            parts += [_row(detail) for detail in line.details]
            outcome = line.value if line.value is not None else line.note
            note = f"    {line.note}" if line.note and line.value is not None else ""
            parts.append(f"    |   {'= ' if line.value is not None else ''}{outcome}{note}")
        parts += ["", *self._outcome()]
        return "\n".join(parts) + "\n"

    def _outcome(self) -> Iterator[str]:
        after = self.evaluation.targets
        error = self.evaluation.error
        if error is not None:
            yield f"failed: {error.code}"
            yield from (printable(detail.value) for detail in error.values)
            yield "The pool stays as it is."
            return
        yield f"dedicated nodes: {_applied(after.dedicated, after.dedicated_nodes)}"
        yield f"spot nodes: {_applied(after.low_priority, after.low_priority_nodes)}"
        yield f"nodes that leave: {self.evaluation.node_deallocation_option}"


def _applied(raw: float, nodes: int) -> str:
    return str(nodes) if raw == nodes else f"{nodes} (the formula says {format_value(raw)})"


def _row(detail: Detail) -> str:
    text = printable("  " * (detail.depth - 1) + detail.text)
    if len(text) > _WIDTH:
        text = f"{text[: _WIDTH - 3]}..."
    value = "" if detail.value is None else f"= {detail.value}"
    return f"    |   {text:{_WIDTH}} {value}{'  ' * bool(value)}{detail.note}".rstrip()


def explain(
    formula: str | Formula,
    *,
    samples: Samples,
    now: datetime,
    targets: Targets,
    task_slots_per_node: int = 1,
    semantics: Semantics = DEFAULT_SEMANTICS,
) -> Explanation:
    """The evaluation of a formula with the value of every sub-expression.

    Takes what `evaluate` takes.

    Raises:
        FormulaError: the text does not parse; there is nothing to explain then.
        ValueError: `now` has no time zone.
    """
    if isinstance(formula, str):
        formula = parse(formula)
    moment = Timestamp.of(now).moment
    observed = Observed()
    run = Run(
        samples,
        now,
        semantics,
        dedicated=targets.dedicated,
        low_priority=targets.low_priority,
        task_slots_per_node=task_slots_per_node,
        observed=observed,
    )
    evaluation = execute(formula, observing(formula), run, targets)
    writer = _Writer(formula, observed)
    return Explanation(
        now=moment,
        before=targets,
        evaluation=evaluation,
        lines=tuple(map(writer.line, formula.statements)),
    )


class _Writer:
    def __init__(self, formula: Formula, observed: Observed) -> None:
        self.formula = formula
        self.observed = observed
        self.ended = False

    def line(self, statement: Statement) -> Line:
        text = render_statement(statement)
        value, note, details = None, "not reached", tuple[Detail, ...]()
        if not self.ended and isinstance(statement, Assignment):
            value, note = self.outcome(statement)
            details = tuple(self.below(statement.value, 1))
        elif not self.ended:
            note = "ends here"
        self.ended = self.ended or value is None
        where = self.formula.position(statement.span.start)
        return Line(line=where.line, text=text, value=value, note=note, details=details)

    def outcome(self, statement: Assignment) -> tuple[str | None, str]:
        """The value that a statement assigned, and what is to be said about it."""
        name, node = statement.target.name, statement.value
        if name == DEALLOCATION and isinstance(node, Name) and node.name in DEALLOCATION_WORDS:
            return node.name, DEALLOCATION_WORDS[node.name]
        value = self.observed.values.get(id(node))
        if value is None:
            return None, "fails" if id(node) in self.observed.entered else "cannot be assigned"
        if ALIASES.get(name, name) in TARGETS and isinstance(value, float):
            nodes = Targets(dedicated=value).dedicated_nodes
            return _short(value), "" if value == nodes else f"applied as {nodes}"
        return _short(value), ""

    def below(self, node: Expression, depth: int) -> Iterator[Detail]:
        """The sub-expressions of an expression that are not plain literals."""
        if isinstance(node, Chain) and len(node.rest) > 1:
            yield from self.steps(node, depth)
            return
        for child in children(node):
            if not (isinstance(node, MethodCall) and child is node.receiver):
                yield from self.detail(child, depth)

    def steps(self, node: Chain, depth: int) -> Iterator[Detail]:
        """`a - b + c`: first `a - b`, then `a` and `b` below it, then `c`.

        A loop and no recursion: a chain can have thousands of operands.
        """
        depths = [depth]
        for count in range(len(node.rest) - 1, 0, -1):
            value = self.observed.values.get(id(node.rest[count - 1]))
            if value is not None:
                shorter = Chain(first=node.first, rest=node.rest[:count], span=node.span)
                text = render_expression(shorter)
                yield Detail(depth=depths[-1], text=text, value=_short(value))
            depths.append(depths[-1] + (value is not None))
        yield from self.detail(node.first, depths[-1])
        for term in node.rest:
            yield from self.detail(term.operand, depths.pop())

    def detail(self, node: Expression, depth: int) -> Iterator[Detail]:
        if isinstance(node, Number | String):
            return
        if isinstance(node, Name) and node.name in INTERVAL_CONSTANTS:
            return
        key, text = id(node), render_expression(node)
        value = self.observed.values.get(key)
        note = self.observed.windows.get(key, "")
        if value is not None:
            yield Detail(depth=depth, text=text, value=_short(value), note=note)
        elif key not in self.observed.entered:
            yield Detail(depth=depth, text=text, value=None, note="not evaluated")
            return
        else:
            yield Detail(depth=depth, text=text, value=None, note=f"fails{note and ': '}{note}")
        yield from self.below(node, depth + 1)


def _short(value: Value) -> str:
    if isinstance(value, tuple) and len(value) > _MOST_ITEMS:
        first = ",".join(f"{item:g}" for item in value[: _MOST_ITEMS - 1])
        return f"[{first},...,{value[-1]:g}] ({len(value)} values)"
    if isinstance(value, Interval | Timestamp):
        return str(value)
    return format_value(value)
