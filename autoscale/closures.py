"""The closures that a compiled formula is made of: one maker for each kind of expression.

A maker takes the closures of its operands and gives a function of the run. Two doubles,
the common case, are handled on the spot; all else goes through the tables. Whatever goes
wrong is a `Failure` with the place at which the service would point.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence

from autoscale.functions import AGGREGATES, MATHS, of_nothing, percentile, val
from autoscale.language import (
    ALIASES,
    DEALLOCATION,
    DEALLOCATION_WORDS,
    INTERVAL_CONSTANTS,
    SAMPLED,
)
from autoscale.operators import COMPARISONS, DOUBLES, combine, negate
from autoscale.run import Failure, Run, Stopped
from autoscale.syntax import Expression, Name, Term
from autoscale.values import Interval, Value, type_of

Code = Callable[[Run], Value]
Reduction = Callable[[Sequence[float], Run], float]

# From this length on a chain is a loop: closures around closures would use up the stack.
LONG_CHAIN = 16
PAIRS = {"percentile": percentile, "val": val}


class Constant:
    """Code of a value that is known already; makers ask for it, to save a call in each run."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def __call__(self, _: Run) -> Value:
        """The value."""
        return self.value


def known_value(code: Code) -> Value | None:
    """The value of a constant's code; None where only a run can tell."""
    return code.value if isinstance(code, Constant) else None


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


def stopping(_: Run) -> Value:
    """`stop()`, as a statement or inside an expression."""
    raise Stopped


def random_call(run: Run) -> Value:
    """`rand()`."""
    return run.rand()


def deallocation_word(value: Expression) -> Code:
    """What `$NodeDeallocationOption` takes: one of four words, and no other value."""
    if not isinstance(value, Name) or value.name not in DEALLOCATION_WORDS:
        words = ", ".join(DEALLOCATION_WORDS)
        return failing(value.span.start, f"{DEALLOCATION} takes one of {words}")
    return Constant(value.name)


def target(slot: str, value: Code, offset: int) -> Code:
    """What a target takes: a double."""

    def target(run: Run) -> Value:
        result = value(run)
        if type(result) is not float:
            raise Failure(offset, f"{slot} takes a double, not a {type_of(result)}")
        run.assigned_at[slot] = offset
        return result

    return target


def without_effect(slot: str, value: Code) -> Code:
    """A value that may fail and is not what `slot` gets: that stays as it is."""

    def without_effect(run: Run) -> Value:
        value(run)
        return run.variables[slot]

    return without_effect


def read_name(node: Name) -> Code:
    """A variable or constant."""
    name, at = node.name, node.span.start
    if name in INTERVAL_CONSTANTS:
        return Constant(Interval(ticks=INTERVAL_CONSTANTS[name]))
    if name in SAMPLED:
        return _latest(name, at)
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
    test, known = COMPARISONS[symbol], known_value(right)

    def compare(run: Run) -> Value:
        a, b = left(run), right(run) if known is None else known
        if type(a) is float and type(b) is float:
            return 1.0 if test(a, b) else 0.0
        return _combined(symbol, a, b, at, run)

    return compare


def _arithmetic(symbol: str, left: Code, right: Code, at: int) -> Code:
    act, known = DOUBLES[symbol], known_value(right)
    if symbol == "/" and known:
        act = operator.truediv  # which is faster, and refuses only zero

    def arithmetic(run: Run) -> Value:
        a, b = left(run), right(run) if known is None else known
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

    def reduced(values: Sequence[float], run: Run) -> float:
        try:
            return float(act(values)) if values else of_nothing(name, run.semantics)
        except (ValueError, OverflowError) as error:
            raise Failure(at, str(error)) from None

    def of_any(run: Run) -> Value:
        return reduced(_flat(name, [argument(run) for argument in arguments], at), run)

    if len(arguments) == 1:
        return _of_one(name, reduced, arguments[0], at)
    if len(arguments) == 2 and name in {"max", "min"}:  # noqa: PLR2004 - the common pair
        return _of_two(name, reduced, arguments, at)
    return of_any


def _of_one(name: str, reduced: Reduction, argument: Code, at: int) -> Code:
    """A function of one vector, which needs no flattening."""

    def of_one(run: Run) -> Value:
        value = argument(run)
        return reduced(value if type(value) is tuple else _flat(name, (value,), at), run)

    return of_one


def _of_two(name: str, reduced: Reduction, arguments: tuple[Code, ...], at: int) -> Code:
    """`max` or `min` of two: what most formulas are made of, and mostly two numbers."""
    first, second = arguments
    wins, known = COMPARISONS[">" if name == "max" else "<"], known_value(first)

    def of_two(run: Run) -> Value:
        a, b = first(run) if known is None else known, second(run)
        if type(a) is float:
            if type(b) is float:
                return b if wins(b, a) else a
            if type(b) is tuple and len(b) == 1:
                # The newest sample, as in `max(0, $PendingTasks.GetSample(1))`.
                return float(b[0]) if wins(b[0], a) else a
        return reduced(_flat(name, (a, b), at), run)

    return of_two


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
