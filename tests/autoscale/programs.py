"""Programs made at random: valid trees, and texts that are nearly programs."""

from __future__ import annotations

from hypothesis import strategies as st

from autoscale.language import (
    FUNCTIONS,
    INTERVAL_CONSTANTS,
    METHODS,
    SAMPLED,
    SERVICE_VARIABLES,
    TIMESTAMP_MEMBERS,
)
from autoscale.source import Span
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
    String,
    Term,
    Unary,
)

NOWHERE = Span(start=0, end=0)

names = st.sampled_from(
    ["a", "b", "$x", "_y", *sorted(SERVICE_VARIABLES), *sorted(INTERVAL_CONSTANTS)]
)
numbers = st.builds(
    lambda value: Number(value=value, span=NOWHERE),
    st.one_of(
        st.integers(0, 20).map(float), st.floats(0, 1e300, allow_nan=False, allow_infinity=False)
    ),
)
strings = st.builds(
    lambda value: String(value=value, span=NOWHERE),
    st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n'), max_size=6),
)
variables = st.builds(lambda name: Name(name=name, span=NOWHERE), names)
levels = st.sampled_from(sorted(set(PRECEDENCE.values())))


@st.composite
def chains(draw: st.DrawFn, operands: st.SearchStrategy[Expression]) -> Expression:
    """A chain of one precedence; its operands may be chains of any."""
    level = draw(levels)
    operators = sorted(operator for operator, is_at in PRECEDENCE.items() if is_at == level)
    terms = draw(
        st.lists(
            st.builds(
                lambda operator, operand: Term(
                    operator=operator, operand=operand, operator_span=NOWHERE
                ),
                st.sampled_from(operators),
                operands,
            ),
            min_size=1,
            max_size=3,
        )
    )
    return Chain(first=draw(operands), rest=tuple(terms), span=NOWHERE)


def above(operands: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    """Expressions over expressions."""
    arguments = st.lists(operands, max_size=3).map(tuple)
    return st.one_of(
        st.builds(
            lambda operator, operand: Unary(operator=operator, operand=operand, span=NOWHERE),
            st.sampled_from("-!"),
            operands,
        ),
        chains(operands),
        st.builds(
            lambda condition, then, otherwise: Conditional(
                condition=condition, then=then, otherwise=otherwise, span=NOWHERE
            ),
            operands,
            operands,
            operands,
        ),
        st.builds(
            lambda function, given: Call(
                function=function, arguments=given, parenthesis=NOWHERE, span=NOWHERE
            ),
            st.sampled_from(sorted(FUNCTIONS)),
            arguments,
        ),
        st.builds(
            lambda receiver, name: Member(
                receiver=receiver, name=name, name_span=NOWHERE, span=NOWHERE
            ),
            operands,
            st.sampled_from(TIMESTAMP_MEMBERS),
        ),
        st.builds(
            lambda receiver, method, given: MethodCall(
                receiver=receiver,
                method=method,
                arguments=given,
                name_span=NOWHERE,
                parenthesis=NOWHERE,
                span=NOWHERE,
            ),
            st.one_of(
                operands,
                st.builds(
                    lambda name: Name(name=name, span=NOWHERE), st.sampled_from(sorted(SAMPLED))
                ),
            ),
            st.sampled_from(sorted(METHODS)),
            arguments,
        ),
    )


expressions: st.SearchStrategy[Expression] = st.recursive(
    st.one_of(numbers, strings, variables), above, max_leaves=12
)
assignments = st.builds(
    lambda name, value: Assignment(
        target=Name(name=name, span=NOWHERE), value=value, span=NOWHERE
    ),
    names,
    expressions,
)
formulas = st.lists(assignments, max_size=6).map(
    lambda statements: Formula(text="", statements=tuple(statements))
)

# Pieces of programs in any order: most are wrong, and many are wrong in an unusual way.
pieces = st.lists(
    st.one_of(
        names,
        st.sampled_from([*sorted(FUNCTIONS), *sorted(METHODS), *TIMESTAMP_MEMBERS]),
        st.sampled_from([*PRECEDENCE, "=", "?", ":", ";", ",", ".", "(", ")", "!", "//", "\n"]),
        st.sampled_from(['"', "'", "{", "}", "${", "%", "\\", "1", "2.5", "1e3", "/*", "\r", "é"]),
        st.text(max_size=3),
    ),
    max_size=40,
).map(" ".join)
