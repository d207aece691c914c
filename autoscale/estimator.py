"""Estimates every expression of a formula, and reports what only estimates show.

One pass from top to bottom, as the service evaluates. Targets begin as what the formula
itself can have made of them at an evaluation before, found by passing again until nothing
grows. Reports about guards and divisors come from the last pass alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from autoscale.estimate import (
    ABOVE_ZERO,
    INFINITE,
    UNKNOWN,
    Coverage,
    Estimate,
    add,
    blended,
    divide,
    either,
    exactly,
    multiply,
    narrowed,
    subtract,
)
from autoscale.function_bounds import of_call
from autoscale.inference import Report
from autoscale.language import (
    ALIASES,
    DEFAULT_SAMPLE_PERCENT,
    INTERVAL_CONSTANTS,
    SAMPLED,
    TARGETS,
    TICKS_PER_SECOND,
    Type,
)
from autoscale.operators import COMPARISONS
from autoscale.source import Span
from autoscale.syntax import (
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
    String,
    Unary,
)

# Conditions over variables that are conditions over variables are followed this far.
_MOST_STEPS = 64
# How late a sample can be (documented: "approximately one minute to propagate").
LATE_S = 60
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_SWAPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_FAIL_WHEN_EMPTY = ("avg", "max", "min", "norm", "range")


@dataclass(slots=True, kw_only=True)
class Known:
    """What is known at one place: of names, and of sample percentages."""

    names: dict[str, Estimate]
    percents: dict[Coverage, float] = field(default_factory=dict)

    def copy(self) -> Known:
        """Knowledge that can grow in a branch without leaving it."""
        return Known(names=dict(self.names), percents=dict(self.percents))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """What becomes of the targets, and what was noticed on the way."""

    targets: dict[str, Estimate]
    reports: list[Report]


def estimated(formula: Formula, types: dict[int, Type]) -> Estimates:
    """The estimates of a formula's targets after an evaluation."""
    before = dict.fromkeys(TARGETS, exactly(0.0))
    while True:
        estimator = _Estimator(types, before)
        for statement in formula.statements:
            if isinstance(statement, Assignment):
                estimator.assign(statement)
        after = {name: estimator.known.names[name] for name in TARGETS}
        if not estimator.reads_targets:
            return Estimates(targets=after, reports=estimator.reports)
        grown = {name: _widened(before[name], after[name]) for name in TARGETS}
        if grown == before:
            return Estimates(targets=after, reports=estimator.reports)
        before = grown


def _widened(before: Estimate, after: Estimate) -> Estimate:
    """The targets of an evaluation before: what grows twice grows without end."""
    low, high = before.low, before.high
    if after.low < low:
        low = -INFINITE if low < 0 else after.low
    if after.high > high:
        high = INFINITE if high > 0 else after.high
    return Estimate(low=low, high=high)


