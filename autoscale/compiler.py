"""Compiles a formula to closures: parsed once, run at every evaluation.

Each node becomes one function of the run (`autoscale.closures`), and what is made of
constants a constant. With `observe`, every node's value is noted as well, for `explain`, and
nothing is folded.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from autoscale.closures import (
    LONG_CHAIN,
    PAIRS,
    Code,
    Constant,
    aggregate,
    binary,
    deallocation_word,
    failing,
    logical_not,
    long_chain,
    maths,
    minus,
    observed,
    pair,
    random_call,
    read_name,
    stopping,
    target,
    truth,
    without_effect,
)
from autoscale.functions import AGGREGATES, MATHS
from autoscale.language import (
    ALIASES,
    DEALLOCATION,
    DEALLOCATION_WORDS,
    FUNCTIONS,
    INTERVAL_CONSTANTS,
    METHODS,
    SAMPLE_PERIOD_S,
    SAMPLED,
    TARGETS,
    TICKS_PER_SECOND,
    TIMESTAMP_MEMBERS,
)
from autoscale.run import Failure, Run
from autoscale.sample_closures import get_sample, get_sample_percent, time_call
from autoscale.semantics import DEFAULT_SEMANTICS
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
    Statement,
    Stop,
    String,
    Unary,
)
from autoscale.values import Interval, Timestamp, Value, type_of

# A statement: the variable that it sets, and the code of the value.
Step = tuple[str, Code]


@lru_cache(maxsize=256)
def compiled(formula: Formula) -> tuple[Step, ...]:
    """The statements of a formula, to be run in order.

    Their code raises `Failure` or `Stopped` when it is called, never here: a formula that
    cannot work is still a formula that the service takes and then fails to evaluate.
    """
    return tuple(map(_Compiler(observe=False).statement, formula.statements))


def observing(formula: Formula) -> tuple[Step, ...]:
    """The same, with the value of every expression noted in `Run.observed`."""
    return tuple(map(_Compiler(observe=True).statement, formula.statements))


class _Compiler:
    def __init__(self, *, observe: bool) -> None:
        self.observe = observe
        self.full_names: set[str] = set()

    def statement(self, statement: Statement) -> Step:
        if isinstance(statement, Stop):
            return "", stopping
        return self.assignment(statement)

    def assignment(self, statement: Assignment) -> Step:
        name, offset = statement.target.name, statement.target.span.start
        if name in SAMPLED:
            return name, failing(offset, f"{name} is read-only")
        if name in INTERVAL_CONSTANTS or name in DEALLOCATION_WORDS:
            return name, failing(offset, f"{name} is a constant")
        if name == DEALLOCATION:
            return name, deallocation_word(statement.value)
        value = self.expression(statement.value)
        slot = ALIASES.get(name, name)
        if slot not in TARGETS:
            return name, value
        if name in ALIASES and slot in self.full_names:
            # Both are set: the full name wins, in whatever order (documented).
            return slot, without_effect(slot, value)
        self.full_names.add(name)
        return slot, target(slot, value, statement.value.span.start)

    def expression(self, node: Expression) -> Code:
        code = self.plain(node)
        return observed(code, id(node)) if self.observe else code

    def plain(self, node: Expression) -> Code:  # noqa: PLR0911 - a case a node
        match node:
            case Number() | String():
                return Constant(node.value)
            case Name():
                return read_name(node)
            case Unary():
                return self.unary(node)
            case Chain():
                return self.chain(node)
            case Conditional():
                return self.conditional(node)
            case Call():
                return self.call(node)
            case Member():
                return self.member(node)
            case MethodCall():
                return self.method(node)

    def unary(self, node: Unary) -> Code:
        operand, at = self.expression(node.operand), node.span.start
        code = logical_not(operand, at) if node.operator == "!" else minus(operand, at)
        return _folded(code, operand)

    def chain(self, node: Chain) -> Code:
        code = first = self.expression(node.first)
        parts = [(term, self.expression(term.operand)) for term in node.rest]
        if len(parts) > LONG_CHAIN:
            return _folded(long_chain(code, parts), first, *(right for _, right in parts))
        for term, right in parts:
            code = _folded(binary(term, code, right), code, right)
            if self.observe:
                code = observed(code, id(term))
        return code

    def conditional(self, node: Conditional) -> Code:
        condition = self.expression(node.condition)
        then, otherwise = self.expression(node.then), self.expression(node.otherwise)
        at = node.condition.span.start

        def choose(run: Run) -> Value:
            test = condition(run)
            if test == 1.0:
                return then(run)
            if test == 0.0:
                return otherwise(run)
            return then(run) if truth(test, at) else otherwise(run)

        return choose

    def call(self, node: Call) -> Code:  # noqa: PLR0911 - a case a kind of function
        name, at = node.function, node.span.start
        arguments = tuple(map(self.expression, node.arguments))
        signatures = FUNCTIONS.get(name)
        if signatures is None:
            return failing(at, f"Undefined function: {name}")
        if not any(signature.takes(len(arguments)) for signature in signatures):
            return failing(at, f"{name}() does not take {len(arguments)} arguments")
        if name in AGGREGATES:
            return aggregate(name, arguments, at)
        if name in MATHS:
            return maths(name, arguments, at)
        if name in PAIRS:
            return pair(name, arguments, at)
        if name == "time":
            return time_call(arguments, at)
        return random_call if name == "rand" else stopping

    def member(self, node: Member) -> Code:
        receiver, name, at = self.expression(node.receiver), node.name, node.name_span.start
        if name not in TIMESTAMP_MEMBERS:
            return failing(at, f"there is no member {name}")

        def member(run: Run) -> Value:
            value = receiver(run)
            if not isinstance(value, Timestamp):
                raise Failure(at, f"a {type_of(value)} has no {name}")
            return value.member(name)

        return member

    def method(self, node: MethodCall) -> Code:  # noqa: PLR0911 - a case a method
        name, at = node.method, node.name_span.start
        arguments = tuple(map(self.expression, node.arguments))
        signatures = METHODS.get(name)
        if signatures is None:
            return failing(at, f"there is no method {name}")
        if not isinstance(node.receiver, Name) or node.receiver.name not in SAMPLED:
            return failing(at, f"{name} is a method of service variables with samples")
        if not any(signature.takes(len(arguments)) for signature in signatures):
            return failing(at, f"{name}() does not take {len(arguments)} arguments")
        variable, point = node.receiver.name, node.parenthesis.start
        if name == "GetSample":
            return get_sample(variable, arguments, point, id(node))
        if name == "GetSamplePercent":
            return get_sample_percent(variable, arguments, point, id(node))
        if name == "Count":
            return lambda run: float(run.count(variable))
        if name == "HistoryBeginTime":
            return lambda run: run.begin(variable)
        return Constant(Interval(ticks=SAMPLE_PERIOD_S * TICKS_PER_SECOND))


def _folded(code: Code, *operands: Code) -> Code:
    """Code of constants as its value; code that fails stays, to fail when it is run."""
    if not all(isinstance(operand, Constant) for operand in operands):
        return code
    nowhere = Run({}, datetime(2000, 1, 1, tzinfo=UTC), DEFAULT_SEMANTICS)
    try:
        return Constant(code(nowhere))
    except Failure:
        return code
