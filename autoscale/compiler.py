"""Compiles a formula to closures: parsed once, run at every evaluation.

Each node becomes one function of the run; constants are folded. Only doubles, the common
case, are handled in the closures themselves, everything else goes through the tables of
`autoscale.operators` and `autoscale.functions`. With `observe`, every node's value is
noted as well, for `explain`; constants are not folded then.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache

from autoscale.errors import ErrorCode
from autoscale.functions import AGGREGATES, MATHS, percentile, val
from autoscale.language import (
    ALIASES,
    DEALLOCATION,
    DEALLOCATION_WORDS,
    DEFAULT_SAMPLE_PERCENT,
    FUNCTIONS,
    INTERVAL_CONSTANTS,
    METHODS,
    SAMPLE_PERIOD_S,
    SAMPLED,
    TARGETS,
    TICKS_PER_SECOND,
    TIMESTAMP_MEMBERS,
)
from autoscale.operators import COMPARISONS, combine, divide, negate
from autoscale.run import Failure, Run, Stopped, Window
from autoscale.source import quoted
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
    Term,
    Unary,
)
from autoscale.values import Interval, Timestamp, Value, parse_time, type_of

Code = Callable[[Run], Value]
Step = Callable[[Run], None]


@lru_cache(maxsize=256)
def compiled(formula: Formula, *, observe: bool = False) -> tuple[Step, ...]:
    """The statements of a formula as functions, to be called in order.

    They raise `Failure` or `Stopped` when they are called, never here: a formula that
    cannot work is still a formula that the service takes and then fails to evaluate.
    """
    compiler = _Compiler(observe=observe)
    return tuple(map(compiler.statement, formula.statements))


class _Compiler:
    def __init__(self, *, observe: bool) -> None:
        self.observe = observe
        self.full_names: set[str] = set()

    def statement(self, statement: Statement) -> Step:
        if isinstance(statement, Stop):
            return _stop_step
        return self.assignment(statement)

    def assignment(self, statement: Assignment) -> Step:
        name, offset = statement.target.name, statement.target.span.start
        if name in SAMPLED:
            return _fail_step(offset, f"{name} is read-only")
        if name in INTERVAL_CONSTANTS or name in DEALLOCATION_WORDS:
            return _fail_step(offset, f"{name} is a constant")
        if name == DEALLOCATION:
            return _deallocation_step(statement.value)
        value = self.expression(statement.value)
        slot = ALIASES.get(name, name)
        if slot not in TARGETS:
            return _assignment_step(name, value)
        if name in ALIASES and slot in self.full_names:
            # Both are set: the full name wins, in whatever order (documented).
            return _discarding_step(value)
        self.full_names.add(name)
        return _target_step(slot, value, statement.value.span.start)

    def expression(self, node: Expression) -> Code:
        code, constant = self.plain(node)
        if self.observe:
            return _observed(code, id(node))
        return _folded(code) if constant else code

    def plain(self, node: Expression) -> tuple[Code, bool]:  # noqa: PLR0911 - a case a node
        """The code of a node, and whether it is the same in every run."""
        match node:
            case Number():
                return _constant(node.value), False
            case String():
                return _constant(node.value), False
            case Name():
                return _name(node), False
            case Unary():
                return self.unary(node)
            case Chain():
                return self.chain(node)
            case Conditional():
                return self.conditional(node), False
            case Call():
                return self.call(node), False
            case Member():
                return self.member(node), False
            case MethodCall():
                return self.method(node), False

    def unary(self, node: Unary) -> tuple[Code, bool]:
        operand, at = self.expression(node.operand), node.span.start
        code = _not(operand, at) if node.operator == "!" else _minus(operand, at)
        return code, _is_constant(node)

    def chain(self, node: Chain) -> tuple[Code, bool]:
        code = self.expression(node.first)
        parts = [(term, self.expression(term.operand)) for term in node.rest]
        if len(parts) > _LONG:
            code = _long_chain(code, parts)
        else:
            for term, right in parts:
                code = _binary(term, code, right)
        return code, _is_constant(node)

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
            return then(run) if _truth(test, at) else otherwise(run)

        return choose

    def call(self, node: Call) -> Code:  # noqa: PLR0911 - a case a kind of function
        name, at = node.function, node.span.start
        arguments = tuple(map(self.expression, node.arguments))
        signatures = FUNCTIONS.get(name)
        if signatures is None:
            return _fail(at, f"Undefined function: {name}")
        if not any(signature.takes(len(arguments)) for signature in signatures):
            return _fail(at, f"{name}() does not take {len(arguments)} arguments")
        if name in AGGREGATES:
            return _aggregate(name, arguments, at)
        if name in MATHS:
            return _maths(name, arguments, at)
        if name in _PAIRS:
            return _pair(name, arguments, at)
        if name == "time":
            return _time(arguments, at)
        return _random if name == "rand" else _stopping

    def member(self, node: Member) -> Code:
        receiver, name, at = self.expression(node.receiver), node.name, node.name_span.start
        if name not in TIMESTAMP_MEMBERS:
            return _fail(at, f"there is no member {name}")

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
            return _fail(at, f"there is no method {name}")
        if not isinstance(node.receiver, Name) or node.receiver.name not in SAMPLED:
            return _fail(at, f"{name} is a method of service variables with samples")
        if not any(signature.takes(len(arguments)) for signature in signatures):
            return _fail(at, f"{name}() does not take {len(arguments)} arguments")
        variable, point = node.receiver.name, node.parenthesis.start
        if name == "GetSample":
            return _get_sample(variable, arguments, point, id(node))
        if name == "GetSamplePercent":
            return _get_sample_percent(variable, arguments, point, id(node))
        if name == "Count":
            return lambda run: float(run.count(variable))
        if name == "HistoryBeginTime":
            return lambda run: run.begin(variable)
        return _constant(Interval(ticks=SAMPLE_PERIOD_S * TICKS_PER_SECOND))


# From this length on a chain is a loop: closures around closures would use up the stack.
_LONG = 16
_PAIRS = {"percentile": percentile, "val": val}


def _is_constant(node: Expression) -> bool:
    match node:
        case Number() | String():
            return True
        case Name():
            return node.name in INTERVAL_CONSTANTS
        case Unary():
            return _is_constant(node.operand)
        case Chain():
            return _is_constant(node.first) and all(
                _is_constant(term.operand) for term in node.rest
            )
    return False


def _folded(code: Code) -> Code:
    """The value of constant code, computed at its first run; a failure stays a failure."""
    value: list[Value] = []

    def folded(run: Run) -> Value:
        if not value and not run.semantics.lenient:
            value.append(code(run))
        return value[0] if value else code(run)

    return folded


def _constant(value: Value) -> Code:
    return lambda _: value


def _observed(code: Code, key: int) -> Code:
    def observed(run: Run) -> Value:
        value = code(run)
        if run.observed is not None:
            run.observed[key] = value
        return value

    return observed


def _fail(offset: int, text: str) -> Code:
    def fail(_: Run) -> Value:
        raise Failure(offset, text)

    return fail


def _fail_step(offset: int, text: str) -> Step:
    def fail(_: Run) -> None:
        raise Failure(offset, text)

    return fail


def _stop_step(_: Run) -> None:
    raise Stopped


def _stopping(_: Run) -> Value:
    raise Stopped


def _random(run: Run) -> Value:
    return run.rand()


def _deallocation_step(value: Expression) -> Step:
    if not isinstance(value, Name) or value.name not in DEALLOCATION_WORDS:
        words = ", ".join(DEALLOCATION_WORDS)
        return _fail_step(value.span.start, f"{DEALLOCATION} takes one of {words}")
    word = value.name

    def assign(run: Run) -> None:
        run.deallocation = word

    return assign


def _assignment_step(name: str, value: Code) -> Step:
    def assign(run: Run) -> None:
        run.variables[name] = value(run)

    return assign


def _discarding_step(value: Code) -> Step:
    def assign(run: Run) -> None:
        value(run)

    return assign


def _target_step(slot: str, value: Code, offset: int) -> Step:
    def assign(run: Run) -> None:
        result = value(run)
        if type(result) is not float:
            raise Failure(offset, f"{slot} takes a double, not a {type_of(result)}")
        run.variables[slot] = result
        run.assigned_at[slot] = offset

    return assign


def _name(node: Name) -> Code:
    name, at = node.name, node.span.start
    if name in INTERVAL_CONSTANTS:
        return _constant(Interval(ticks=INTERVAL_CONSTANTS[name]))
    if name in SAMPLED:
        return _latest(name, at)
    if name == DEALLOCATION:
        return lambda run: run.deallocation
    slot = ALIASES.get(name, name)

    def read(run: Run) -> Value:
        try:
            return run.variables[slot]
        except KeyError:
            raise Failure(at, f"Undefined symbol: {name}") from None

    return read


def _latest(name: str, at: int) -> Code:
    always = SAMPLED[name].is_scalar

    def latest(run: Run) -> Value:
        if not always and not run.semantics.sampled_as_number:
            raise Failure(at, f"{name} is not a number: use {name}.GetSample(1)")
        return run.latest(name)

    return latest


def _truth(value: Value, at: int) -> bool:
    if type(value) is not float:
        raise Failure(at, f"a condition is a double, not a {type_of(value)}")
    if value != value:  # noqa: PLR0124 - not-a-number
        raise Failure(at, "a condition is not a number")
    return value != 0.0


def _not(operand: Code, at: int) -> Code:
    return lambda run: 0.0 if _truth(operand(run), at) else 1.0


def _minus(operand: Code, at: int) -> Code:
    def minus(run: Run) -> Value:
        value = operand(run)
        if type(value) is float:
            return -value
        try:
            return negate(value)
        except (TypeError, OverflowError) as error:
            raise Failure(at, str(error)) from None

    return minus


def _combined(symbol: str, left: Value, right: Value, at: int, run: Run) -> Value:
    try:
        return combine(symbol, left, right, run.semantics)
    except (TypeError, ValueError, OverflowError) as error:
        raise Failure(at, str(error)) from None


def _long_chain(first: Code, parts: list[tuple[Term, Code]]) -> Code:
    """A chain as a loop; each operator acts on what stands left of it, already computed."""
    steps = tuple((term.operator, term.operator_span.start, right) for term, right in parts)

    def chain(run: Run) -> Value:
        value = first(run)
        for symbol, at, right in steps:
            value = _apply(symbol, value, right, at, run)
        return value

    return chain


def _apply(symbol: str, left: Value, right: Code, at: int, run: Run) -> Value:
    if symbol in {"&&", "||"}:
        return _logical(symbol, left, right, at, run)
    return _combined(symbol, left, right(run), at, run)


def _logical(symbol: str, left: Value, right: Code, at: int, run: Run) -> Value:
    first = _truth(left, at)
    if run.semantics.short_circuit and first == (symbol == "||"):
        return float(first)
    second = _truth(right(run), at)
    return float((first and second) if symbol == "&&" else (first or second))


def _binary(term: Term, left: Code, right: Code) -> Code:
    symbol, at = term.operator, term.operator_span.start
    if symbol in {"&&", "||"}:
        return lambda run: _logical(symbol, left(run), right, at, run)
    if symbol in COMPARISONS:
        return _comparison(symbol, left, right, at)
    return _arithmetic(symbol, left, right, at)


def _comparison(symbol: str, left: Code, right: Code, at: int) -> Code:
    test = COMPARISONS[symbol]

    def compare(run: Run) -> Value:
        a, b = left(run), right(run)
        if type(a) is float and type(b) is float:
            return 1.0 if test(a, b) else 0.0
        return _combined(symbol, a, b, at, run)

    return compare


def _arithmetic(symbol: str, left: Code, right: Code, at: int) -> Code:
    if symbol == "/":
        act: Callable[[float, float], float] = divide
    else:
        act = {"+": operator.add, "-": operator.sub, "*": operator.mul}[symbol]

    def arithmetic(run: Run) -> Value:
        a, b = left(run), right(run)
        if type(a) is float and type(b) is float:
            return act(a, b)
        return _combined(symbol, a, b, at, run)

    return arithmetic


def _flat(name: str, arguments: tuple[Code, ...], at: int, run: Run) -> list[float]:
    """The arguments as one list: a doubleVecList flattens from left to right."""
    values: list[float] = []
    for argument in arguments:
        value = argument(run)
        if type(value) is float:
            values.append(value)
        elif type(value) is tuple:
            values += value
        else:
            raise Failure(at, f"{name}() does not take a {type_of(value)}")
    return values


def _aggregate(name: str, arguments: tuple[Code, ...], at: int) -> Code:
    act = AGGREGATES[name]

    def aggregate(run: Run) -> Value:
        try:
            return act(_flat(name, arguments, at, run), run.semantics)
        except (ValueError, OverflowError) as error:
            raise Failure(at, str(error)) from None

    if name in {"max", "min"} and len(arguments) == 2:  # noqa: PLR2004 - the common pair
        return _extreme(name, arguments, at)
    return aggregate


def _extreme(name: str, arguments: tuple[Code, ...], at: int) -> Code:
    """Max and min of two, which is what most formulas are made of."""
    first, second = arguments
    act: Callable[[float, float], float] = max if name == "max" else min
    general = AGGREGATES[name]

    def extreme(run: Run) -> Value:
        a, b = first(run), second(run)
        if type(a) is float and type(b) is float:
            return act(a, b)
        try:
            return general(_flat(name, (_constant(a), _constant(b)), at, run), run.semantics)
        except ValueError as error:
            raise Failure(at, str(error)) from None

    return extreme


def _maths(name: str, arguments: tuple[Code, ...], at: int) -> Code:
    act = MATHS[name]
    if len(arguments) != 1:
        return lambda run: tuple(map(act, _flat(name, arguments, at, run)))
    (argument,) = arguments

    def maths(run: Run) -> Value:
        value = argument(run)
        if type(value) is float:
            return act(value)
        if type(value) is tuple:
            return tuple(map(act, value))
        raise Failure(at, f"{name}() does not take a {type_of(value)}")

    return maths


def _pair(name: str, arguments: tuple[Code, ...], at: int) -> Code:
    act = _PAIRS[name]
    vector, number = arguments

    def pair(run: Run) -> Value:
        values, index = vector(run), number(run)
        if type(values) is float and run.semantics.lenient:
            values = (values,)
        if type(values) is not tuple or type(index) is not float:
            kinds = f"{type_of(values)} and {type_of(index)}"
            raise Failure(at, f"{name}() takes doubleVec and double, not {kinds}")
        try:
            return act(values, index, run.semantics)
        except ValueError as error:
            raise Failure(at, str(error)) from None

    return pair


def _time(arguments: tuple[Code, ...], at: int) -> Code:
    if not arguments:
        return lambda run: run.now
    (argument,) = arguments

    def time(run: Run) -> Value:
        text = argument(run)
        if not isinstance(text, str):
            raise Failure(at, f"time() takes a string, not a {type_of(text)}")
        if not text:
            return run.now
        try:
            return parse_time(text)
        except ValueError as error:
            raise Failure(at, f"time() cannot read {quoted(text)}: {error}") from None

    return time


def _bounds(values: list[Value], at: int, run: Run) -> tuple[float, float]:
    """The window between two instants, or from one until now, in seconds since 1970."""
    instants = []
    for value in values:
        if isinstance(value, Interval):
            instants.append(run.now_s - value.seconds)
        elif isinstance(value, Timestamp):
            instants.append(value.epoch_s)
        else:
            kind = type_of(value)
            raise Failure(at, f"a window is given by timestamps or timeintervals, not a {kind}")
    if len(instants) == 1:
        instants.append(run.now_s)
    return min(instants), max(instants)


def _get_sample(variable: str, arguments: tuple[Code, ...], at: int, key: int) -> Code:
    def get_sample(run: Run) -> Value:
        values = [argument(run) for argument in arguments]
        if len(values) == 1 and type(values[0]) is float:
            return _counted(variable, values[0], at, run)
        percent, last = DEFAULT_SAMPLE_PERCENT, values[-1]
        if len(values) > 1 and type(last) is float:
            percent = last
            values.pop()
        if percent != percent:  # noqa: PLR0124 - not-a-number
            raise Failure(at, "the sample percent of GetSample() is not a number")
        first_s, last_s = _bounds(values, at, run)
        window = run.available(variable, first_s, last_s)
        run.windows[key] = window
        if window.percent < percent:
            raise Failure(
                at,
                f"Insufficient data from data set: {variable} "
                f"wanted {_whole(percent)}%, received {_whole(window.percent)}%",
                ErrorCode.INSUFFICIENT_SAMPLES,
            )
        return run.window(variable, first_s, last_s)

    return get_sample


def _whole(percent: float) -> str:
    return f"{percent // 1:.0f}"


def _counted(variable: str, count: float, at: int, run: Run) -> Value:
    if not count >= 0:
        raise Failure(at, "GetSample() takes a count of zero or more")
    return run.newest(variable, count)


def _get_sample_percent(variable: str, arguments: tuple[Code, ...], at: int, key: int) -> Code:
    def get_sample_percent(run: Run) -> Value:
        first_s, last_s = _bounds([argument(run) for argument in arguments], at, run)
        window: Window = run.available(variable, first_s, last_s)
        run.windows[key] = window
        return window.percent

    return get_sample_percent