class _Estimator:
    def __init__(self, types: dict[int, Type], before: dict[str, Estimate]) -> None:
        self.types = types
        self.seen: dict[int, Estimate] = {}
        self.budget = 0
        self.reads_targets = False
        self.reports: list[Report] = []
        self.known = Known(
            names={
                name: replace(estimate, floors=frozenset({name}), sources=frozenset({name}))
                for name, estimate in before.items()
            }
        )

    def assign(self, statement: Assignment) -> None:
        estimate = self.estimate(statement.value, self.known)
        if isinstance(statement.value, Chain | Unary):
            estimate = replace(estimate, condition=statement.value)
        name = statement.target.name
        self.known.names[ALIASES.get(name, name)] = estimate

    def estimate(self, node: Expression, known: Known) -> Estimate:
        found = self.seen[id(node)] = self.fresh(node, known)
        return found

    def fresh(self, node: Expression, known: Known) -> Estimate:  # noqa: PLR0911 - a case a node
        match node:
            case Number():
                return exactly(node.value)
            case String():
                return UNKNOWN
            case Name():
                return self.name(node, known)
            case Unary():
                return self.unary(node, known)
            case Chain():
                return self.chain(node, known)
            case Conditional():
                return self.conditional(node, known)
            case Call():
                return self.call(node, known)
            case Member():
                return self.member(node, known)
            case MethodCall():
                return self.method(node, known)

    def name(self, node: Name, known: Known) -> Estimate:
        if node.name in INTERVAL_CONSTANTS:
            return exactly(INTERVAL_CONSTANTS[node.name] / TICKS_PER_SECOND)
        if node.name in SAMPLED:
            return _samples(node.name)
        name = ALIASES.get(node.name, node.name)
        self.reads_targets = self.reads_targets or name in TARGETS
        return known.names.get(name, UNKNOWN)

    def unary(self, node: Unary, known: Known) -> Estimate:
        value = self.estimate(node.operand, known)
        if node.operator == "!":
            return replace(blended([value]), low=0.0, high=1.0)
        return blended([value], low=-value.high, high=-value.low)

    def chain(self, node: Chain, known: Known) -> Estimate:
        left = self.estimate(node.first, known)
        if node.rest[0].operator in {"&&", "||"}:
            return self.logical(node, left, known)
        for term in node.rest:
            right = self.estimate(term.operand, known)
            span = Span(start=node.first.span.start, end=term.operand.span.end)
            left = self.operation(term.operator, left, right, span, term.operand)
        return left

    def logical(self, node: Chain, left: Estimate, known: Known) -> Estimate:
        """The right side of `&&` knows that the left is true, that of `||` that it is not."""
        inner, parts, before = known.copy(), [left], node.first
        for term in node.rest:
            self.narrow(before, inner, holds=term.operator == "&&")
            parts.append(self.estimate(term.operand, inner))
            before = term.operand
        return replace(blended(parts), low=0.0, high=1.0, fraction=None)

    def operation(
        self, operator: str, left: Estimate, right: Estimate, span: Span, divisor: Expression
    ) -> Estimate:
        if operator in COMPARISONS:
            return _comparison(operator, left, right)
        if operator == "+":
            return self.moved(add(left, right), left, right)
        if operator == "-":
            difference = subtract(left, right)
            if right.literal and not left.literal:
                self.report("AS120", span, "an age since a time in the text")
            return self.moved(difference, left, right)
        if operator == "*":
            return multiply(left, right, span)
        if right.low <= 0 <= right.high:
            certain = right.constant == 0
            self.report("AS111", divisor.span, f"the divisor {'is' if certain else 'can be'} zero")
        return divide(left, right, span)

    def moved(self, result: Estimate, left: Estimate, right: Estimate) -> Estimate:
        """A timestamp moved by a constant is a local time; see rule AS114."""
        constants = (left.constant, right.constant)
        if left.shifted or right.shifted or constants != (None, None):
            return replace(result, shifted=True)
        return result

    def conditional(self, node: Conditional, known: Known) -> Estimate:
        test = self.estimate(node.condition, known)
        then_known, else_known = known.copy(), known.copy()
        self.narrow(node.condition, then_known, holds=True)
        self.narrow(node.condition, else_known, holds=False)
        then = self.estimate(node.then, then_known)
        otherwise = self.estimate(node.otherwise, else_known)
        if test.constant == 0:
            chosen = otherwise
        elif test.low > 0:
            chosen = then
        else:
            chosen = either(then, otherwise)
        return replace(chosen, sources=chosen.sources | test.sources)

    def call(self, node: Call, known: Known) -> Estimate:
        parts = [self.estimate(argument, known) for argument in node.arguments]
        name = node.function
        if name == "time":
            return Estimate(literal=bool(parts))
        if name == "rand":
            return Estimate(low=0.0, high=1.0)
        if name in _FAIL_WHEN_EMPTY and parts:
            may_be_empty = [
                part.may_be_empty and self.is_vector(argument)
                for part, argument in zip(parts, node.arguments, strict=True)
            ]
            if all(may_be_empty):
                self.report("AS107", node.span, f"{name}() fails while there is no sample")
            elif name == "min" and any(may_be_empty):
                self.report(
                    "AS130", node.span, "while there is no sample, this is the other value"
                )
        return of_call(name, parts, node.span)

    def is_vector(self, node: Expression) -> bool:
        return self.types.get(id(node)) == Type.VECTOR

    def member(self, node: Member, known: Known) -> Estimate:
        receiver = self.estimate(node.receiver, known)
        if node.name in {"hour", "weekday", "day"} and not receiver.shifted:
            self.report("AS114", node.span, f"the {node.name} is that of UTC")
        low, high = _MEMBERS.get(node.name, (0.0, INFINITE))
        return Estimate(low=low, high=high)

    def method(self, node: MethodCall, known: Known) -> Estimate:
        parts = [self.estimate(argument, known) for argument in node.arguments]
        variable = node.receiver.name if isinstance(node.receiver, Name) else ""
        samples = _samples(variable)
        if node.method == "GetSample":
            return self.get_sample(node, variable, parts, known)
        if node.method == "GetSamplePercent":
            window = _window(parts)
            coverage = frozenset({Coverage(variable=variable, seconds=window)})
            return Estimate(low=0.0, high=100.0, coverage=coverage)
        if node.method == "GetSamplePeriod":
            return exactly(30.0)
        if node.method == "Count":
            return Estimate(low=0.0, sources=samples.sources)
        return UNKNOWN

    def get_sample(
        self, node: MethodCall, variable: str, parts: list[Estimate], known: Known
    ) -> Estimate:
        samples, kinds = _samples(variable), [self.types.get(id(a)) for a in node.arguments]
        windows = [part for part, kind in zip(parts, kinds, strict=True) if kind != Type.DOUBLE]
        guards = {
            coverage: percent
            for coverage, percent in known.percents.items()
            if coverage.variable == variable
        }
        if not windows:
            return replace(samples, may_be_empty=not any(value > 0 for value in guards.values()))
        wanted: float | None = DEFAULT_SAMPLE_PERCENT
        if len(windows) < len(parts):
            wanted = parts[-1].constant
        if wanted is None:
            return samples
        seconds = _window(windows)
        if wanted > 0:
            self.guard(node, Coverage(variable=variable, seconds=seconds), wanted, guards)
        return replace(samples, may_be_empty=wanted <= 0)

    def guard(
        self, node: MethodCall, wanted: Coverage, percent: float, guards: dict[Coverage, float]
    ) -> None:
        span = node.span
        if not guards:
            text = f"nothing guards this call, which fails below {percent:g} percent of samples"
            self.report("AS101", span, text)
        else:
            fitting = [
                known
                for coverage, known in guards.items()
                if None in {coverage.seconds, wanted.seconds} or coverage.seconds == wanted.seconds
            ]
            if not fitting:
                text = "the guard looks at another period than this call"
                self.report("AS102", span, text)
            elif max(fitting) < percent:
                text = (
                    f"the guard lets {max(fitting):g} percent through,"
                    f" this call fails below {percent:g}"
                )
                self.report("AS102", span, text)
        if wanted.seconds is not None and wanted.seconds > 0:
            late = max(0.0, 100 * (wanted.seconds - LATE_S) / wanted.seconds)
            if late < percent:
                text = (
                    f"in {wanted.seconds:g} s a sample that is a minute late leaves"
                    f" {late:.0f} percent, and this call asks for {percent:g}"
                )
                self.report("AS103", span, text)

    def narrow(self, node: Expression, known: Known, *, holds: bool) -> None:
        """Adds what a condition says about names and percentages where it holds or not."""
        self.budget = _MOST_STEPS
        self.refine(node, known, holds=holds)

    def refine(self, node: Expression, known: Known, *, holds: bool) -> None:
        self.budget -= 1
        if self.budget < 0:
            return
        match node:
            case Unary(operator="!"):
                self.refine(node.operand, known, holds=not holds)
            case Name():
                self.refine_name(node, known, holds=holds)
            case MethodCall() if holds:
                _learn(node, self.seen.get(id(node), UNKNOWN), ">", exactly(0.0), known)
            case Chain():
                operator = node.rest[0].operator
                if operator in {"&&", "||"}:
                    if holds == (operator == "&&"):
                        for part in (node.first, *(term.operand for term in node.rest)):
                            self.refine(part, known, holds=holds)
                elif operator in COMPARISONS and len(node.rest) == 1:
                    symbol = operator if holds else _OPPOSITE[operator]
                    self.compare(node.first, symbol, node.rest[0].operand, known)

    def refine_name(self, node: Name, known: Known, *, holds: bool) -> None:
        estimate = known.names.get(node.name)
        if estimate is None:
            return
        if estimate.condition is not None:
            self.refine(estimate.condition, known, holds=holds)
        elif holds and estimate.low >= 0:
            known.names[node.name] = narrowed(estimate, low=ABOVE_ZERO)
        elif not holds:
            known.names[node.name] = narrowed(estimate, low=0.0, high=0.0)

    def compare(self, left: Expression, symbol: str, right: Expression, known: Known) -> None:
        # Both were estimated a moment ago, with what is known here.
        left_is, right_is = self.seen.get(id(left), UNKNOWN), self.seen.get(id(right), UNKNOWN)
        _learn(left, left_is, symbol, right_is, known)
        _learn(right, right_is, _SWAPPED[symbol], left_is, known)

    def report(self, rule: str, span: Span, message: str) -> None:
        self.reports.append(Report(rule=rule, span=span, message=message))


