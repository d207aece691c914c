"""The closures that a compiled formula is made of: one maker for each kind of expression.

A maker takes the closures of its operands and gives a function of the run. Two doubles,
the common case, are handled on the spot; all else goes through the tables. Whatever goes
wrong is a `Failure` with the place at which the service would point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from autoscale.functions import AGGREGATES, MATHS, percentile, val
from autoscale.language import (
    ALIASES,
    DEALLOCATION,
    DEALLOCATION_WORDS,
    INTERVAL_CONSTANTS,
    SAMPLED,
)
from autoscale.operators import COMPARISONS, DOUBLES, combine, negate
from autoscale.run import Failure, Run, Stopped
from autoscale.semantics import Semantics
from autoscale.syntax import Chain, Expression, Name, Number, String, Term, Unary
from autoscale.values import Interval, Value, type_of

Code = Callable[[Run], Value]
Apply = Callable[[Iterable[Value], Run], Value]
Aggregate = Callable[[Sequence[float], Semantics], float]
Step = Callable[[Run], None]

# From this length on a chain is a loop: closures around closures would use up the stack.
LONG_CHAIN = 16
PAIRS = {"percentile": percentile, "val": val}


def is_constant(node: Expression) -> bool:
    """Whether an expression is the same in every run: literals and what is made of them."""
    match node:
        case Number() | String():
            return True
        case Name():
            return node.name in INTERVAL_CONSTANTS
        case Unary():
            return is_constant(node.operand)
        case Chain():
            return is_constant(node.first) and all(is_constant(term.operand) for term in node.rest)
    return False


def constant(value: Value) -> Code:
    """A value that is known already."""
    return lambda _: value


def observed(code: Code, key: int) -> Code:
    """Code whose value is noted for `explain`, and that it was begun."""

    def observed(run: Run) -> Value:
        seen = run.observed
        if seen is None:
            return code(run)
        seen.entered.add(key)
        value = seen.values[key] = code(run)
        return value

    return observed


def failing(offset: int, text: str) -> Code:
    """Code that can only fail."""

    def fail(_: Run) -> Value:
        raise Failure(offset, text)

    return fail


def failing_step(offset: int, text: str) -> Step:
    """A statement that can only fail."""

    def fail(_: Run) -> None:
        raise Failure(offset, text)

    return fail


def stop_step(_: Run) -> None:
    """The statement `stop();`."""
    raise Stopped


def stopping(_: Run) -> Value:
    """`stop()` inside an expression."""
    raise Stopped


def random_call(run: Run) -> Value:
    """`rand()`."""
    return run.rand()


def deallocation_step(value: Expression) -> Step:
    """`$NodeDeallocationOption = word;`, which takes no other value."""
    if not isinstance(value, Name) or value.name not in DEALLOCATION_WORDS:
        words = ", ".join(DEALLOCATION_WORDS)
        return failing_step(value.span.start, f"{DEALLOCATION} takes one of {words}")
    word = value.name

    def assign(run: Run) -> None:
        run.deallocation = word

    return assign


def assignment_step(name: str, value: Code) -> Step:
    """An assignment to a variable of the formula's own."""

    def assign(run: Run) -> None:
        run.variables[name] = value(run)

    return assign


def discarding_step(value: Code) -> Step:
    """An assignment that has no effect but may fail."""

    def assign(run: Run) -> None:
        value(run)

    return assign


def target_step(slot: str, value: Code, offset: int) -> Step:
    """An assignment to a target, which takes a double."""

    def assign(run: Run) -> None:
        result = value(run)
        if type(result) is not float:
            raise Failure(offset, f"{slot} takes a double, not a {type_of(result)}")
        run.variables[slot] = result
        run.assigned_at[slot] = offset

    return assign


def read_name(node: Name) -> Code:
    """A variable or constant."""
    name, at = node.name, node.span.start
    if name in INTERVAL_CONSTANTS:
        return constant(Interval(ticks=INTERVAL_CONSTANTS[name]))
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


