"""Evaluates a formula as the service does: samples and a time in, targets and words out.

A pure function: the same formula, samples, time and targets give the same answer, `rand()`
included. It changes nothing and knows no pool; what becomes of the targets is the
caller's business. Sources: language reference, sections 8, 10 and 11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from autoscale.compiler import Step, compiled
from autoscale.errors import ErrorCode, FormulaError
from autoscale.language import DEALLOCATION, DEDICATED, DEFAULT_DEALLOCATION, LOW_PRIORITY
from autoscale.parser import parse
from autoscale.run import Failure, Run, Samples, Stopped
from autoscale.semantics import DEFAULT_SEMANTICS, Semantics
from autoscale.source import position
from autoscale.syntax import Formula
from autoscale.values import Value, format_value

_MOST_NODES = 2**31 - 1
# Recorded from the service, without a full stop.
_MESSAGES = {
    ErrorCode.EVALUATION: "The specified auto-scaling formula has evaluation error",
    ErrorCode.INSUFFICIENT_SAMPLES: (
        "Autoscale evaluation failed due to insufficient sample data"
    ),
    ErrorCode.SYNTAX: "The specified auto-scaling formula has a syntax error.",
    ErrorCode.TOO_LONG: "The specified auto-scaling formula is too long.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """How many nodes a pool is to have, as a formula says it: doubles, not yet cut."""

    dedicated: float = 0.0
    low_priority: float = 0.0

    @property
    def dedicated_nodes(self) -> int:
        """The dedicated nodes that the service applies: cut toward zero, never below it."""
        return _applied(self.dedicated)

    @property
    def low_priority_nodes(self) -> int:
        """The spot nodes that the service applies: cut toward zero, never below it."""
        return _applied(self.low_priority)


def _applied(target: float) -> int:
    return int(max(0.0, min(target, _MOST_NODES)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetail:
    """One of the values of an error, such as the one named `Message`."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationError:
    """The `error` of an `AutoScaleRun`, in the service's words."""

    code: str
    message: str
    values: tuple[ErrorDetail, ...]

    def to_json(self) -> dict[str, object]:
        """As the service sends it."""
        return {
            "code": self.code,
            "message": self.message,
            "values": [{"name": detail.name, "value": detail.value} for detail in self.values],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The answer to a formula.

    Attributes:
        error: What went wrong; None when nothing did.
        targets: The raw targets; after an error those of before.
        node_deallocation_option: `requeue` unless the formula says otherwise.
        variables: The formula's own variables, in the order of their assignment; after an
            error those that were set before it, which `results` does not show.
    """

    error: EvaluationError | None
    targets: Targets
    node_deallocation_option: str
    variables: Mapping[str, Value] = field(default_factory=dict)

    @property
    def results(self) -> str:
        """The `results` of the service's answer, to the letter."""
        parts = [
            f"{DEDICATED}={format_value(float(self.targets.dedicated))}",
            f"{LOW_PRIORITY}={format_value(float(self.targets.low_priority))}",
            f"{DEALLOCATION}={self.node_deallocation_option}",
        ]
        if self.error is None:
            own = self.variables
            parts += [f"{name}={format_value(own[name])}" for name in sorted(own)]
        return ";".join(parts)


@lru_cache(maxsize=64)
def _parsed(text: str) -> Formula:
    return parse(text)


def evaluate(
    formula: str | Formula,
    *,
    samples: Samples,
    now: datetime,
    targets: Targets,
    task_slots_per_node: int = 1,
    semantics: Semantics = DEFAULT_SEMANTICS,
) -> Evaluation:
    """What the service answers to a formula. Never raises for a formula, however wrong.

    Args:
        formula: The text, or what `parse` made of it; a text is parsed once and remembered.
        samples: For each service variable its samples as (seconds since 1970, value),
            oldest first, as lists or tuples: windows are slices of them. A variable without
            samples may be left out.
        now: The time of the evaluation; it must know its zone. Later samples are not seen.
        targets: The pool's targets before.
        task_slots_per_node: What `$TaskSlotsPerNode` is while it has no samples.
        semantics: Choices where the service's behaviour is not published.

    Raises:
        ValueError: `now` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError(f"{now.isoformat()} has no time zone; the language knows UTC only")
    if isinstance(formula, str):
        try:
            formula = _parsed(formula)
        except FormulaError as error:
            return _unchanged(refused(error), targets)
    run = Run(
        samples,
        now,
        semantics,
        dedicated=targets.dedicated,
        low_priority=targets.low_priority,
        task_slots_per_node=task_slots_per_node,
    )
    return execute(formula, compiled(formula), run, targets)


def execute(formula: Formula, steps: tuple[Step, ...], run: Run, targets: Targets) -> Evaluation:
    """Runs a formula from its first statement to its last, `stop()` or failure."""
    variables = run.variables
    try:
        for slot, code in steps:
            variables[slot] = code(run)
    except Stopped:
        if not run.semantics.stop_keeps:
            variables[DEDICATED] = float(targets.dedicated)
            variables[LOW_PRIORITY] = float(targets.low_priority)
            run.assigned_at.clear()
    except Failure as failure:
        return _failed(formula, failure, run, targets)
    except RecursionError:
        # The caller's own stack was nearly full.
        too_deep = Failure(0, "the expression is nested too deeply")
        return _failed(formula, too_deep, run, targets)
    try:
        after = targets
        if run.assigned_at:
            dedicated, low_priority = _target(run, DEDICATED), _target(run, LOW_PRIORITY)
            after = Targets(dedicated=dedicated, low_priority=low_priority)
    except Failure as failure:
        return _failed(formula, failure, run, targets)
    return Evaluation(
        error=None,
        targets=after,
        node_deallocation_option=str(variables[DEALLOCATION]),
        variables=_own(run),
    )


def refused(error: FormulaError) -> EvaluationError:
    """The evaluation error of a text that does not parse: `evaluateautoscale` answers so."""
    problem = error.problems[0]
    if error.code is ErrorCode.TOO_LONG:
        return EvaluationError(code=error.code, message=_MESSAGES[error.code], values=())
    text = problem.service_text or problem.message
    return _error(ErrorCode.EVALUATION, error.text, problem.span.start, text)


def refusal(text: str) -> EvaluationError | None:
    """Why the service does not take a formula for a pool (HTTP 400), or None if it does.

    That is a text that does not parse. A formula that parses is taken, and what is wrong
    with it shows when it is evaluated.
    """
    try:
        _parsed(text)
    except FormulaError as error:
        detail = f"Line {error.line}, Col {error.column}: {error.message}"
        return EvaluationError(
            code=error.code,
            message=_MESSAGES[error.code],
            values=(ErrorDetail(name="Message", value=detail),),
        )
    return None


def _target(run: Run, name: str) -> float:
    value = run.variables[name]
    assert isinstance(value, float)  # noqa: S101 - the step that assigns has checked
    if 0.0 <= value < math.inf:
        return value
    at = run.assigned_at.get(name, 0)
    if not math.isfinite(value):
        raise Failure(at, f"{name} is {format_value(value)}")
    if run.semantics.negative_target == "error":
        raise Failure(at, f"{name} is negative: {format_value(value)}")
    return value


def _own(run: Run) -> dict[str, Value]:
    """The formula's own variables; the run is over and no longer needs the targets."""
    own = run.variables
    del own[DEDICATED], own[LOW_PRIORITY], own[DEALLOCATION]
    return own


def _failed(formula: Formula, failure: Failure, run: Run, targets: Targets) -> Evaluation:
    error = _error(failure.code, formula.text, failure.offset, failure.text)
    return _unchanged(error, targets, _own(run))


def _unchanged(
    error: EvaluationError, targets: Targets, variables: Mapping[str, Value] | None = None
) -> Evaluation:
    return Evaluation(
        error=error,
        targets=targets,
        node_deallocation_option=DEFAULT_DEALLOCATION,
        variables=variables or {},
    )


def _error(code: ErrorCode, text: str, offset: int, message: str) -> EvaluationError:
    where = position(text, offset)
    detail = f"Line {where.line}, Col {where.column}: {message}"
    return EvaluationError(
        code=code,
        message=_MESSAGES[code],
        values=(ErrorDetail(name="Message", value=detail),),
    )
