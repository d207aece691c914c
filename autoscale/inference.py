"""Names and types: what the service would refuse at an evaluation, found before it.

The language has no loops and no conditional statements, so one pass from top to bottom
knows the type of every variable at every place. Branches of a condition may differ in
type; then an expression has several, and an operator is wrong when none of them fits. A
name that is nowhere set counts as every type, so that one mistake is reported once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from autoscale.language import (
    ALIASES,
    ANY,
    DEALLOCATION,
    DEALLOCATION_WORDS,
    FUNCTIONS,
    INTERVAL_CONSTANTS,
    INVENTED,
    LENIENT_OPERATIONS,
    LIST,
    METHODS,
    OPERATIONS,
    SAMPLED,
    SERVICE_VARIABLES,
    TARGETS,
    TIMESTAMP_MEMBERS,
    UNARY_OPERATIONS,
    Signature,
    Type,
)
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
from autoscale.values import parse_time

_MOST_GUESSES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A rule that a place breaks, before it is made a finding."""

    rule: str
    span: Span
    message: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """The type of every expression, by `id` of its node, and what is wrong."""

    types: dict[int, Type] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        """Whether an evaluation that gets there fails for certain."""
        return any(report.rule < "AS100" for report in self.reports)


def infer(formula: Formula) -> Inference:
    """Types of a formula's expressions, and every name and type that cannot be."""
    checker = _Checker(formula)
    for statement in formula.statements:
        if isinstance(statement, Assignment):
            checker.assign(statement)
    return checker.inference