def truth(value: Value, at: int) -> bool:
    """What a condition says; not-a-number says nothing."""
    if type(value) is not float:
        raise Failure(at, f"a condition is a double, not a {type_of(value)}")
    if value != value:  # noqa: PLR0124 - not-a-number
        raise Failure(at, "a condition is not a number")
    return value != 0.0


def logical_not(operand: Code, at: int) -> Code:
    """`!x`."""
    return lambda run: 0.0 if truth(operand(run), at) else 1.0


def minus(operand: Code, at: int) -> Code:
    """`-x`."""

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


def long_chain(first: Code, parts: list[tuple[Term, Code]]) -> Code:
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
    first = truth(left, at)
    if run.semantics.short_circuit and first == (symbol == "||"):
        return float(first)
    second = truth(right(run), at)
    return float((first and second) if symbol == "&&" else (first or second))


def binary(term: Term, left: Code, right: Code) -> Code:
    """A binary operator and its two sides."""
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
    act = DOUBLES[symbol]

    def arithmetic(run: Run) -> Value:
        a, b = left(run), right(run)
        if type(a) is float and type(b) is float:
            return act(a, b)
        return _combined(symbol, a, b, at, run)

    return arithmetic


def _flat(name: str, values: Iterable[Value], at: int) -> Sequence[float]:
    """The arguments as one list: a doubleVecList flattens from left to right."""
    flat: list[float] = []
    for value in values:
        if type(value) is float:
            flat.append(value)
        elif type(value) is tuple:
            flat += value
        else:
            raise Failure(at, f"{name}() does not take a {type_of(value)}")
    return flat


def aggregate(name: str, arguments: tuple[Code, ...], at: int) -> Code:
    """A function of a doubleVecList that gives one number."""
    act = AGGREGATES[name]

    def apply(values: Iterable[Value], run: Run) -> Value:
        try:
            return act(_flat(name, values, at), run.semantics)
        except (ValueError, OverflowError) as error:
            raise Failure(at, str(error)) from None

    if len(arguments) == 1:
        return _of_one(apply, act, arguments[0], at)
    if len(arguments) == 2 and name in _OF_TWO:  # noqa: PLR2004 - the common pair
        return _OF_TWO[name](apply, *arguments)
    return lambda run: apply([argument(run) for argument in arguments], run)


def _of_one(apply: Apply, act: Aggregate, argument: Code, at: int) -> Code:
    """A function of one vector, which needs no flattening."""

    def aggregate(run: Run) -> Value:
        value = argument(run)
        if type(value) is not tuple:
            return apply((value,), run)
        try:
            return act(value, run.semantics)
        except (ValueError, OverflowError) as error:
            raise Failure(at, str(error)) from None

    return aggregate


def _greatest_of_two(apply: Apply, first: Code, second: Code) -> Code:
    """Max of two numbers: with `_least_of_two` what most formulas are made of."""

    def greatest(run: Run) -> Value:
        a, b = first(run), second(run)
        if type(a) is float:
            if type(b) is float:
                return max(a, b)
            if type(b) is tuple and len(b) == 1:
                return float(max(a, b[0]))
        return apply((a, b), run)

    return greatest


def _least_of_two(apply: Apply, first: Code, second: Code) -> Code:
    def least(run: Run) -> Value:
        a, b = first(run), second(run)
        if type(a) is float and type(b) is float:
            return min(a, b)
        return apply((a, b), run)

    return least


_OF_TWO = {"max": _greatest_of_two, "min": _least_of_two}


def maths(name: str, arguments: tuple[Code, ...], at: int) -> Code:
    """A function of one double, or of each element of a list."""
    act = MATHS[name]
    if len(arguments) != 1:
        return lambda run: tuple(
            map(act, _flat(name, [argument(run) for argument in arguments], at))
        )
    (argument,) = arguments

    def maths(run: Run) -> Value:
        value = argument(run)
        if type(value) is float:
            return act(value)
        if type(value) is tuple:
            return tuple(map(act, value))
        raise Failure(at, f"{name}() does not take a {type_of(value)}")

    return maths


def pair(name: str, arguments: tuple[Code, ...], at: int) -> Code:
    """`percentile` and `val`: a doubleVec and a double."""
    act = PAIRS[name]
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