def _learn(node: Expression, is_now: Estimate, symbol: str, other: Estimate, known: Known) -> None:
    """`node symbol other` holds: narrow the name, note the percentage."""
    low, high = -INFINITE, INFINITE
    if symbol in {">", ">=", "=="}:
        low = other.low if symbol != ">" else math.nextafter(other.low, INFINITE)
    if symbol in {"<", "<=", "=="}:
        high = other.high if symbol != "<" else math.nextafter(other.high, -INFINITE)
    if symbol == "!=" and other.constant == 0 and is_now.low >= 0:
        low = ABOVE_ZERO
    if isinstance(node, Name) and node.name in known.names:
        known.names[node.name] = narrowed(known.names[node.name], low=low, high=high)
    if low > 0:
        for coverage in is_now.coverage:
            known.percents[coverage] = max(low, known.percents.get(coverage, 0.0))


_MEMBERS = {
    "year": (1.0, 9999.0),
    "month": (1.0, 12.0),
    "day": (1.0, 31.0),
    "weekday": (1.0, 7.0),
    "hour": (0.0, 23.0),
    "minute": (0.0, 59.0),
    "second": (0.0, 59.0),
}


def _samples(variable: str) -> Estimate:
    low = 1.0 if variable == "$TaskSlotsPerNode" else 0.0
    return Estimate(low=low, sources=frozenset({variable}))


def _window(parts: Sequence[Estimate]) -> float | None:
    """The length of a window in seconds, where its ends are constant timeintervals."""
    ends = [part.constant for part in parts]
    if not ends or any(end is None for end in ends):
        return None
    found = [end for end in ends if end is not None]
    return max(found) if len(found) == 1 else max(found) - min(found)


def _comparison(operator: str, left: Estimate, right: Estimate) -> Estimate:
    truth = Estimate(low=0.0, high=1.0, sources=left.sources | right.sources)
    one, other = left.constant, right.constant
    if one is not None and other is not None:
        return replace(truth, low=(known := float(COMPARISONS[operator](one, other))), high=known)
    return truth