class _Checker:
    def __init__(self, formula: Formula) -> None:
        self.inference = Inference()
        self.guesses = 0
        self.known: dict[str, Type] = dict.fromkeys(TARGETS, Type.DOUBLE)
        self.known.update(dict.fromkeys(ALIASES, Type.DOUBLE))
        self.known[DEALLOCATION] = Type.STRING
        self.set_anywhere = {
            statement.target.name
            for statement in formula.statements
            if isinstance(statement, Assignment)
        }

    def assign(self, statement: Assignment) -> None:
        name, span = statement.target.name, statement.target.span
        if name in SAMPLED:
            self.report("AS011", span, f"{name} is read-only: the service sets it")
        elif name in INTERVAL_CONSTANTS or name in DEALLOCATION_WORDS:
            self.report("AS011", span, f"{name} is a word of the language, not a variable")
        if name == DEALLOCATION:
            self.deallocation(statement.value)
            return
        kind = self.infer(statement.value)
        if name in TARGETS or name in ALIASES:
            if not kind & Type.DOUBLE:
                remedy = "reduce it with max(0, ...)" if kind & Type.VECTOR else None
                message = f"{name} takes a double, not a {kind}"
                self.report("AS018", statement.value.span, message, remedy)
        elif name not in SAMPLED:
            self.known[name] = kind

    def deallocation(self, value: Expression) -> None:
        if isinstance(value, Name) and value.name in DEALLOCATION_WORDS:
            return
        close = None
        if isinstance(value, Name):
            close = difflib.get_close_matches(
                value.name.lower(), DEALLOCATION_WORDS, n=1, cutoff=0.5
            )
        remedy = f"write {close[0]}" if close else None
        self.report("AS012", value.span, f"{DEALLOCATION} takes none but its four words", remedy)

    def infer(self, node: Expression) -> Type:
        kind = self.type_of(node)
        self.inference.types[id(node)] = kind
        return kind

    def type_of(self, node: Expression) -> Type:  # noqa: PLR0911 - a case a node
        match node:
            case Number():
                return Type.DOUBLE
            case String():
                return Type.STRING
            case Name():
                return self.name(node)
            case Unary():
                return self.unary(node)
            case Chain():
                return self.chain(node)
            case Conditional():
                self.condition(node.condition)
                return self.infer(node.then) | self.infer(node.otherwise)
            case Call():
                return self.call(node)
            case Member():
                return self.member(node)
            case MethodCall():
                return self.method(node)

    def name(self, node: Name) -> Type:
        if node.name in INTERVAL_CONSTANTS:
            return Type.INTERVAL
        if node.name in SAMPLED:
            return Type.DOUBLE
        kind = self.known.get(node.name)
        if kind is not None:
            return kind
        if node.name in self.set_anywhere:
            remedy = "move the statement that sets it up"
            self.report("AS010", node.span, f"{node.name} is read before it is set", remedy)
        elif node.name in DEALLOCATION_WORDS:
            remedy = f"it stands only in  {DEALLOCATION} = {node.name};"
            self.report("AS010", node.span, f"{node.name} is not a value", remedy)
        else:
            names = [*self.set_anywhere, *SERVICE_VARIABLES, *INTERVAL_CONSTANTS]
            self.report(
                "AS010",
                node.span,
                f"{node.name} is never set",
                self.limited_guess(node.name, names),
            )
        self.known[node.name] = ANY
        return ANY

    def limited_guess(self, name: str, names: Iterable[str]) -> str | None:
        """Looking for alike names takes time; behind the first few it helps nobody."""
        self.guesses += 1
        return guess(name, names) if self.guesses <= _MOST_GUESSES else None

    def unary(self, node: Unary) -> Type:
        kind = self.infer(node.operand)
        found = Type(0)
        for single in kind:
            found |= UNARY_OPERATIONS.get((node.operator, single), Type(0))
        if not found:
            self.report("AS016", node.span, f"'{node.operator}' does not take a {kind}")
            return ANY
        return found

    def chain(self, node: Chain) -> Type:
        left = self.infer(node.first)
        for term in node.rest:
            right = self.infer(term.operand)
            left = self.operation(term.operator, left, right, term.operator_span)
        return left

    def operation(self, operator: str, left: Type, right: Type, span: Span) -> Type:
        found, misfits = Type(0), 0
        for one in left:
            for other in right:
                result = OPERATIONS.get((operator, one, other))
                if result is None:
                    misfits += 1
                else:
                    found |= result
        if not found:
            message = f"'{operator}' does not take {left} and {right}"
            self.report("AS016", span, message, _mend(operator, left, right))
            return self.lenient(operator, left, right)
        if misfits and ANY not in (left, right):
            message = f"'{operator}' fails for some values: it meets {left} and {right}"
            self.report("AS129", span, message)
        return found

    def lenient(self, operator: str, left: Type, right: Type) -> Type:
        """What was meant, so that no second finding follows from the first."""
        found = Type(0)
        for one in left:
            for other in right:
                found |= LENIENT_OPERATIONS.get((operator, one, other), Type(0))
        return found or ANY

    def condition(self, node: Expression) -> None:
        kind = self.infer(node)
        if not kind & Type.DOUBLE:
            remedy = "compare max(0, ...) of it" if kind & Type.VECTOR else None
            self.report("AS017", node.span, f"a condition is a double, not a {kind}", remedy)

    def call(self, node: Call) -> Type:
        kinds = [self.infer(argument) for argument in node.arguments]
        signatures = FUNCTIONS.get(node.function)
        if signatures is None:
            message = f"there is no function {node.function}"
            span = Span(start=node.span.start, end=node.parenthesis.start)
            self.report("AS013", span, message, self.function_guess(node.function))
            return ANY
        if node.function == "time" and node.arguments and isinstance(node.arguments[0], String):
            self.time(node.arguments[0])
        return self.fit(node.function, signatures, kinds, node.arguments, node)

    def time(self, node: String) -> None:
        try:
            if node.value:
                parse_time(node.value)
        except ValueError as error:
            self.report("AS019", node.span, f"time() cannot read this: {error}")

    def function_guess(self, name: str) -> str | None:
        if name in METHODS:
            return f"call it on a service variable, as in $PendingTasks.{name}(...)"
        if name in self.known or name in SERVICE_VARIABLES:
            return "a variable cannot be called; is an operator missing before '('?"
        if name.lower() in INVENTED:
            return f"use {INVENTED[name.lower()]}"
        return self.limited_guess(name, FUNCTIONS)

    def fit(
        self,
        name: str,
        signatures: tuple[Signature, ...],
        kinds: list[Type],
        arguments: tuple[Expression, ...],
        node: Call | MethodCall,
    ) -> Type:
        """The result of the first signature that takes the arguments."""
        usage = "  or  ".join(signature.usage for signature in signatures)
        fitting = [signature for signature in signatures if signature.takes(len(kinds))]
        if not fitting:
            count = f"{len(kinds)} argument{'s' * (len(kinds) != 1)}"
            message = f"{name}() does not take {count}"
            self.report("AS014", node.span, message, f"write {usage}")
            return signatures[0].result
        for signature in fitting:
            if self.misfit(signature, kinds) is None:
                return signature.result
        place = min(self.misfit(signature, kinds) or 0 for signature in fitting)
        message = f"{name}() does not take a {kinds[place]} here"
        self.report("AS015", arguments[place].span, message, f"write {usage}")
        return fitting[0].result

    def misfit(self, signature: Signature, kinds: list[Type]) -> int | None:
        """The first argument that a signature does not take."""
        wanted: Iterable[Type] = signature.parameters
        if signature.variadic:
            wanted = [LIST] * len(kinds)
        for place, (kind, want) in enumerate(zip(kinds, wanted, strict=False)):
            if not kind & want:
                return place
        return None

    def member(self, node: Member) -> Type:
        kind = self.infer(node.receiver)
        if node.name not in TIMESTAMP_MEMBERS:
            remedy = self.limited_guess(node.name, TIMESTAMP_MEMBERS)
            if node.name in METHODS:
                remedy = f"a method is called: write {node.name}(...)"
            elif node.name in INVENTED:
                remedy = f"use {INVENTED[node.name]}"
            self.report("AS013", node.name_span, f"there is no member {node.name}", remedy)
        elif not kind & Type.TIMESTAMP:
            message = f"only a timestamp has a {node.name}; this is a {kind}"
            self.report("AS013", node.name_span, message)
        return Type.DOUBLE

    def method(self, node: MethodCall) -> Type:
        kinds = [self.infer(argument) for argument in node.arguments]
        signatures = METHODS.get(node.method)
        if signatures is None:
            remedy = self.limited_guess(node.method, METHODS)
            if node.method in INVENTED:
                remedy = f"use {INVENTED[node.method]}"
            elif node.method in TIMESTAMP_MEMBERS:
                remedy = f"a member has no parentheses: write .{node.method}"
            self.infer(node.receiver)
            message = f"there is no method {node.method}"
            self.report("AS013", node.name_span, message, remedy)
            return ANY
        if not isinstance(node.receiver, Name) or node.receiver.name not in SAMPLED:
            remedy = None
            if isinstance(node.receiver, Name):
                remedy = self.limited_guess(node.receiver.name, SAMPLED)
            else:
                self.infer(node.receiver)
            message = f"{node.method} is a method of the service's sampled variables"
            self.report("AS013", node.receiver.span, message, remedy)
        return self.fit(node.method, signatures, kinds, node.arguments, node)

    def report(self, rule: str, span: Span, message: str, remedy: str | None = None) -> None:
        self.inference.reports.append(Report(rule=rule, span=span, message=message, remedy=remedy))


def guess(name: str, names: Iterable[str], *, cutoff: float = 0.75) -> str | None:
    """The name that was probably meant, as advice; names must be alike by `cutoff`, 0 to 1."""
    by_lower: dict[str, str] = {candidate.lower(): candidate for candidate in sorted(names)}
    plain = name.lower()
    attempts: tuple[Callable[[], list[str]], ...] = (
        lambda: [plain] if plain in by_lower else [],
        lambda: [f"${plain}"] if f"${plain}" in by_lower else [],
        lambda: difflib.get_close_matches(plain, by_lower, n=1, cutoff=cutoff),
    )
    for attempt in attempts:
        if found := attempt():
            return f"did you mean {by_lower[found[0]]}?"
    return None


def _mend(operator: str, left: Type, right: Type) -> str | None:
    if (left, right) == (Type.TIMESTAMP, Type.INTERVAL) and operator == "-":
        return "write  timestamp + (-timeinterval)"
    if left == Type.DOUBLE and right == Type.VECTOR and operator in {"+", "*"}:
        return f"write the doubleVec on the left:  vector {operator} number"
    if Type.VECTOR in (left, right):
        return "reduce the samples to one number first, as in max(0, ...)"
    if left == right == Type.INTERVAL and operator == "/":
        return "compare with a multiple instead, as in  span > 3 * TimeInterval_Minute"
    return None
